"""Notebook 7 in one sitting: what JupyterLab's tests prove of streams, fit, first sight, errors, stops, names, inner runs and stills."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.ui.contrast import poor_texts
from tests.ui.lab import ClassicPage
from tests.ui.test_first_minute import _NEEDLESS as NEEDLESS

_FLOWS = """
import asyncio
from pocketflex_nb import Flow, Node, Store, emit, launch, linear, node
from pocketflex_nb.notebook import StoreInspector

class Say(Node):
    words = 40
    async def exec(self, prep_res):
        for k in range(self.words):
            emit("token", f"{type(self).__name__} word {k} ")
            await asyncio.sleep(0.02)
class Plan(Say): words = 3
class Read(Say): pass
class Search(Say): pass
class Write(Say):
    words = 3
    def post(self, shared, prep_res, exec_res):
        emit("summary", "three words about tea")
        shared["text"] = "tea " * 40
plan, read, search, write = Plan(), Read(), Search(), Write()
plan >> [search, read] >> write
report = Flow(plan, name="report")

@node
async def check(shared):
    limit = 3
    raise ValueError(f"no more than {limit}")
failing = Flow(check, name="failing")

@node
async def wait(shared):
    await asyncio.sleep(60)
waiting = linear(node(lambda shared: None), wait, name="waiting")

@node
async def look(shared):
    emit("log", f"page {shared['page']}")
inner = Flow(look, name="reader")
@node
async def survey(shared):
    await inner.launch_each("page", range(8), show=False)
outer = Flow(survey, name="outer")
"""
_CELLS = [
    _FLOWS,
    "report",
    "run = report.launch({'topic': 'tea'}); run.wait(); None",
    "try:\n    failing.launch({}).result()\nexcept ValueError:\n    pass",
    "stopped = waiting.launch_each('topic', ['tea', 'bees']); stopped[0].name",
    "StoreInspector(run)",
    "outer.launch({}).wait(); None",
]


def _view(classic: ClassicPage, cell: int) -> Locator:
    return classic.cell(cell).locator(".pf-run-view").first


def test_notebook_7_shows_saves_and_reads_again_what_jupyterlab_does(classic: ClassicPage) -> None:
    path = classic.write(_CELLS, name="classic-story")
    classic.open(path)
    classic.run_all()

    # without %load_ext things show themselves; two streams are two paragraphs; the view fits its place and has no needless scrollbar
    expect(classic.cell(1).locator("img, svg").first).to_be_visible()
    report = _view(classic, 2)
    expect(report.locator(".pf-counts")).to_have_text("done")
    streams = report.locator('.pf-said-part[data-columns="2"] > .pf-said-column')
    expect(streams).to_have_count(2)
    expect(streams.locator(".pf-line")).to_have_count(2)
    expect(report.locator('g.pf-node[data-node="Write"]')).to_contain_text("three words about tea")
    assert report.evaluate(NEEDLESS) == []
    box = report.bounding_box()
    assert box is not None
    assert box["height"] <= 420

    # an error is told by the user's own lines
    card = _view(classic, 3).locator(".pf-error-card").first
    expect(card).to_contain_text("ValueError")
    expect(card).to_contain_text("limit")
    assert not any(word in card.inner_text() for word in ("site-packages", "IPython", "run_code"))

    # lanes are named by their items; what is stopped is cancelled everywhere, and its lane is at its end
    stopped = _view(classic, 4)
    expect(stopped.locator(".pf-lane-name")).to_have_text(["tea", "bees"])
    stopped.get_by_role("button", name="Stop", exact=True).first.click()
    expect(stopped.locator(".pf-counts")).to_have_text("2 cancelled")
    expect(stopped.locator('g.pf-node[data-node="wait"]')).to_have_attribute("data-state", "cancelled")
    expect(stopped.locator(".pf-place")).to_contain_text("4 of 4")
    assert all(stopped.locator(".pf-lines").evaluate_all("els => els.map(el => el.scrollTop + el.clientHeight >= el.scrollHeight - 12)"))

    # the inspector in a narrow window keeps its actions in sight
    classic.page.set_viewport_size({"width": 700, "height": 900})
    store = classic.cell(5).locator(".pf-store").first
    store.locator(".pf-store-row", has_text="text").click()
    for name in ("Edit", "Copy"):
        button = store.get_by_role("button", name=name).first
        button.scroll_into_view_if_needed()
        right = button.evaluate("el => el.getBoundingClientRect().right")
        assert right <= 700, name
    classic.page.set_viewport_size({"width": 1400, "height": 1000})

    # runs inside of a step are opened there
    outer = _view(classic, 6)
    outer.locator('g.pf-node[data-node="survey"]').click()
    expect(outer.locator(".pf-way")).to_contain_text("outer/survey")
    expect(outer.locator(".pf-counts")).to_contain_text("8 done")
    assert poor_texts(report) == []

    # saved, and opened again by somebody else: the still forms tell it all
    classic.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    stills = [output.data for cell in classic.saved(path).cells for output in cell.outputs if "text/markdown" in output.get("data", {})]
    assert [next(iter(sorted(still, key=lambda kind: kind != "text/html"))) for still in stills] == ["text/html"] * 5
    assert any("2 cancelled" in still["text/html"] and "As it stood" not in still["text/html"] for still in stills)
    classic.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    classic.open(path)
    for cell, words in ((2, "Search word 39"), (3, "no more than 3"), (4, "2 cancelled"), (5, "text"), (6, "8 runs inside")):
        expect(classic.cell(cell).locator(".pf-still")).to_contain_text(words)
    expect(classic.cell(2).get_by_text("Loading widget")).to_be_hidden()
    assert poor_texts(classic.cell(3).locator(".pf-still")) == []
    classic.forget()  # it complains of the widgets whose kernel is gone
