"""Limits of a flow inside a flow: what they end is that flow, and an error edge may take it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import END, BatchFlow, Flow, Node, Store, ask, current, emit, launch
from pocketflex_nb.core.errors import BudgetSpent, RunTimeout, StepLimit
from tests.engine.fakes import SOON, Put

WAYS = ["run", "launch"]


class Again(Node):
    """Goes round for ever, counting."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["turns"] = shared.get("turns", 0) + 1
        return "again"


class Spender(Again):
    def exec(self, prep_res: Any) -> None:
        emit("usage", tokens=40)


class Forever(Node):
    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        await asyncio.Event().wait()


class Tell(Node):
    """Behind an error edge: keeps what failed."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["error"] = str(current().error)


def looping(cls: type[Node] = Again, **limits: Any) -> Flow:
    node = cls()
    node - "again" >> node
    return Flow(node, name="inner", **limits)


def walk(flow: Flow, way: str) -> Store:
    store = Store({})
    if way == "run":
        flow.run(store)
    else:
        launch(flow, store).result(SOON)
    return store


def around(inner: Flow) -> Flow:
    """A run in which `inner` has an error edge, after which it goes on."""
    tell, last = Tell(), Put("last")
    inner.on_error(tell)
    tell >> last
    return Flow(inner, name="outer")


@pytest.mark.parametrize("way", WAYS)
def test_max_steps_of_a_nested_flow_fail_it_and_name_its_busiest_node(way: str) -> None:
    store = walk(around(looping(max_steps=7)), way)

    assert store["turns"] == 7
    assert store["last"]
    assert "flow 'inner'" in store["error"] and "7 steps" in store["error"] and "inner/Again (7x)" in store["error"]


@pytest.mark.parametrize("way", WAYS)
def test_without_an_error_edge_the_run_fails_with_the_store_kept(way: str) -> None:
    store = Store({})
    outer = Flow(looping(max_steps=3), name="outer")

    with pytest.raises(StepLimit, match="inner"):
        outer.run(store) if way == "run" else launch(outer, store).result(SOON)

    assert store["turns"] == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_token_budget_counts_what_its_own_flow_spends_only(way: str) -> None:
    before = looping(Spender, max_steps=5)
    tell = Tell()
    before.on_error(tell)
    inner = looping(Spender, budget={"tokens": 100})
    tell >> inner
    last = Tell()
    inner.on_error(last)

    store = walk(Flow(before), way)

    assert store["turns"] == 5 + 3  # 120 of 100, seen before the fourth
    assert "120 of 100 tokens" in store["error"]


@pytest.mark.parametrize("way", WAYS)
def test_a_budget_of_steps_is_an_error_of_its_own(way: str) -> None:
    store = Store({})
    outer = Flow(looping(budget={"steps": 4}))

    with pytest.raises(BudgetSpent, match="4 of 4 steps") as caught:
        outer.run(store) if way == "run" else launch(outer, store).result(SOON)

    assert (caught.value.what, store["turns"]) == ("steps", 4)


@pytest.mark.parametrize("way", WAYS)
def test_the_timeout_of_a_nested_flow_cancels_what_it_awaits(way: str) -> None:
    store = walk(around(Flow(Forever(), name="inner", timeout=0.05)), way)

    assert "flow 'inner'" in store["error"] and "longer than 0.05 s" in store["error"]
    assert store["last"]


@pytest.mark.parametrize("way", WAYS)
def test_an_endless_loop_of_plain_steps_ends_at_its_timeout(way: str) -> None:
    store = walk(around(looping(timeout=0.05)), way)

    assert store["turns"] > 1 and "longer than" in store["error"]


@pytest.mark.parametrize("way", WAYS)
def test_seconds_of_a_budget_bound_a_batch_flow_as_a_whole(way: str) -> None:
    class Items(BatchFlow):
        def prep(self, shared: Any) -> list[dict[str, int]]:
            return [{"n": n} for n in range(3)]

    inner = Items(Forever(), name="inner", budget={"seconds": 0.05})
    store = walk(around(inner), way)

    assert "of 0.05 seconds" in store["error"]


def test_each_visit_of_a_nested_flow_has_its_limits_anew() -> None:
    class Twice(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["visits"] = shared.get("visits", 0) + 1
            return "again" if shared["visits"] < 3 else "stop"

    inner, twice = Flow(Put("a") >> Put("b"), max_steps=2), Twice()
    inner >> twice
    twice - "again" >> inner
    twice - "stop" >> END
    store = Store({})

    Flow(inner).run(store)

    assert store["visits"] == 3


def test_time_in_which_a_nested_flow_asks_does_not_count(eventually: Any) -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            return await ask("well?")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    store = Store({})
    run = launch(Flow(Flow(Asks(), name="inner", timeout=0.2)), store)
    eventually(lambda: run.status == "asking")
    over = threading.Event()
    assert not over.wait(0.5)  # longer than the limit

    run.answer("yes")

    run.result(SOON)
    assert store["answer"] == "yes"


def test_a_cancelled_run_is_cancelled_not_late(eventually: Any) -> None:
    run = launch(Flow(Flow(Forever(), timeout=60)), {})
    eventually(run.in_flight)

    run.cancel()

    assert run.wait(SOON).status == "cancelled"


def test_the_run_s_own_limit_is_not_taken_for_the_nested_flow_s() -> None:
    inner = looping(timeout=60)
    inner.on_error(Tell())
    store = Store({})

    with pytest.raises(RunTimeout, match="run 'outer"):
        Flow(inner, name="outer", timeout=0.05).run(store)

    assert "error" not in store
