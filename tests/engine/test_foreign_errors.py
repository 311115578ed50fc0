"""What a step may raise that looks like something else: a cancellation that nobody asked for, and `StopIteration`."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, current, node
from pocketflex_nb.core.errors import StepCancelled
from pocketflex_nb.engine.runs.run import runs
from tests.engine.conftest import Way
from tests.engine.fakes import SOON


def closed() -> Any:
    """What a client whose pool was closed under it raises."""
    raise asyncio.CancelledError("the pool is closed")


async def closed_later() -> Any:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    await future


class Plain(Node):
    def exec(self, prep_res: Any) -> Any:
        return closed()


class Async(Node):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return await closed_later()


class AllAsync(Async):
    async def prep(self, shared: Any) -> None:  # type: ignore[override]
        return None

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:  # type: ignore[override]
        return str(exec_res)


class InPrep(Node):
    async def prep(self, shared: Any) -> Any:  # type: ignore[override]
        return await closed_later()


class InPost(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return closed()


class Item(BatchNode):
    def prep(self, shared: Any) -> Any:
        return [1]

    async def exec(self, item: int) -> Any:  # type: ignore[override]
        return await closed_later()


class PlainItem(Item):
    def exec(self, item: int) -> Any:  # type: ignore[override]
        return closed()


EXECS = [Plain, Async, AllAsync, Item, PlainItem]
STEPS = [*EXECS, InPrep, InPost]


def last_run() -> Any:
    return runs()[-1]


@pytest.mark.parametrize("kind", STEPS)
def test_a_cancellation_nobody_asked_for_fails_the_run_with_its_cause(walk: Way, kind: type[Node]) -> None:
    with pytest.raises(StepCancelled, match="nobody here asked for") as caught:
        walk(Flow(kind()), {})

    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert last_run().status == "failed"
    assert last_run().error is caught.value
    assert last_run().state().nodes[next(iter(last_run().state().nodes))].status == "failed"


@pytest.mark.parametrize("kind", EXECS)
@pytest.mark.parametrize("options", [{}, {"timeout": SOON}, {"max_retries": 1}], ids=["plain", "timed", "once"])
def test_it_goes_to_the_fallback(walk: Way, kind: Any, options: dict[str, Any]) -> None:
    class Rescued(kind):  # type: ignore[misc]
        def exec_fallback(self, prep_res: Any, exc: Exception) -> str:
            return type(exc).__name__

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["got"] = exec_res

    _, store = walk(Flow(Rescued(**options)), {})

    assert store["got"] in ("StepCancelled", ["StepCancelled"])


@pytest.mark.parametrize("kind", EXECS)
def test_it_is_tried_again(walk: Way, kind: Any) -> None:
    tries: list[int] = []

    class Counted(kind):  # type: ignore[misc]
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            tries.append(self.cur_retry)
            raise exc

    with pytest.raises(StepCancelled):
        walk(Flow(Counted(max_retries=3)), {})

    assert tries == [2]


@pytest.mark.parametrize("kind", STEPS)
def test_an_error_edge_takes_it_and_siblings_go_on(walk: Way, kind: type[Node]) -> None:
    class Tell(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["error"] = current().error

    class Slow(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0.02)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["sibling"] = "went on"

    failing = kind()
    failing.on_error(Tell())
    start = node(lambda shared: None)
    start >> [failing, Slow()]

    _, store = walk(Flow(start), {})

    assert isinstance(store["error"], StepCancelled)
    assert store["sibling"] == "went on"


def test_a_cancelled_future_of_the_standard_library_is_a_failure_too(walk: Way) -> None:
    class Future(Node):
        def exec(self, prep_res: Any) -> Any:
            future: cf.Future[Any] = cf.Future()
            future.cancel()
            return future.result()

    with pytest.raises(cf.CancelledError):
        walk(Flow(Future()), {})

    assert last_run().status == "failed"


def test_a_cancellation_that_was_asked_for_is_none(eventually: Any) -> None:
    tries: list[int] = []

    class Waits(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            tries.append(self.cur_retry)
            await asyncio.Event().wait()

        def exec_fallback(self, prep_res: Any, exc: Exception) -> None:
            tries.append(-1)

    run = Flow(Waits(max_retries=3)).launch({}, show=False)
    eventually(lambda: tries == [0])
    run.cancel()

    assert run.wait(SOON).status == "cancelled"
    assert tries == [0]


# StopIteration -------------------------------------------------------------------------------------------------------------
class StopsPlain(Node):
    def exec(self, prep_res: Any) -> Any:
        return next(iter([]))


class StopsAsync(Node):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return next(iter([]))


class StopsInPrep(Node):
    def prep(self, shared: Any) -> Any:
        return next(iter([]))


class StopsInPost(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return next(iter([]))


class StopsInItem(BatchNode):
    def prep(self, shared: Any) -> Any:
        return [1, 2]

    def exec(self, item: int) -> Any:
        return next(iter([]))


STOPS = [StopsPlain, StopsAsync, StopsInPrep, StopsInPost, StopsInItem]


@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("options", [{}, {"max_retries": 2}], ids=["once", "twice"])
def test_stop_iteration_is_the_same_error_in_each_way_to_run(walk: Way, kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration, which no coroutine lets out") as caught:
        walk(Flow(kind(**options)), {})

    assert isinstance(caught.value.__cause__, StopIteration)
    assert last_run().status == "failed"
    assert last_run().error is caught.value


@pytest.mark.parametrize("options", [{}, {"max_retries": 2}, {"timeout": SOON}], ids=["once", "twice", "timed"])
def test_the_fallback_of_a_plain_exec_sees_the_stop_iteration_itself(walk: Way, options: dict[str, Any]) -> None:
    seen: list[Any] = []

    class Rescued(StopsPlain):
        def exec_fallback(self, prep_res: Any, exc: Exception) -> None:
            seen.append(type(exc))

    walk(Flow(Rescued(**options)), {})

    assert seen == [StopIteration]


@pytest.mark.parametrize("kind", STOPS)
def test_an_error_edge_takes_it_in_each_way_to_run(walk: Way, kind: type[Node]) -> None:
    class Tell(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["error"] = current().error

    failing = kind()
    failing.on_error(Tell())

    _, store = walk(Flow(failing), {})

    assert type(store["error"]) is RuntimeError
    assert isinstance(store["error"].__cause__, StopIteration)


def test_a_flows_own_step_that_stops_is_told_the_same_way(walk: Way) -> None:
    class Own(Flow):
        def prep(self, shared: Any) -> Any:
            return next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration"):
        walk(Own(Node()), {})
