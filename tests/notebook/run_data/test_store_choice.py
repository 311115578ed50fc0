"""Which store the Store tab of a run view shows: that of the step, or one that is chosen, by address or by a box of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, Flow, Node, launch
from pocketflex_nb.notebook.run_data.store_choice import FOLLOW
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView


class Write(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["draft"], shared["scrap"] = "a text", "only inside"


class Survey(Node):
    async def exec(self, prep_res: Any) -> None:
        await Flow(Flow(Write(), name="write", outputs=["draft"]), name="reader").launch_each("page", range(2), show=False)


@pytest.fixture
def view() -> Iterator[RunView]:
    survey = Survey()
    survey >> Flow(Write(), name="write", outputs=["draft"])
    run = launch(Flow(survey, name="report"), {"topic": "tides"}, show=False).wait(10)
    made = RunView(run)
    yield made
    made.close()


def _asked(view: RunView, **request: Any) -> dict[str, Any]:
    view._requests.append(request)
    view.refresh()
    return dict(view.tab_content)


def _keys(content: dict[str, Any]) -> set[str]:
    return {row[1] for row in content["rows"]}


def test_the_stores_of_a_run_are_offered_and_the_chosen_one_is_shown(view: RunView) -> None:
    followed = _asked(view, do="tab", name="store")
    addresses = [address for address, _ in followed["stores"]]
    private = _asked(view, do="store", place=addresses[-1])
    own = _asked(view, do="store", place="")
    again = _asked(view, do="store", place=FOLLOW)

    assert addresses == [FOLLOW, "", "report/write#1"]
    assert (followed["place"], private["place"], own["place"], again["place"]) == (FOLLOW, "report/write#1", "", FOLLOW)
    assert _keys(private) == {"draft", "scrap"}
    assert _keys(own) == {"topic", "draft"}
    assert again == followed


def test_the_box_of_a_flow_opens_its_latest_private_store(view: RunView) -> None:
    content = _asked(view, do="store", node="write", flow=0)

    assert (content["tab"], content["place"]) == ("store", "report/write#1")
    assert 'class="pf-group pf-private" data-node="write"' in view.diagrams[0]["svg"]


def test_private_stores_of_runs_inside_a_step_open_there(view: RunView) -> None:
    _asked(view, do="enter", node="Survey", flow=0)
    _asked(view, do="focus", run=1)
    own = _asked(view, do="store", place="")
    private = _asked(view, do="store", node="write", flow=0)

    assert view.header["crumbs"] == [view.title, "Survey", "reader[1]"]
    assert _keys(own) == {"page", "draft"}
    assert (private["place"], _keys(private)) == ("reader/write#1", {"draft", "scrap"})


def test_the_private_stores_of_branches_and_of_items_open_from_the_box_too() -> None:
    class Items(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"k": k} for k in range(2)]

    inner = Flow(Items(Write(), name="each", outputs=["draft"]), name="both")
    start = Flow(Write(), name="first", outputs=["draft"])
    start >> [inner, Flow(Write(), name="other", outputs=["draft"])]
    run = launch(Flow(start, name="report"), {}, show=False).wait(10)
    view = RunView(run)
    try:
        places = {box: _asked(view, do="store", node=box, flow=0)["place"] for box in ("first", "both/each", "other")}
    finally:
        view.close()

    assert places == {
        "first": "report/first#1", "both/each": "report/first#1{both}/both#1/each#1[1]", "other": "report/first#1{other}/other#1",
    }


@pytest.mark.parametrize("request_", [{"place": "report/gone#1"}, {"node": "Survey"}, {"node": "<script>"}, {}])
def test_what_no_run_has_changes_nothing(view: RunView, request_: dict[str, Any]) -> None:
    before = _asked(view, do="tab", name="store")

    assert _asked(view, do="store", **request_) == before
