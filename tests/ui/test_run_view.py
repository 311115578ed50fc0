"""The run view under a person's hands: going back in time, its tabs, its keys, a question, an error, a crowd, and both themes."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab

_FLOWS = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, ask, launch

class Count(Node):
    async def exec(self, prep_res):
        print("counting <b>bold</b>")
        await asyncio.sleep(0.01)
    def post(self, shared, prep_res, exec_res):
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < 4 else "end"

class Divide(Node):
    def prep(self, shared): return shared["n"]
    def exec(self, number): return number / 0

class Ask(Node):
    async def exec(self, prep_res): return await ask("Publish it?", choices=["yes", "no"])
    def post(self, shared, prep_res, exec_res): shared["said"] = exec_res

def counting(last):
    count = Count()
    count - "again" >> count
    count - "end" >> last
    return Flow(count, name="counting")
good, bad, asks = counting(Node()), counting(Divide()), Flow(Ask(), name="asks")
"""


def _view(lab: Lab, cell: int) -> Locator:
    return lab.cell(cell).locator(".pf-run-view")


def _count(view: Locator) -> Locator:
    return view.locator('g.pf-node[data-node="Count"] .pf-visits text')


def _shown(lab: Lab, *cells: str) -> Locator:
    lab.open(lab.write([_FLOWS, *cells]))
    lab.run_cell(0)
    lab.run_cell(1)
    return _view(lab, 1)


def test_keys_go_back_in_time_and_move_all_parts_together(lab: Lab) -> None:
    view = _shown(lab, "run = good.launch({}); run.wait(); None")
    expect(view.locator(".pf-place")).to_contain_text("step 5 of 5")
    cells = lab.panel.locator(".jp-Cell").count()
    expect(view.locator(".pf-panel")).to_be_hidden()

    view.focus()
    lab.page.keyboard.press("d")
    for _ in range(3):
        lab.page.keyboard.press("ArrowLeft")

    expect(view.locator(".pf-place")).to_contain_text("step 2 of 5")
    expect(_count(view)).to_have_text("×2")
    expect(view.locator(".pf-line-text", has_text="counting")).to_have_count(2)
    expect(view.locator(".pf-row-diff")).to_have_text("~n1 → 2")
    expect(view.locator(".pf-needle")).to_be_visible()
    for inside in (view, view.get_by_role("tab", name="Diff"), view.get_by_role("button", name="One step back"), view.locator(".pf-lines")):
        inside.focus()
        lab.page.keyboard.press("b")
    lab.page.keyboard.press("End")
    expect(_count(view)).to_have_text("×4")
    assert lab.panel.locator(".jp-Cell").count() == cells, "a key reached Lab"


def test_the_timeline_is_dragged(lab: Lab) -> None:
    view = _shown(lab, "run = good.launch({}); run.wait(); None")
    expect(view.locator(".pf-counts")).to_have_text("done")
    expect(view.locator(".pf-place")).to_contain_text("step 5 of 5")
    view.locator(".pf-timeline-frame").scroll_into_view_if_needed()
    box, first = view.locator(".pf-timeline-frame").bounding_box(), view.locator(".pf-bar").first.bounding_box()
    assert box is not None
    assert first is not None

    lab.page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 3)
    lab.page.mouse.down()
    lab.page.mouse.move(first["x"] + first["width"] / 2, box["y"] + 3, steps=4)
    lab.page.mouse.up()

    expect(view.locator(".pf-place")).to_contain_text("step 0 of 5")
    expect(view.locator('g.pf-node[data-node="Count"][data-state="running"]')).to_be_visible()


def test_tabs_and_search(lab: Lab) -> None:
    view = _shown(lab, "run = good.launch({'topic': '<script>alert(1)</script>'}); run.wait(); None")

    view.get_by_role("tab", name="Store").click()
    expect(view.locator(".pf-row-store")).to_have_count(2)
    expect(view.locator(".pf-row-store", has_text="topic")).to_contain_text("<script>alert(1)</script>")
    view.get_by_role("tab", name="Events").click()
    expect(view.locator(".pf-row-events").first).to_contain_text("run finished")
    view.focus()
    lab.page.keyboard.press("/")
    lab.page.keyboard.type("store")
    expect(view.locator(".pf-row-events")).to_have_count(4)
    assert view.locator("script, .pf-lines b").count() == 0


def test_an_error_card_tells_the_users_lines_and_copies_the_whole_traceback(lab: Lab) -> None:
    told = "class Deep(Divide):\n    def exec(self, number):\n        mine = 'of the step'\n        return super().exec(number)\n"
    view = _shown(lab, told + "run = counting(Deep()).launch({}); run.wait(); None", "run.result()")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    card = view.locator(".pf-error-card").first
    expect(card).to_contain_text("ZeroDivisionError division by zero")
    assert dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True)) == {
        "node": "Deep", "number": "4 (int)", "mine": "'of the step' (str 11)",
    }
    lines = card.locator(".pf-error-trace").inner_text().splitlines()
    assert ["return number / 0" in lines[1], "super().exec(number)" in lines[3], len(lines)] == [True, True, 4]
    card.get_by_role("button", name="Copy traceback").click()
    expect(view.locator(".pf-said")).to_have_text("The whole traceback is in the clipboard.")
    copied = lab.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError: division by zero" in copied
    for _ in range(2):
        lab.run_cell(2)
        shown = lab.outputs(2).last.inner_text()
        assert ["return number / 0" in shown, "async_walk" in shown, shown.count("File ") < 6] == [True, False, True]


def test_a_question_is_answered_by_a_click(lab: Lab) -> None:
    view = _shown(lab, "run = asks.launch({})", "print(run.wait(10).store['said'])")

    view.get_by_role("button", name="no", exact=True).click()

    expect(view.locator(".pf-counts")).to_have_text("done")
    lab.run_cell(2)
    expect(lab.outputs(2)).to_have_text("no")


def test_a_crowd_is_a_cell_a_run_and_a_click_looks_into_one(lab: Lab) -> None:
    view = _shown(lab, "group = launch([good] * 300); group.wait(); None")
    expect(view.locator(".pf-heat-item")).to_have_text("300 done")

    view.locator(".pf-heat > svg").click(position={"x": 40, "y": 5})

    expect(view.locator(".pf-pinned")).to_contain_text("counting-")
    expect(_count(view)).to_have_text("×4")
    view.get_by_role("button", name="Show all").click()
    expect(view.locator("g.pf-node", has_text="1200 done")).to_be_visible()


def test_a_person_who_wants_no_motion_sees_none(lab: Lab) -> None:
    view = _shown(lab, "run = asks.launch({}); run2 = Flow(Count(), name='c').launch({})", "run.cancel()")
    lab.page.emulate_media(reduced_motion="reduce")

    names = view.locator(".pf-node .pf-shape").evaluate_all("all => all.map(el => getComputedStyle(el).animationName)")

    assert names and set(names) == {"none"}
    lab.page.emulate_media(reduced_motion="no-preference")
    assert re.search("asks", view.get_attribute("aria-label") or "") or view.get_attribute("role") == "group"
    lab.run_cell(2)


def test_keys_go_through_the_cells_of_a_crowd(lab: Lab) -> None:
    cell = "group = launch([good] * 960 + [bad] * 40, show=False).wait(); from pocketflex_nb.notebook import RunView; RunView(group)"
    view = _shown(lab, cell)
    heat, pinned = view.locator(".pf-heat"), view.locator(".pf-pinned strong")
    expect(heat.locator("svg").first).to_have_attribute("aria-label", "40 failed, 960 done")

    heat.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(pinned).to_have_text("counting-961")
    lab.page.keyboard.press("ArrowDown")

    expect(pinned).to_have_text("counting-61")  # 100 cells on, past the 40 that failed
    expect(view.locator(".pf-lane")).to_have_count(1)
    lab.page.keyboard.press("ArrowLeft")
    expect(pinned).to_have_text("counting-60")
    lab.page.keyboard.press("Escape")
    expect(view.locator(".pf-pinned")).to_be_hidden()
    expect(view.locator(".pf-lane")).to_have_count(0)


_FAN = """
from pocketflex_nb.concurrency.engine_thread import engine_thread
gate = asyncio.Event()
class Plan(Node): pass
class Search(Node):
    async def exec(self, prep_res): await gate.wait()
class Read(Search): pass
class Compare(Search): pass
plan, write = Plan(), Node()
plan >> [Search(), Read(), Compare()] >> write
fan = Flow(plan, name="fan")
"""


def test_parallel_branches_have_bars_that_grow_while_they_run(lab: Lab) -> None:
    lab.open(lab.write([_FLOWS + _FAN, "run = fan.launch({}, max_steps=40)", "engine_thread.call_soon(gate.set)"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = _view(lab, 1)
    bars = view.locator(".pf-mark-now")

    expect(bars).to_have_count(3)

    assert sorted(str(bar.get_attribute("title")).split(",")[0] for bar in bars.all()) == ["Compare", "Read", "Search"]
    tops = bars.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().top)")     # at once: a new view scrolls into sight
    assert len(set(tops)) == 3, "each has a row of its own"
    expect(view.locator(".pf-facts")).to_contain_text("step 1/40")
    ends = view.locator(".pf-scale > span").last
    first = ends.inner_text()
    expect(ends).not_to_have_text(first)
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"fan-out-{theme}", of=view)
    lab.run_cell(2)
    expect(bars).to_have_count(0)
    expect(view.locator("rect.pf-bar")).to_have_count(5)


def test_the_menu_is_used_by_keys_and_writes_files(lab: Lab) -> None:
    view = _shown(lab, "run = good.launch({}); run.wait(); None")
    cells, more, menu = lab.panel.locator(".jp-Cell").count(), view.get_by_role("button", name="More"), view.get_by_role("menu")
    more.focus()
    lab.page.keyboard.press("ArrowDown")
    expect(menu).to_be_visible()
    expect(more).to_have_attribute("aria-expanded", "true")
    expect(view.get_by_role("menuitem", name="Export HTML")).to_be_focused()
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"menu-{theme}", of=view)
        assert not poor_texts(view)

    for key in ("s", "b", "d", "d", "End", "ArrowDown", "ArrowUp"):
        lab.page.keyboard.press(key)

    expect(view.get_by_role("menuitem", name="Events")).to_be_focused()
    lab.page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(more).to_be_focused()
    for key in ("Enter", "Enter"):
        lab.page.keyboard.press(key)
    expect(view.locator(".pf-said")).to_have_text(re.compile(r"Written to counting[-\d]*\.html, beside the notebook\."))
    written = lab.server.root / view.locator(".pf-said").inner_text().split()[2].rstrip(",")
    assert "counting" in written.read_text(encoding="utf-8")
    assert lab.panel.locator(".jp-Cell").count() == cells, "a key reached Lab"


def test_the_menu_copies_mermaid_opens_events_and_closes_beside_it(lab: Lab) -> None:
    view = _shown(lab, "run = good.launch({}); run.wait(); None")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    more, menu = view.get_by_role("button", name="More"), view.get_by_role("menu")

    more.click()
    view.get_by_role("menuitem", name="Copy Mermaid").click()

    expect(view.locator(".pf-said")).to_have_text("The diagram is in the clipboard, as Mermaid text.")
    assert lab.evaluate("() => navigator.clipboard.readText()").startswith("flowchart")
    more.click()
    view.get_by_role("menuitem", name="Events").click()
    expect(view.get_by_role("tab", name="Events")).to_have_attribute("aria-selected", "true")
    more.click()
    expect(menu).to_be_visible()
    view.locator(".pf-find").click()
    expect(menu).to_be_hidden()


def test_pause_and_stop_leave_the_other_buttons_where_they_are(lab: Lab) -> None:
    slow = "class Slow(Count):\n    async def exec(self, prep_res): await asyncio.sleep(600)\n"
    view = _shown(lab, slow + "run = Flow(Slow(), name='slow').launch({})")
    tools = view.locator(".pf-tools")
    pause, stop, more = (tools.locator(name) for name in (".pf-pause", ".pf-stop", ".pf-more"))

    def places() -> list[tuple[float, float]]:
        boxes = [button.bounding_box() for button in (pause, stop, more)]
        return [(box["x"], box["width"]) for box in boxes if box is not None]

    before = places()
    pause.click()
    expect(tools.get_by_role("button", name="Step")).to_be_visible()
    assert places() == before
    expect(pause).to_have_text("Resume")
    stop.click()
    expect(view.locator(".pf-counts")).to_have_text("cancelled")
    expect(view.locator(".pf-place")).to_contain_text("Slow cancelled")
    expect(view.locator("g.pf-node")).to_have_attribute("data-state", "cancelled")
    expect(view.locator(".pf-bar-failed")).to_have_count(0)
