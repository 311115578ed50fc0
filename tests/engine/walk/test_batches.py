"""Batches of items and of flows: order, how many at once, what a failing item does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, runs
from pocketflex_nb.core.errors import NodeTimeout
from tests.engine.conftest import Way


class Busy:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self.now -= 1


class Squares(BatchNode):
    def prep(self, shared: Any) -> Any:
        return shared["items"]

    def exec(self, prep_res: Any) -> Any:
        if prep_res == "bad":
            raise ValueError("bad item")
        return prep_res**2

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["results"] = exec_res


class SquaresAsync(Squares):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return Squares.exec(self, prep_res)


@pytest.mark.parametrize("at_once", [1, 2, 5, None])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_results_come_in_the_order_of_the_items(walk: Way, kind: Any, at_once: int | None) -> None:
    _, store = walk(Flow(kind(max_concurrency=at_once)), {"items": list(range(9))})

    assert store["results"] == [n**2 for n in range(9)]


@pytest.mark.parametrize("items", [None, [], (), "", iter(())], ids=repr)
@pytest.mark.parametrize("at_once", [1, 3, None])
def test_no_items_give_no_results(walk: Way, items: Any, at_once: int | None) -> None:
    _, store = walk(Flow(Squares(max_concurrency=at_once)), {"items": items})

    assert store["results"] == []


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_items_are_pulled_when_somebody_is_free_for_them(walk: Way, kind: Any, at_once: int) -> None:
    pulled: list[int] = []
    ahead: list[int] = []

    def source() -> Iterator[int]:
        for n in range(12):
            pulled.append(n)
            yield n

    class Looks(kind):  # type: ignore[misc,valid-type]
        done = 0

        def look(self) -> None:
            ahead.append(len(pulled) - type(self).done)

    if kind is Squares:
        def plain(self: Any, item: Any) -> Any:
            self.look()
            type(self).done += 1
            return item
        Looks.exec = plain
    else:
        async def awaited(self: Any, item: Any) -> Any:
            self.look()
            await asyncio.sleep(0)
            type(self).done += 1
            return item
        Looks.exec = awaited

    walk(Flow(Looks(max_concurrency=at_once)), {"items": source()})

    assert max(ahead) <= at_once


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_no_more_items_at_once_than_the_node_says(walk: Way, kind: str) -> None:
    busy = Busy()

    class Plain(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(12)

        def exec(self, prep_res: Any) -> Any:
            with busy:
                threading.Event().wait(0.002)

    class Awaited(Plain):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            with busy:
                await asyncio.sleep(0.002)

    walk(Flow((Plain if kind == "plain" else Awaited)(max_concurrency=3)), {})

    assert 1 <= busy.most <= 3


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_unlimited_items_are_all_at_work_together(kind: str) -> None:
    together = threading.Barrier(6)
    arrived: list[int] = []

    class Plain(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(6)

        def exec(self, prep_res: Any) -> Any:
            together.wait(20)

    class Awaited(Plain):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            arrived.append(prep_res)
            while len(arrived) < 6:
                await asyncio.sleep(0)

    Flow((Plain if kind == "plain" else Awaited)(max_concurrency=None)).run({})


@pytest.mark.parametrize("at_once", [1, 2, None])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_a_failing_item_is_raised_with_its_index(walk: Way, kind: Any, at_once: int | None) -> None:
    with pytest.raises(ValueError, match="bad item") as caught:
        walk(Flow(kind(max_concurrency=at_once)), {"items": [1, 2, "bad", 3]})

    assert any("item 2" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("at_once", [1, 2, None])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_collected_failures_stand_in_their_places(walk: Way, kind: Any, at_once: int | None) -> None:
    _, store = walk(Flow(kind(max_concurrency=at_once, on_error="collect")), {"items": [1, "bad", 3]})

    one, bad, nine = store["results"]
    assert (one, nine) == (1, 9)
    assert isinstance(bad, ValueError)


@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_a_failing_item_goes_to_its_own_fallback(walk: Way, kind: Any) -> None:
    class Falls(kind):  # type: ignore[misc,valid-type]
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return f"instead of {prep_res}"

    _, store = walk(Flow(Falls(max_concurrency=None)), {"items": [1, "bad", 3]})

    assert store["results"] == [1, "instead of bad", 9]


@pytest.mark.parametrize("at_once", [1, None])
def test_an_async_fallback_of_a_plain_batch_is_awaited(walk: Way, at_once: int | None) -> None:
    class Falls(Squares):
        async def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:  # type: ignore[override]
            return f"instead of {prep_res}"

    _, store = walk(Flow(Falls(max_concurrency=at_once)), {"items": [1, "bad", 3]})

    assert store["results"] == [1, "instead of bad", 9]


def test_a_late_item_fails_alone_when_failures_are_collected(walk: Way) -> None:
    class Slow(BatchNode):
        def prep(self, shared: Any) -> Any:
            return ["quick", "never", "quick"]

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            if prep_res == "never":
                await asyncio.Event().wait()
            return prep_res

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["results"] = exec_res

    _, store = walk(Flow(Slow(max_concurrency=None, timeout=0.05, on_error="collect")), {})

    assert [type(result) for result in store["results"]] == [str, NodeTimeout, str]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_number_at_once_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrency"):
        BatchNode(max_concurrency=wrong)
    with pytest.raises(ValueError, match="max_concurrency"):
        BatchFlow(max_concurrency=wrong)


def test_an_unknown_way_with_failing_items_is_refused() -> None:
    with pytest.raises(ValueError, match="'raise' or 'collect'"):
        BatchNode(on_error="ignore")


# batch flows ------------------------------------------------------------------------------------------------------------
class Note(Node):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["seen"].append(self.params["n"])
        if self.params["n"] == shared.get("bad"):
            raise ValueError("bad item")


class Many(BatchFlow):
    def prep(self, shared: Any) -> Any:
        return [{"n": n} for n in range(6)]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["exec_res"] = exec_res
        return "all"


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_a_batch_flow_walks_once_per_item_of_params(walk: Way, at_once: int | None) -> None:
    action, store = walk(Many(Note(), max_concurrency=at_once), {"seen": []})

    assert action == "all"
    assert sorted(store["seen"]) == list(range(6))
    assert store["exec_res"] is None


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_a_failing_item_ends_a_batch_flow(walk: Way, at_once: int | None) -> None:
    with pytest.raises(ValueError, match="bad item"):
        walk(Many(Note(), max_concurrency=at_once), {"seen": [], "bad": 2})


def test_items_of_a_batch_flow_have_addresses_of_their_own(walk: Way) -> None:
    from pocketflex_nb import runs

    walk(Many(Note(), max_concurrency=None, name="many"), {"seen": []})

    addresses = [e.address for e in runs()[-1].events if e.kind == "node_finished"]
    assert sorted(addresses) == [f"many[{n}]/Note#1" for n in range(6)]


def test_a_batch_flow_nested_in_a_batch_flow_multiplies(walk: Way) -> None:
    class Leaf(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["pairs"].append((self.params["a"], self.params["b"]))

    class Inner(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"b": b} for b in "xy"]

    class Outer(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"a": a} for a in (1, 2)]

    _, store = walk(Outer(Inner(Leaf())), {"pairs": []})

    assert store["pairs"] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


@pytest.mark.parametrize("at_once", [1, 2, None])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
def test_collected_failures_come_with_index_cause_and_item(walk: Way, kind: Any, at_once: int | None) -> None:
    class Reads(kind):  # type: ignore[misc,valid-type]
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["failed"] = [(lost.index, lost.item, str(lost.cause)) for lost in exec_res.failures]
            shared["same"] = all(exec_res[lost.index] is lost.cause for lost in exec_res.failures)

    _, store = walk(Flow(Reads(max_concurrency=at_once, on_error="collect")), {"items": ["bad", 2, "bad"]})

    assert store["failed"] == [(0, "bad", "bad item"), (2, "bad", "bad item")]
    assert store["same"]
    assert [(e["index"], e["error"]) for e in runs()[-1].events if e.kind == "item_failed"] == [
        (0, "ValueError: bad item"), (2, "ValueError: bad item"),
    ]
    assert runs()[-1].state().nodes["Reads"].lost == 2


async def _numbers() -> Any:
    for n in range(5):
        await asyncio.sleep(0)
        yield n


@pytest.mark.parametrize("at_once", [1, 2, None])
@pytest.mark.parametrize("kind", [Squares, SquaresAsync])
@pytest.mark.parametrize(
    "items",
    [lambda: np.arange(5), lambda: pd.Series(range(5), index=list("abcde")), lambda: {0, 1, 2, 3, 4}, _numbers],
    ids=["array", "series", "set", "async"],
)
def test_items_may_be_any_iterable(walk: Way, kind: Any, at_once: int | None, items: Any) -> None:
    class Given(kind):  # type: ignore[misc,valid-type]
        def prep(self, shared: Any) -> Any:
            return items()

    _, store = walk(Flow(Given(max_concurrency=at_once)), {})

    assert store["results"] == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("zero", [np.array([0]), np.array([0, 0]), pd.Series([0])], ids=["one", "two", "series"])
def test_an_array_of_zeros_has_items(walk: Way, at_once: int, zero: Any) -> None:
    _, store = walk(Flow(Squares(max_concurrency=at_once)), {"items": zero})

    assert store["results"] == [0] * len(zero)


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_an_item_that_fails_ends_an_async_source(walk: Way, at_once: int | None) -> None:
    ended = threading.Event()

    async def endless() -> Any:
        try:
            yield "bad"
            while True:
                await asyncio.sleep(0.001)
                yield 1
        finally:
            ended.set()

    class Given(SquaresAsync):
        def prep(self, shared: Any) -> Any:
            return endless()

    with pytest.raises(ValueError, match="bad item"):
        walk(Flow(Given(max_concurrency=at_once)), {})

    assert ended.wait(10)


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_an_async_source_is_asked_only_when_somebody_is_free(walk: Way, at_once: int | None) -> None:
    asked = done = 0
    ahead: list[int] = []

    async def source() -> Any:
        nonlocal asked
        for n in range(9):
            asked += 1
            yield n

    class Looks(BatchNode):
        def prep(self, shared: Any) -> Any:
            return source()

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            nonlocal done
            ahead.append(asked - done)
            await asyncio.sleep(0)
            done += 1

    walk(Flow(Looks(max_concurrency=at_once)), {})

    assert done == 9
    assert at_once is None or max(ahead) <= at_once
