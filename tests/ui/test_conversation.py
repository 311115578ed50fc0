"""The tab of a conversation: it streams, folds, filters, follows, is gone through by keys, and is there for every hand and eye."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.ui.lab import ClassicPage, Lab
from tests.ui.test_accessible import _OUTSIDE, _violations

_TALK = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, emit

CALLS = [{"id": "1", "name": "search", "arguments": {"query": "tides <b>now</b>", "api_key": "hunter2"}}, {"id": "2", "name": "read"}]

class Think(Node):
    async def exec(self, prep_res):
        emit("message", "You research.\\nBriefly.", role="system")
        emit("message", "When is the <script>tide</script>?", role="user")
        emit("message", "I look.", role="assistant", tool_calls=CALLS, input_tokens=12, output_tokens=8, cost=0.25)

class Look(Node):
    async def exec(self, prep_res):
        emit("tool", id="1", name="search", result=["a", "b"], seconds=0.2)
        emit("tool", id="2", name="read", error=LookupError("no page"))

class Say(Node):
    async def exec(self, prep_res):
        for k in range(LINES):
            emit("message", f"Line {k}", role="user")
        emit("token", "Twice ")
        await go.wait()
        emit("token", "a day.")
        emit("message", "Twice a day.", role="assistant", output_tokens=3)

LINES = 0
think, look, say = Think(name="think"), Look(name="look"), Say(name="say")
think >> look >> say
desk = Flow(think, name="desk")
"""
_START = "go = asyncio.Event()\nrun = desk.launch({}); None"
_END = """
from pocketflex_nb.concurrency.engine_thread import engine_thread
engine_thread.loop.call_soon_threadsafe(go.set); run.wait(); None
"""


def _turn(view: Locator, text: str) -> Locator:
    return view.locator(".pf-turn", has_text=text)


def _is_at_end(feed: Locator) -> bool:
    return bool(feed.evaluate("el => el.scrollTop + el.clientHeight >= el.scrollHeight - 12"))


def test_a_conversation_streams_folds_and_filters_by_hand_and_by_key(lab: Lab) -> None:
    lab.open(lab.write([_TALK, _START, _END]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-run-view")
    tab = view.get_by_role("tab", name="Conversation")
    keyboard = lab.page.keyboard

    tab.click()
    streaming = view.locator('.pf-turn[data-state="streaming"]')
    expect(streaming).to_contain_text("Twice")
    expect(streaming.locator(".pf-turn-cursor")).to_be_visible()
    expect(view.locator(".pf-turn")).to_have_count(4)
    expect(_turn(view, "<script>tide</script>")).to_have_attribute("data-side", "user")
    expect(view.locator(".pf-talk-sums")).to_have_text("4 messages, 2 tool calls (1 failed), 12 tokens in, 8 out, cost 0.25")
    expect(_turn(view, "I look.").locator(".pf-turn-head")).to_contain_text("8 tok · cost 0.25")
    assert view.locator(".pf-talk script, .pf-talk b").count() == 0

    lab.run_cell(2)
    expect(streaming).to_have_count(0)
    expect(view.locator(".pf-turn").last).to_contain_text("Twice a day.")
    expect(view.locator(".pf-spoken").first).to_contain_text("agent, say#1")

    view.locator(".pf-turn").last.focus()                       # keys: to the calls, one opened, and closed
    keyboard.press("Home")
    for _ in range(7):
        keyboard.press("ArrowDown")
    focused = view.locator(".pf-call-head:focus")
    expect(focused).to_contain_text("search(query='tides <b>now</b>'")
    keyboard.press("Enter")
    expect(view.locator(".pf-call-page")).to_have_count(2)
    expect(view.locator(".pf-call-page").first).to_contain_text('"api_key": "••••••••"')
    expect(view.locator(".pf-call-page").last).to_contain_text('"b"')
    expect(focused).to_have_attribute("aria-expanded", "true")
    keyboard.press("ArrowLeft")
    expect(view.locator(".pf-call-page")).to_have_count(0)
    keyboard.press("ArrowDown")
    keyboard.press("ArrowRight")
    expect(view.locator(".pf-call-page")).to_have_text("LookupError: no page")
    expect(view.locator(".pf-place")).to_contain_text("step 3 of 3")            # no arrow reached the time cursor

    view.get_by_role("combobox", name="Whose messages").select_option("node say")
    expect(view.locator(".pf-turn")).to_have_count(1)
    view.get_by_role("combobox", name="Whose messages").select_option("whole run")
    expect(view.locator(".pf-turn")).to_have_count(4)
    view.locator(".pf-slider").focus()                                          # back in time, the answer was not there yet
    keyboard.press("ArrowLeft")
    expect(view.locator(".pf-turn")).to_have_count(3)
    keyboard.press("End")
    expect(view.locator(".pf-turn")).to_have_count(4)
    view.get_by_role("button", name="Show all", exact=True).click()
    expect(_turn(view, "You research.").locator(".pf-turn-text")).to_have_text("You research.\nBriefly.")

    _turn(view, "I look.").get_by_role("button", name="think#1").click()
    expect(view.locator(".pf-drawer")).to_contain_text("think")
    keyboard.press("Escape")
    expect(view.locator(".pf-drawer")).to_be_hidden()

    for theme in ("light", "dark"):
        lab.theme(theme)
        assert _violations(lab, view) == [], theme
        lab.screenshot(f"conversation-{theme}", of=view)
    lab.page.emulate_media(forced_colors="active")
    view.locator(".pf-turn").first.focus()
    keyboard.press("End")
    assert view.locator(".pf-talk-feed :focus-visible").evaluate("el => getComputedStyle(el).outlineStyle") == "solid"
    lab.page.emulate_media(forced_colors="none")
    lab.page.set_viewport_size({"width": 500, "height": 1000})
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    try:
        assert view.evaluate(_OUTSIDE) == []
        assert view.locator(".pf-talk-feed").evaluate("el => el.scrollWidth - el.clientWidth") == 0
    finally:
        lab.page.set_viewport_size({"width": 1400, "height": 1000})


def test_ten_thousand_messages_are_fluid_and_the_newest_is_in_sight_unless_one_scrolls_up(classic: ClassicPage) -> None:
    classic.open(classic.write([_TALK, "LINES = 10_000", _START, _END], name="classic-conversation"))
    for index in range(3):
        classic.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index)
    classic.run_all()
    view = classic.cell(2).locator(".pf-run-view").first

    view.get_by_role("tab", name="Conversation").click()
    feed = view.locator(".pf-talk-feed")
    expect(view.locator(".pf-turn").last).to_contain_text("Twice a day.", timeout=20_000)
    expect(view.locator(".pf-talk-place")).to_contain_text("of 10,004")
    assert view.locator(".pf-turn").count() <= 100
    expect(feed).not_to_have_js_property("scrollTop", 0)
    assert _is_at_end(feed)

    classic.evaluate("""() => {
        window.slow = [];
        new PerformanceObserver(list => window.slow.push(...list.getEntries().map(each => each.duration))).observe({type: 'longtask'});
    }""")
    view.get_by_role("button", name="Earlier").click()
    expect(view.locator(".pf-turn", has_text="Line 9897")).to_be_visible()
    assert feed.evaluate("el => el.scrollTop") > 0                               # where one read: the end of the part before
    view.get_by_role("button", name="Newest").click()
    expect(view.locator(".pf-turn").last).to_contain_text("Twice a day.")
    assert max(classic.evaluate("() => window.slow"), default=0) < 400
    assert classic.panel.locator(".pf-talk script").count() == 0
