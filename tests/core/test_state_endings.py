"""How visits end in a run's state: done, failed and cancelled are told apart and counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch, replay
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel, counted_visits


class Wait(Node):
    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(60)


class Begin(Node):
    pass


class Break(Node):
    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(0.05)
        raise ValueError("broken")


def _begun(flow: Flow, path: str) -> Run:
    run: Run = launch(flow, {}, show=False)
    while path not in run.in_flight():
        run.wait(0.01)
    return run


def _cancelled() -> Run:
    run = _begun(Flow(Wait()), "Wait")
    run.cancel()
    return run.wait(10)


def test_a_cancelled_visit_has_not_failed() -> None:
    state = _cancelled().state()

    span = state.spans[-1]
    assert (span.failed, span.cancelled) == (False, True)
    node = state.nodes["Wait"]
    assert (node.status, node.visits, node.failures, node.cancellations) == ("cancelled", 1, 0, 1)


def test_the_sibling_of_a_failed_branch_is_cancelled_and_not_failed() -> None:
    begin = Begin()
    begin >> [Break(), Wait()]

    state = launch(Flow(begin), {}, show=False).wait(10).state()

    assert {path: node.status for path, node in state.nodes.items()} == {"Begin": "done", "Break": "failed", "Wait": "cancelled"}
    assert {span.node: (span.failed, span.cancelled) for span in state.spans} == {
        "Begin": (False, False), "Break": (True, False), "Wait": (False, True),
    }


@pytest.mark.parametrize("status", ["cancelled", "failed", "done"])
def test_nothing_is_under_way_when_a_run_is_over(status: str) -> None:
    run = _cancelled()
    events = [event for event in run.events if event.kind != "node_failed"]
    begun = events[0].__class__(seq=1, ns=events[0].ns, kind="node_started", run=run.name, node="Wait", address="flow/Wait#1", data={})
    end = events[-1].__class__(seq=2, ns=events[-1].ns, kind="run_finished", run=run.name, node="", address="flow", data={"status": status})

    state = replay([events[0], begun, end])

    assert state.nodes["Wait"].status == "cancelled"


@pytest.mark.parametrize("count", [3, 70])
def test_the_counts_of_several_runs_tell_cancelled_from_done(count: int) -> None:
    flow = Flow(Wait())
    group = launch([flow] * count, show=False)
    while any("Wait" not in run.in_flight() for run in group):
        group[0].wait(0.01)
    model = RunViewModel(list(group))
    assert model.states(flow)["Wait"][2] == f"{count} here"
    group.cancel()
    group.wait(10)

    status, _, text, _ = model.states(flow)["Wait"]

    assert (status, text) == ("cancelled", f"{count} cancelled")


def test_the_cursor_and_the_bars_say_cancelled() -> None:
    model = RunViewModel([_cancelled()])

    assert model.cursor()["text"].startswith("Wait cancelled")
    assert [bar[3] for bar in model.spans()[0]] == [2]


def test_counts_are_words() -> None:
    assert counted_visits(2, 6, 1, 2) == "2 here, 3 done, 1 failed, 2 cancelled"
    assert counted_visits(0, 0, 0, 0) == ""


def test_the_cursor_counts_all_steps_of_a_long_run_and_goes_to_each() -> None:
    class Loop(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str | None:
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 3_000 else None

    loop = Loop()
    loop - "again" >> loop
    run = launch(Flow(loop), {}, show=False).wait(30)
    model = RunViewModel([run])

    assert (model.cursor()["at"], model.cursor()["of"]) == (3_000, 3_000)
    for step in (1, 500, 2_999):
        model.go_to(step=step)
        assert model.cursor()["at"] == step
        assert model.states(run.flow)["Loop"][1] == step
    model.go_to(by=1)
    assert model.cursor()["at"] == 3_000
