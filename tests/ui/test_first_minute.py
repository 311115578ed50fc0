"""What a person sees in the first minute: a view that fits beside its cell, a diagram that shows what works, streams that can be read."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.ui.lab import Lab

_FLOWS = """
%load_ext pocketflex_nb
import asyncio
from pocketflex_nb import Flow, Node, emit, launch

class Say(Node):
    words = 60
    async def exec(self, prep_res):
        for k in range(self.words):
            emit("token", f"{type(self).__name__} word {k} ")
            await asyncio.sleep(0.03)
class Plan(Say): words = 4
class Read(Say): pass
class Search(Say): pass
class Write(Say): words = 4

def report():
    plan, read, search, write = Plan(), Read(), Search(), Write()
    plan >> [search, read] >> write
    return Flow(plan, name="report")

class Step(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.02)
        while type(self).__name__ in held:
            await asyncio.sleep(0.02)
held = set()

def chain(size):
    made = [type(f"Step{k:02}", (Step,), {})() for k in range(size)]
    for one, other in zip(made, made[1:]):
        one >> other
    return Flow(made[0], name="chain")
"""
#: whether an element has a scrollbar for what is no more than a hair too large, or one sideways
_NEEDLESS = """view => [view, ...view.querySelectorAll("*")].filter(el => {
    const style = getComputedStyle(el), over = el.scrollHeight - el.clientHeight, side = el.scrollWidth - el.clientWidth;
    const scrolls = axis => ["auto", "scroll"].includes(style["overflow" + axis]);
    return el.clientHeight > 0 && (scrolls("Y") && over > 0 && over < 6 || scrolls("X") && side > 0);
}).map(el => el.className)"""


def _open(lab: Lab, *cells: str) -> Locator:
    lab.open(lab.write([_FLOWS, *cells]))
    lab.run_cell(0)
    lab.run_cell(1)
    return lab.cell(1).locator(".pf-run-view")


def _is_inside(node: Locator, pane: Locator) -> bool:
    inner, outer = node.bounding_box(), pane.bounding_box()
    assert inner is not None
    assert outer is not None
    right, bottom = inner["x"] + inner["width"], inner["y"] + inner["height"]
    is_across = inner["x"] >= outer["x"] - 2 and right <= outer["x"] + outer["width"] + 2
    return is_across and inner["y"] >= outer["y"] - 2 and bottom <= outer["y"] + outer["height"] + 2


@pytest.fixture
def window(lab: Lab) -> object:
    yield lab.page.set_viewport_size
    lab.page.set_viewport_size({"width": 1400, "height": 1000})


def test_two_nodes_that_stream_are_two_paragraphs_side_by_side(lab: Lab) -> None:
    view = _open(lab, "run = report().launch({})")

    both = view.locator('.pf-said-part[data-columns="2"] > .pf-said-column')

    expect(both).to_have_count(2)
    expect(both.first.locator(".pf-line")).to_have_count(1)
    expect(both.nth(1)).to_contain_text("word 20")
    left, right = both.first.bounding_box(), both.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert right["x"] > left["x"] + left["width"] / 2, "one below the other"
    assert {both.nth(k).locator(".pf-line-node").first.inner_text() for k in (0, 1)} == {"Search", "Read"}
    expect(view.locator(".pf-counts")).to_have_text("done")
    expect(both.locator(".pf-line")).to_have_count(2)


def test_lanes_of_several_runs_name_their_nodes(lab: Lab) -> None:
    view = _open(lab, "group = launch([report(), report()]); group.wait(); None")

    for lane in (view.locator(".pf-lane").first, view.locator(".pf-lane").nth(1)):
        expect(lane.locator(".pf-line-node").filter(visible=True)).to_have_text(["Plan", "Search", "Read", "Write"])


@pytest.mark.parametrize(("height", "most"), [(1000, 420), (768, 340)])
def test_a_view_opens_compact_and_is_in_sight_beside_its_cell(lab: Lab, window, height: int, most: int) -> None:
    window({"width": 1366, "height": height})
    view = _open(lab, "group = launch([report(), report(), report()])", "group.wait()")

    expect(view.locator("g.pf-node[data-state=running]").first).to_be_in_viewport()

    def tall() -> float:
        box = view.bounding_box()
        assert box is not None
        return box["height"]

    assert tall() <= most
    expect(lab.cell(1).locator(".jp-InputArea")).to_be_in_viewport()
    lab.run_cell(2)
    expect(view.locator(".pf-counts")).to_have_text("3 done")
    assert tall() <= most
    view.get_by_role("tab", name="Store").click()
    expect(view.get_by_role("tabpanel")).to_be_visible()
    view.get_by_role("tab", name="Store").click()
    expect(view.locator(".pf-panel")).to_be_hidden()
    assert tall() <= most


@pytest.mark.parametrize("width", [500, 900, 1400])
@pytest.mark.parametrize("upright", [False, True])
def test_a_diagram_that_does_not_fit_follows_what_works(lab: Lab, window, width: int, upright: bool) -> None:
    window({"width": width, "height": 1000})
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    cell = "names = " + repr([f"Step{k:02}" for k in range(16)])
    cell += "\nglobals().update({name: type(name, (Step,), {}) for name in names})"
    diagram = "%%pocketflex chained\nflowchart " + ("TD" if upright else "LR") + "\n"
    diagram += "\n".join(f"  Step{k:02} --> Step{k + 1:02}" for k in range(15))
    cell += "\nheld = {'Step06', 'Step12'}"
    lab.open(lab.write([_FLOWS, cell, diagram, "run = chained.launch({})", "held.discard('Step06')", "held.discard('Step12')"]))
    for index in range(4):
        lab.run_cell(index)
    view = lab.cell(3).locator(".pf-run-view")
    pane = view.locator(".pf-graph")

    for name, then in (("Step06", 4), ("Step12", 5)):
        node = view.locator(f'g.pf-node[data-node="{name}"]')
        expect(node).to_have_attribute("data-state", "running")
        lab.page.wait_for_timeout(300)              # the move takes its time
        assert _is_inside(node.locator(".pf-shape"), pane), f"{name} is out of sight"
        lab.run_cell(then)
    expect(view.locator(".pf-counts")).to_have_text("done")
    size = float(view.locator(".pf-label").first.evaluate("el => el.getScreenCTM().a * 13"))
    assert size >= 10.9, f"labels of {size:.1f} px"
    expect(view.locator(".pf-mini")).to_be_visible()


def test_a_diagram_is_zoomed_panned_and_fitted_by_hand(lab: Lab) -> None:
    view = _open(lab, "run = chain(30).launch({}); run.wait(); None")
    pane, svg = view.locator(".pf-graph"), view.locator(".pf-graph > .pf-svg")
    expect(view.locator(".pf-counts")).to_have_text("done")
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    first = svg.get_attribute("viewBox")
    lab.page.mouse.move(*middle)

    lab.page.mouse.down()
    lab.page.mouse.move(middle[0] + 120, middle[1], steps=4)
    lab.page.mouse.up()
    panned = svg.get_attribute("viewBox")
    lab.page.keyboard.down("Control")
    lab.page.mouse.wheel(0, 400)
    lab.page.keyboard.up("Control")
    expect(svg).not_to_have_attribute("viewBox", panned or "")
    zoomed = svg.get_attribute("viewBox")
    lab.page.mouse.dblclick(*middle)
    expect(svg).not_to_have_attribute("viewBox", zoomed or "")

    wide = [float((told or "").split()[2]) for told in (first, panned, zoomed)]
    assert (panned != first, wide[0] == wide[1], wide[2] > wide[1]) == (True, True, True)
    view.focus()
    lab.page.keyboard.press("+")
    assert float((svg.get_attribute("viewBox") or "").split()[2]) < wide[0]
    lab.page.keyboard.press("0")
    assert float((svg.get_attribute("viewBox") or "").split()[2]) == pytest.approx(wide[0], abs=1)


@pytest.mark.parametrize("width", [500, 900, 1400])
def test_no_pane_scrolls_for_a_hair(lab: Lab, window, width: int) -> None:
    window({"width": width, "height": 1000})
    lab.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    cells = ["report().launch({}).wait()", "launch([report()] * 3).wait()", "chain(3).launch({}).wait()", "launch([chain(3)] * 9).wait()"]
    lab.open(lab.write([_FLOWS, *cells]))
    assert lab.run_all() is True

    for index in range(1, 5):
        view = lab.cell(index).locator(".pf-run-view")
        expect(view.locator(".pf-counts")).to_contain_text("done")
        assert view.evaluate(_NEEDLESS) == [], cells[index - 1]


def test_a_lane_shows_its_last_line_unless_a_person_scrolled_up(lab: Lab) -> None:
    cells = ["class Long(Say):\n    words = 400\nrun = Flow(Long(), name='long').launch({})", "run.cancel()"]
    view = _open(lab, *cells)
    lines = view.locator(".pf-lines")
    is_below = "el => el.scrollHeight - el.clientHeight - el.scrollTop < 12"
    at_end = f"() => ({is_below})(document.querySelector('.pf-run-view .pf-lines'))"
    overflows = "() => { const el = document.querySelector('.pf-run-view .pf-lines'); return el.scrollHeight > el.clientHeight + 60; }"
    lab.page.wait_for_function(overflows)

    lines.evaluate("el => { el.scrollTop = 0; }")                       # the page did this, as where a cell is taken off and put back
    lab.page.wait_for_function(at_end)
    lines.hover()
    lab.page.mouse.wheel(0, -60)
    lab.page.wait_for_function("() => document.querySelector('.pf-run-view .pf-lines').dataset.held === 'true'")
    lab.page.wait_for_timeout(300)
    assert not lines.evaluate(is_below)
    lab.run_cell(2)

    expect(view.locator(".pf-counts")).to_have_text("cancelled")
    lab.page.wait_for_function(at_end)
