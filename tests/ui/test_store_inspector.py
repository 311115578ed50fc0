"""The store inspector under a person's hands: opening, filtering, going back, comparing, editing, taking a seed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab

_SETUP = """
%load_ext pocketflex_nb
from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.notebook import StoreInspector

class Note(Node):
    def post(self, shared, prep_res, exec_res):
        shared["notes"].append({"title": f"note {len(shared['notes'])}"})
        return "more" if len(shared["notes"]) < 4 else "enough"

note = Note()
note - "more" >> note
note - "enough" >> Node()
noting = Flow(note, name="noting")
def seeded(topic): return {"notes": [], "topic": topic, "api_key": "sk-abcdefghijklmnop1234", "markup": "<img src=x onerror=alert(1)>"}
group = launch({"one": (noting, seeded("solar")), "two": (noting, seeded("wind"))}, show=False).wait()
"""


@pytest.fixture
def view(lab: Lab) -> Locator:
    lab.open(lab.write([_SETUP, "StoreInspector(group)", "print(seed['notes'], group['one'].store['topic'])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    found = lab.cell(1).locator(".pf-store")
    expect(found).to_be_visible()
    return found


def _row(view: Locator, name: str) -> Locator:
    return view.locator(".pf-store-row").filter(has=view.page.locator(".pf-store-name").get_by_text(name, exact=True))


def test_branches_open_and_markup_is_text(view: Locator) -> None:
    _row(view, "notes").locator(".pf-store-twist").click()

    expect(view.locator('.pf-store-row[aria-level="2"]')).to_have_count(4)
    expect(_row(view, "markup").locator(".pf-store-value")).to_have_text("'<img src=x onerror=alert(1)>'")
    assert view.locator("img").count() == 0


def test_the_filter_keeps_what_fits(view: Locator) -> None:
    view.get_by_label("Filter keys and values").fill("solar")

    expect(view.locator(".pf-store-row")).to_have_count(1)
    expect(view.locator(".pf-store-name").first).to_have_text("topic")


def test_going_back_and_taking_a_seed(lab: Lab, view: Locator) -> None:
    for _ in range(3):
        view.get_by_role("button", name="One step back").click()
    expect(view.locator(".pf-store-place")).to_contain_text("1 of 4")
    expect(_row(view, "notes").locator(".pf-store-type")).to_have_text("list 1")

    view.get_by_role("button", name="Use as seed").click()

    expect(view.locator(".pf-store-note")).to_contain_text("`seed` holds the store at version")
    lab.run_cell(2)
    expect(lab.outputs(2)).to_have_text("[{'title': 'note 0'}] solar")


def test_keys_alone_open_look_into_and_go_back(lab: Lab, view: Locator) -> None:
    cells, tree = lab.panel.locator(".jp-Cell").count(), view.get_by_role("tree")
    tree.focus()

    for key in ("ArrowRight", "ArrowDown", "Enter", "b", "a", "d", "d"):
        lab.page.keyboard.press(key)

    expect(view.locator('.pf-store-row[aria-level="2"]')).to_have_count(4)
    expect(view.locator(".pf-store-path")).to_contain_text("notes[0]")
    chosen = view.locator('.pf-store-row[aria-selected="true"]')
    expect(chosen).to_have_count(1)
    assert tree.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    tree.focus()
    lab.page.keyboard.press("[")
    expect(view.locator(".pf-store-place")).to_contain_text("3 of 4")
    lab.page.keyboard.press("/")
    lab.page.keyboard.type("solar")
    expect(view.locator(".pf-store-row")).to_have_count(1)
    assert lab.panel.locator(".jp-Cell").count() == cells, "a key reached Lab"


def test_two_runs_are_compared(view: Locator) -> None:
    view.get_by_label("Compare with").select_option("two")

    expect(view.locator(".pf-store-change")).to_have_text("~topic'wind' → 'solar'")
    view.get_by_label("only changed").check()
    expect(view.locator(".pf-store-row")).to_have_count(1)


def test_a_value_is_edited_and_a_secret_is_not(view: Locator) -> None:
    _row(view, "topic").click()
    view.get_by_role("button", name="Edit").click()
    view.get_by_label("Value of topic").fill("tides")

    view.get_by_role("button", name="Write").click()

    expect(_row(view, "topic").locator(".pf-store-value")).to_have_text("'tides'")
    expect(_row(view, "topic").locator(".pf-store-writer")).to_have_text("by hand")
    _row(view, "api_key").click()
    expect(view.locator(".pf-store-path")).to_contain_text("api_key")
    expect(view.get_by_role("button", name="Edit")).to_have_count(0)
    assert "sk-abc" not in view.inner_text()


def test_both_themes_are_looked_at(lab: Lab, view: Locator) -> None:
    _row(view, "notes").click()
    expect(view.locator(".pf-store-history li")).to_have_count(4)

    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"store-{theme}", of=view)
        card = view.evaluate("el => getComputedStyle(el).backgroundColor")
        assert (card == "rgb(255, 255, 255)") is (theme == "light")


_VALUES = """
import base64, struct, zlib
import numpy as np, pandas as pd
from pocketflex_nb import Store

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\\x00" + bytes(v for x in range(12) for v in (40 * y, 20 * x, 120)) for y in range(6))
head = struct.pack(">IIBBBBB", 12, 6, 8, 2, 0, 0, 0)
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
held = Store({"table": pd.DataFrame({"city": ["Oslo", "Rome"], "score": [0.5, 0.75]}), "grid": np.arange(12.0).reshape(3, 4),
              "picture": png, "text": "word " * 2_000})
"""


@pytest.mark.parametrize(
    ("key", "kind", "told"),
    [
        ("table", "DataFrame 2x2", ["city", "Oslo", "0.75", "(DataFrame 2x2)"]),
        ("grid", "ndarray 3x4", ["[ 0.  1.  2.  3.]", "(ndarray 3x4 float64)"]),
        ("text", "str 10000", ["word word", "(10,000 characters)"]),
    ],
)
def test_tables_arrays_and_long_texts_are_previewed(lab: Lab, key: str, kind: str, told: list[str]) -> None:
    view = _held(lab)
    expect(_row(view, key).locator(".pf-store-type")).to_have_text(kind)

    _row(view, key).click()

    for text in told:
        expect(view.locator(".pf-store-text")).to_contain_text(text)
    assert len(view.locator(".pf-store-text").inner_text()) < 2_200


def test_a_picture_is_shown_as_one(lab: Lab) -> None:
    view = _held(lab)

    _row(view, "picture").click()

    image = view.get_by_alt_text("Picture at picture")
    expect(image).to_be_visible()
    lab.page.wait_for_function("() => document.querySelector('.pf-store-image')?.naturalWidth === 12")
    lab.screenshot("store-picture", of=view)


def _held(lab: Lab) -> Locator:
    lab.open(lab.write([_SETUP + _VALUES, "StoreInspector(held)"]))
    lab.run_cell(0)
    lab.run_cell(1)
    return lab.cell(1).locator(".pf-store")


_PAUSED = """
import asyncio
class Look(Node):
    async def exec(self, prep_res): await asyncio.sleep(0.01)
    def post(self, shared, prep_res, exec_res): shared["seen"] = shared["topic"]
look, again = Look(), Look()
look >> again
run = Flow(look, name="looking").launch({"topic": "solar"}, show=False)
run.pause()
while run.status != "paused": pass
"""


def test_a_value_is_edited_while_its_run_is_paused(lab: Lab) -> None:
    lab.open(lab.write([_SETUP + _PAUSED, "StoreInspector(run)", "run.resume(); run.wait(10); print(run.store['seen'])"]))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".pf-store")

    _row(view, "topic").click()
    view.get_by_role("button", name="Edit").click()
    view.get_by_label("Value of topic").fill("tides")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    expect(_row(view, "topic").locator(".pf-store-value")).to_have_text("'tides'")

    lab.run_cell(2)

    expect(lab.outputs(2)).to_have_text("tides")


def test_the_store_is_shown_as_a_table_and_as_json(lab: Lab, view: Locator) -> None:
    form = view.get_by_label("View")

    form.select_option("table")
    expect(_row(view, "notes[3].title").locator(".pf-store-value")).to_have_text("'note 3'")
    _row(view, "notes[3].title").click()
    expect(view.get_by_role("button", name="Copy path")).to_be_visible()
    lab.screenshot("store-table", of=view)
    form.select_option("json")

    page = view.get_by_label("The store as JSON")
    expect(page).to_contain_text('"title": "note 3"')
    expect(page).to_contain_text("<img src=x onerror=alert(1)>")
    assert view.locator("img").count() == 0 and "sk-abc" not in view.inner_text()
    expect(view.get_by_role("tree")).to_be_hidden()
    for theme in ("light", "dark"):
        lab.theme(theme)
        assert poor_texts(view) == [], theme
    lab.screenshot("store-json", of=view)
    lab.theme("light")
    form.select_option("tree")
    expect(view.get_by_role("tree")).to_be_visible()


_WAITING = """
import asyncio
gate = asyncio.Event()
class Draft(Node):
    async def exec(self, prep_res): await gate.wait()
    def post(self, shared, prep_res, exec_res): shared["draft"] = "the <b>second</b> draft"
class Review(Node):
    def post(self, shared, prep_res, exec_res): shared["reviewed"] = True
draft = Draft()
draft >> Review()
seed = {"draft": "", "notes": ["high", "low"], "score": 1, "api_key": "sk-abcdefghijklmnop1234"}
run = Flow(draft, name="writing").launch(seed, show=False)
StoreInspector(run)
"""


def _waiting(lab: Lab) -> Locator:
    from_gate = "from pocketflex_nb.concurrency.engine_thread import engine_thread; engine_thread.call_soon(gate.set)"
    scores = "for score in (4, 3, 2): run.store['score'] = score"
    lab.open(lab.write([_SETUP, _WAITING, from_gate, scores]))
    lab.run_cell(0)
    lab.run_cell(1)
    found = lab.cell(1).locator(".pf-store")
    expect(found).to_be_visible()
    return found


def test_a_break_set_by_a_click_holds_the_run_and_says_why(lab: Lab) -> None:
    view = _waiting(lab)
    _row(view, "draft").click()
    button = view.get_by_role("button", name="Break when changed")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")

    lab.run_cell(2)

    held = view.locator(".pf-store-held")
    expect(held).to_contain_text("Paused before Review: draft was changed by writing · Draft, step 1")
    expect(_row(view, "reviewed")).to_have_count(0)
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"store-break-{theme}", of=view)
        assert not poor_texts(view)
    held.get_by_role("button", name="Resume").click()
    expect(held).to_be_hidden()
    expect(_row(view, "reviewed")).to_have_count(1)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("title", "The run is over: no node will change this any more")


def test_watched_values_stay_in_sight_and_are_followed_with_keys_alone(lab: Lab) -> None:
    view, cells = _waiting(lab), lab.panel.locator(".jp-Cell").count()
    pins, watch = view.get_by_role("region", name="Watched"), view.get_by_role("button", name="Watch", exact=True)
    for name in ("draft", "api_key"):
        _row(view, name).click()
        expect(view.locator(".pf-store-path")).to_contain_text(name)
        watch.focus()
        lab.page.keyboard.press("Enter")
        expect(watch).to_have_attribute("aria-pressed", "true")
    expect(watch).to_be_focused()
    for key in ("b", "a", "d", "d"):
        lab.page.keyboard.press(key)

    lab.run_cell(2)

    line = pins.locator(".pf-store-pin").first
    expect(line.locator(".pf-store-value")).to_have_text("'the <b>second</b> draft'")
    expect(line.locator(".pf-store-writer")).to_have_text("writing · Draft")
    assert "sk-abc" not in view.inner_text()
    assert lab.panel.locator(".jp-Cell").count() == cells, "a key reached Lab"
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"store-watched-{theme}", of=view)
        assert not poor_texts(view)
    _row(view, "score").click()
    watch.click()
    lab.run_cell(3)
    curve = pins.get_by_role("img", name=re.compile("score: from 1 to 2, between 1 and"))
    expect(curve).to_be_visible()
    lab.screenshot("store-curve-dark", of=view)
    pins.get_by_role("button", name="draft", exact=True).click()
    expect(view.locator(".pf-store-path")).to_contain_text("draft")
    pins.get_by_role("button", name="Watch draft no more").click()
    expect(pins.locator(".pf-store-pin")).to_have_count(2)


def test_a_value_is_copied_as_a_whole(lab: Lab) -> None:
    view = _waiting(lab)
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _row(view, "notes").click()

    view.get_by_role("button", name="Copy value").click()

    expect(view.get_by_role("button", name="Copied")).to_be_visible()
    assert lab.evaluate("() => navigator.clipboard.readText()") == "['high', 'low']"
    lab.run_cell(2)
