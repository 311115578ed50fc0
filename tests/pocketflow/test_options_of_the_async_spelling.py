"""What plain nodes know besides PocketFlow's two options, the `*_async` spelling knows, too: no option is taken and not read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb import Retry, Store
from pocketflex_nb.core.errors import NodeTimeout
from pocketflex_nb.pocketflow import (
    AsyncBatchFlow,
    AsyncBatchNode,
    AsyncFlow,
    AsyncNode,
    AsyncParallelBatchFlow,
    AsyncParallelBatchNode,
)


class Slow(AsyncNode):
    async def exec_async(self, prep_res: Any) -> None:
        await asyncio.sleep(600)


class Stubborn(AsyncNode):
    tries = 0

    async def exec_async(self, prep_res: Any) -> str:
        Stubborn.tries += 1
        if Stubborn.tries < 3:
            raise ConnectionError("not yet")
        return "at last"

    async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> str:
        return f"gave up: {exc}"

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["told"] = exec_res


class Crowd:
    """How many were at work at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def work(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1


@pytest.fixture(autouse=True)
def _anew() -> None:
    Stubborn.tries = 0


async def _late(alone: bool) -> None:
    node = Slow(timeout=0.02)
    await (node if alone else AsyncFlow(node)).run_async({})


@pytest.mark.parametrize("alone", [True, False], ids=["a node alone", "in a flow"])
def test_a_node_that_takes_too_long_fails_with_its_name(alone: bool) -> None:
    with pytest.raises(NodeTimeout, match=r"took longer than 0\.02 s"):
        asyncio.run(_late(alone))


@pytest.mark.parametrize("launched", [True, False], ids=["launched", "awaited"])
def test_a_retry_says_how_often_and_for_what(launched: bool) -> None:
    store = Store()
    flow = AsyncFlow(Stubborn(retry=Retry(attempts=5, wait=0.001, on=ConnectionError)))
    if launched:
        run = flow.launch(store, show=False)
        run.result(10)
        assert [event.kind for event in run.events].count("node_retried") == 2
    else:
        asyncio.run(flow.run_async(store))

    assert store["told"] == "at last"


def test_what_a_retry_does_not_name_is_not_tried_again() -> None:
    shared: dict[str, Any] = {}
    asyncio.run(AsyncFlow(Stubborn(retry=Retry(attempts=5, on=ValueError))).run_async(shared))

    assert shared["told"] == "gave up: not yet"
    assert Stubborn.tries == 1


@pytest.mark.parametrize(
    ("cls", "options", "most"),
    [
        (AsyncBatchNode, {}, 1),
        (AsyncBatchNode, {"max_concurrency": 3}, 3),
        (AsyncBatchNode, {"max_concurrency": None}, 8),
        (AsyncParallelBatchNode, {}, 8),
        (AsyncParallelBatchNode, {"max_concurrency": 2}, 2),
        (AsyncParallelBatchNode, {"max_concurrency": 1}, 1),
    ],
)
def test_a_batch_has_so_many_items_at_once(cls: Any, options: dict[str, Any], most: int) -> None:
    crowd = Crowd()

    class Batch(cls):
        async def prep_async(self, shared: Any) -> Any:
            return range(8)

        async def exec_async(self, item: int) -> int:
            await crowd.work()
            return item * item

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["squares"] = exec_res

    shared: dict[str, Any] = {}
    asyncio.run(AsyncFlow(Batch(**options)).run_async(shared))

    assert shared["squares"] == [n * n for n in range(8)]
    assert crowd.most == most


@pytest.mark.parametrize("cls", [AsyncBatchNode, AsyncParallelBatchNode])
def test_errors_of_items_are_collected(cls: Any) -> None:
    class Batch(cls):
        async def prep_async(self, shared: Any) -> Any:
            return [1, 0, 2]

        async def exec_async(self, item: int) -> float:
            return 2 / item

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["halves"] = [repr(result) for result in exec_res]

    shared: dict[str, Any] = {}
    asyncio.run(Batch(on_error="collect").run_async(shared))

    assert shared["halves"] == ["2.0", "ZeroDivisionError('division by zero')", "1.0"]


@pytest.mark.parametrize(
    ("cls", "options", "most"),
    [
        (AsyncBatchFlow, {}, 1),
        (AsyncBatchFlow, {"max_concurrency": 3}, 3),
        (AsyncParallelBatchFlow, {}, 8),
        (AsyncParallelBatchFlow, {"max_concurrency": 2}, 2),
        (AsyncParallelBatchFlow, {"max_concurrency": 1}, 1),
    ],
)
def test_a_batch_flow_has_so_many_walks_at_once(cls: Any, options: dict[str, Any], most: int) -> None:
    crowd = Crowd()

    class Work(AsyncNode):
        async def exec_async(self, prep_res: Any) -> None:
            await crowd.work()

    class Batch(cls):
        async def prep_async(self, shared: Any) -> Any:
            return [{"n": n} for n in range(8)]

    asyncio.run(Batch(start=Work(), **options).run_async({}))

    assert crowd.most == most


@pytest.mark.parametrize("wrong", [0, "2", True])
@pytest.mark.parametrize("cls", [AsyncBatchNode, AsyncParallelBatchNode, AsyncBatchFlow, AsyncParallelBatchFlow])
def test_a_number_that_cannot_be_is_refused(cls: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrency"):
        cls(max_concurrency=wrong)
