"""Every text of every view and picture stands out from what is behind it by 4.5 to 1, every sign by 3 to 1, in both themes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.core.state import NodeState, State
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.diagrams.palette import STATUSES
from pocketflex_nb.views.diagrams.timeline import timeline
from tests.ui.contrast import poor_texts
from tests.ui.lab import Lab
from tests.ui.test_agents import _SETUP as AGENTS
from tests.ui.test_agents import _TREE as TREE
from tests.ui.test_run_view import _FLOWS as FLOWS
from tests.ui.test_store_inspector import _SETUP as STORES


def _both_themes(lab: Lab, view: Locator, name: str) -> None:
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.screenshot(f"{name}-{theme}", of=view)
        assert poor_texts(view) == [], f"{name}, {theme}"


def _shown(lab: Lab, setup: str, cell: str, view: str) -> Locator:
    lab.open(lab.write([setup, cell]))
    assert lab.run_all() is True
    found = lab.cell(1).locator(view).first
    expect(found).to_be_visible()
    return found


def test_lanes_with_an_error_and_each_tab(lab: Lab) -> None:
    view = _shown(lab, FLOWS, "group = launch([bad, good]); group.wait(); None", ".pf-run-view")
    expect(view.locator(".pf-error-card").first).to_be_visible()

    for tab in ("Error", "Store", "Events", "Messages", "Diff"):
        view.get_by_role("tab", name=tab).click()
        expect(view.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        _both_themes(lab, view, f"run-{tab.lower()}")


def test_a_question_and_a_step_of_the_past(lab: Lab) -> None:
    view = _shown(lab, FLOWS, "group = launch([good, asks])", ".pf-run-view")
    expect(view.get_by_role("button", name="yes", exact=True)).to_be_visible()
    expect(view.locator(".pf-place")).to_contain_text("step 5 of 5")
    _both_themes(lab, view, "run-asking")

    view.get_by_role("button", name="One step back").click()

    expect(view.locator(".pf-place")).to_contain_text("step 4 of 5")
    _both_themes(lab, view, "run-past")


@pytest.mark.parametrize("count", [20, 200])
def test_rows_and_a_crowd(lab: Lab, count: int) -> None:
    view = _shown(lab, FLOWS, f"group = launch([good] * {count} + [bad]); group.wait(); None", ".pf-run-view")
    expect(view.locator(".pf-counts")).to_contain_text(f"{count} done")

    _both_themes(lab, view, f"run-{count}")


def test_the_store_with_a_value_being_edited(lab: Lab) -> None:
    view = _shown(lab, STORES, "StoreInspector(group)", ".pf-store")
    view.get_by_label("Compare with").select_option("two")
    view.locator(".pf-store-row", has_text="topic").click()
    view.get_by_role("button", name="Edit").click()
    expect(view.locator(".pf-store-field")).to_be_visible()

    _both_themes(lab, view, "store")


def test_a_tree_of_agents_with_one_opened(lab: Lab) -> None:
    view = _shown(lab, AGENTS, TREE, ".pf-agents")
    view.get_by_role("button", name="beta", exact=True).click()
    expect(view.locator(".pf-agents-text").first).to_be_visible()

    _both_themes(lab, view, "agents")


def test_messages_between_agents(lab: Lab) -> None:
    cell = (
        "sup = await Supervisor([child(Counter, 1, id='alpha', name='alpha')], name='team').start()\n"
        "with trace(sup) as told:\n    await sup['alpha'].up(2)\ntold"
    )
    view = _shown(lab, AGENTS, cell, ".pf-agents")
    expect(view.locator("svg text").first).to_be_visible()

    _both_themes(lab, view, "messages")


# the pictures alone, as a saved notebook has them -----------------------------------------------------------------------
@pytest.fixture(params=["light", "dark"])
def paper(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(color_scheme=request.param)
    ground = "#ffffff" if request.param == "light" else "#111111"
    page.set_content(f"<body style='background:{ground};margin:0'></body>")
    yield page
    page.close()


def _put(paper: Page, picture: str) -> None:
    paper.evaluate("text => document.body.append(new DOMParser().parseFromString(text, 'image/svg+xml').documentElement)", picture)


class _Step(Node):
    def exec(self, prep_res: object) -> None:
        if type(self).__name__ == "Fails":
            raise ValueError("on purpose")


def _flow() -> Flow:
    nodes = [type(f"Is{status.title()}", (_Step,), {})() for status in STATUSES]
    for before, after in pairwise(nodes):
        before - "onward" >> after
    nodes[0].on_error(nodes[-1])
    inner = Flow(type("Inner", (_Step,), {})(), name="inner")
    nodes[-1] >> inner
    return Flow(nodes[0], name="all states")


def test_a_diagram_in_every_state(paper: Page) -> None:
    flow = _flow()
    graph = flow.launch({}, show=False).wait(10).graph
    told = zip(graph.nodes, STATUSES, strict=False)
    state = State(nodes={node.id: NodeState(status=status, visits=3, seconds=2.0) for node, status in told})

    _put(paper, svg(graph, state))

    assert poor_texts(paper) == []


def test_the_page_of_a_run(paper: Page, tmp_path: Path) -> None:
    run = Flow(type("Fails", (_Step,), {})(), name="fails").launch({"topic": "solar"}, show=False).wait(10)
    written = run.to_html(tmp_path / "run.html")

    paper.goto(written.as_uri())

    assert paper.locator(".error").count() == 1
    assert poor_texts(paper) == []


def test_a_timeline_with_a_failure(paper: Page) -> None:
    runs = launch([_flow(), Flow(type("Fails", (_Step,), {})(), name="fails")], show=False).wait(10)

    _put(paper, timeline({run.name: run.state() for run in runs}))

    assert poor_texts(paper) == []
