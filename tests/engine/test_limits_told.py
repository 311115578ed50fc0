"""A limit that was overrun is told, whatever overran it: nothing that came too late passes for done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Store, current, emit
from pocketflex_nb.core.errors import BudgetSpent, NodeTimeout, RunTimeout
from pocketflex_nb.engine.control import attempt_clock as clock
from pocketflex_nb.engine.runs.run import runs
from tests.engine.conftest import Way
from tests.engine.fakes import SOON

LIMIT, LATE = 0.1, 0.3


class Kept(Node):
    """Keeps that it began, so that a store is there to be kept."""

    def prep(self, shared: Any) -> None:
        shared["began"] = True


class PlainExec(Kept):
    def exec(self, prep_res: Any) -> None:
        time.sleep(LATE)


class BlockingAsync(Kept):
    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        time.sleep(LATE)


class Swallows(Kept):
    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        until = time.monotonic() + LATE
        while (left := until - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                pass


class SlowPost(Kept):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        time.sleep(LATE)


class SlowItem(BatchNode):
    def prep(self, shared: Any) -> Any:
        shared["began"] = True
        return [1]

    async def exec(self, item: int) -> None:  # type: ignore[override]
        time.sleep(LATE)


KINDS = [PlainExec, BlockingAsync, Swallows, SlowPost, SlowItem]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limits", [{"timeout": LIMIT}, {"budget": {"seconds": LIMIT}}], ids=["timeout", "budget"])
def test_a_run_whose_last_step_overran_its_time_fails_with_that_limit(walk: Way, kind: Any, limits: dict[str, Any]) -> None:
    store = Store({})

    with pytest.raises(RunTimeout if "timeout" in limits else BudgetSpent) as caught:
        walk(Flow(kind(), **limits), store)

    assert store["began"]
    assert "the store is kept" in str(caught.value)
    assert (runs()[-1].status, runs()[-1].error) == ("failed", caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_inside_that_overran_its_time_fails_and_its_error_edge_takes_it(walk: Way, kind: Any) -> None:
    class Tell(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            shared["error"] = current().error

    inner = Flow(kind(), timeout=LIMIT)
    inner.on_error(Tell())

    _, store = walk(Flow(inner), {})

    assert isinstance(store["error"], RunTimeout)


@pytest.mark.parametrize("kind", [PlainExec, BlockingAsync, Swallows, SlowItem])
def test_an_attempt_that_came_to_its_end_late_has_failed_and_is_tried_again(walk: Way, kind: Any) -> None:
    tries: list[int] = []

    class Twice(kind):  # type: ignore[misc]
        def exec_fallback(self, prep_res: Any, exc: Exception) -> str:
            tries.append(self.cur_retry)
            assert isinstance(exc, NodeTimeout)
            return "fallback"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    _, store = walk(Flow(Twice(timeout=LIMIT, max_retries=2)), {})

    assert store["got"] in ("fallback", ["fallback"])
    assert tries == [1]


def test_an_error_of_its_own_that_comes_late_is_kept(walk: Way) -> None:
    class Fails(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            time.sleep(LATE)
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        walk(Flow(Fails(timeout=LIMIT)), {})


def test_what_is_in_time_is_done(walk: Way) -> None:
    assert walk(Flow(BlockingAsync(timeout=SOON), timeout=SOON), {})[1]["began"]


# budgets -------------------------------------------------------------------------------------------------------------------
def spending(base: Any, at_once: int | None, *, plain: bool) -> tuple[type[BatchNode], list[int]]:
    calls: list[int] = []

    class Spend(base):  # type: ignore[misc]
        def prep(self, shared: Any) -> Any:
            return range(100)

        if plain:

            def exec(self, item: int) -> None:
                calls.append(item)
                emit("usage", tokens=100)
        else:

            async def exec(self, item: int) -> None:
                calls.append(item)
                emit("usage", tokens=100)
                await asyncio.sleep(0)

    return Spend, calls


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
@pytest.mark.parametrize("where", ["run", "flow inside"])
def test_a_budget_that_is_spent_in_a_batch_ends_it_before_the_next_item(walk: Way, at_once: int, plain: bool, where: str) -> None:
    spend, calls = spending(BatchNode, at_once, plain=plain)
    flow = Flow(spend(max_concurrency=at_once), budget={"tokens": 250})

    with pytest.raises(BudgetSpent):
        walk(flow if where == "run" else Flow(flow), {})

    assert 3 <= len(calls) <= 3 + at_once + 4


def test_a_budget_that_is_spent_in_a_batch_flow_ends_it(walk: Way) -> None:
    spent: list[int] = []

    class Spend(Node):
        def exec(self, prep_res: Any) -> None:
            spent.append(1)
            emit("usage", tokens=100)

    class Each(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"n": n} for n in range(20)]

    with pytest.raises(BudgetSpent):
        walk(Each(Spend(), budget={"tokens": 250}), {})

    assert len(spent) == 3


@pytest.mark.parametrize("where", ["run", "flow inside"])
def test_a_last_step_that_spends_more_than_there_is_fails_and_one_that_spends_all_does_not(walk: Way, where: str) -> None:
    class Spend(Node):
        def exec(self, prep_res: Any) -> None:
            emit("usage", tokens=100)

    def flow(tokens: int) -> Flow:
        inner = Flow(Spend(), budget={"tokens": tokens})
        return inner if where == "run" else Flow(inner)

    walk(flow(100), {})
    with pytest.raises(BudgetSpent, match="100 of 99 tokens"):
        walk(flow(99), {})


# seen while it lasts -------------------------------------------------------------------------------------------------------
def overdue(run: Any) -> list[Any]:
    return [event for event in run.events if event.kind == "overdue"]


@pytest.mark.parametrize(
    ("kind", "limits"),  # a node's time limit is one attempt's of its exec
    [("blocks the loop", "node"), ("blocks the loop", "run"), ("swallows", "node"), ("swallows", "run"), ("plain post", "run")],
)
def test_that_a_step_is_overdue_is_seen_while_it_lasts(kind: str, limits: str, eventually: Callable[[Any], None]) -> None:
    go = threading.Event()

    class Blocks(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            if kind == "blocks the loop":
                go.wait(SOON)
            while kind == "swallows" and not go.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if kind == "plain post":
                go.wait(SOON)

    name = "slow"
    made = Blocks(timeout=LIMIT) if limits == "node" else Blocks()
    made.name = name  # type: ignore[attr-defined]
    run = Flow(made, timeout=LIMIT if limits == "run" else None).launch({}, show=False)

    eventually(lambda: bool(overdue(run)))
    assert not run.done()
    assert name in overdue(run)[0].data["text"]
    assert overdue(run)[0].data["limit"] == LIMIT
    assert overdue(run)[0].data["text"] in run.state().problems
    go.set()

    assert run.wait(SOON).status == "failed"
    assert len(overdue(run)) == 1


def test_nothing_is_watched_when_all_is_over(walk: Way) -> None:
    walk(Flow(Node(timeout=SOON), timeout=SOON), {})

    assert not clock._watched
