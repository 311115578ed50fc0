"""How patiently is `exec` tried, whichever way the flow is walked?"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Retry, current, node
from pocketflex_nb.core.errors import NodeTimeout
from tests.engine.conftest import Way


class Shaky(Node):
    """Fails until the last of `needs` tries; keeps the numbers of its tries."""

    def __init__(self, needs: int, error: type[Exception] = ValueError, **options: Any) -> None:
        super().__init__(**options)
        self.needs, self.error, self.tried = needs, error, []

    def prep(self, shared: Any) -> Any:
        return "item"

    def exec(self, prep_res: Any) -> Any:
        self.tried.append(self.cur_retry)
        if len(self.tried) < self.needs:
            raise self.error(f"try {len(self.tried)}")
        return "worked"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["result"] = exec_res


class ShakyAsync(Shaky):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return Shaky.exec(self, prep_res)


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_exec_is_tried_until_it_works(walk: Way, kind: Any) -> None:
    node = kind(3, max_retries=5)

    _, store = walk(Flow(node), {})

    assert store["result"] == "worked"
    assert node.tried == [0, 1, 2]


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_the_very_exception_of_the_last_try_reaches_the_caller(walk: Way, kind: Any) -> None:
    node = kind(9, max_retries=3)

    with pytest.raises(ValueError, match=r"^try 3$"):
        walk(Flow(node), {})

    assert node.tried == [0, 1, 2]


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_a_retry_wins_over_max_retries(walk: Way, kind: Any) -> None:
    node = kind(9, max_retries=7, retry=Retry(attempts=2))

    with pytest.raises(ValueError):
        walk(Flow(node), {})

    assert node.tried == [0, 1]


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_only_the_named_errors_are_tried_again(walk: Way, kind: Any) -> None:
    named = kind(2, TimeoutError, retry=Retry(3, on=(TimeoutError, OSError)))
    other = kind(2, KeyError, retry=Retry(3, on=(TimeoutError, OSError)))

    _, store = walk(Flow(named), {})
    with pytest.raises(KeyError):
        walk(Flow(other), {})

    assert store["result"] == "worked"
    assert other.tried == [0]


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_no_tries_at_all_give_none(walk: Way, kind: Any) -> None:
    node = kind(1, max_retries=0)

    _, store = walk(Flow(node), {})

    assert store["result"] is None
    assert node.tried == []


@pytest.mark.parametrize("is_async", [False, True])
def test_the_fallback_stands_in_when_every_try_failed(walk: Way, is_async: bool) -> None:
    class Falls(ShakyAsync if is_async else Shaky):  # type: ignore[misc]
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return f"{prep_res}: {exc}"

    _, store = walk(Flow(Falls(9, max_retries=2)), {})

    assert store["result"] == "item: try 2"


def test_an_async_fallback_is_awaited(walk: Way) -> None:
    class Falls(Shaky):
        async def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:  # type: ignore[override]
            return "later"

    _, store = walk(Flow(Falls(9)), {})

    assert store["result"] == "later"


def test_waits_grow_by_the_backoff_up_to_the_longest() -> None:
    retry = Retry(6, wait=1, backoff=2, max_wait=5)

    waits = [retry.delay(failed) for failed in range(5)]

    assert waits == [1, 2, 4, 5, 5]


def test_jitter_keeps_each_wait_within_its_share() -> None:
    retry = Retry(2, wait=10, jitter=0.2)

    waits = [retry.delay(0, lambda r=r: r) for r in (0.0, 0.5, 0.999999)]

    assert waits == pytest.approx([8, 10, 12], abs=1e-4)


def test_waits_stand_between_tries_only(walk: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Retry, "delay", lambda self, failed, random=None, after=0.0: asked.append(failed) or 0.0)

    with pytest.raises(ValueError):
        walk(Flow(Shaky(9, retry=Retry(3, wait=1))), {})

    assert asked == [0, 1]


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"wait": -1}, {"backoff": -1}, {"jitter": 1.5}, {"jitter": -0.1}, {"max_wait": -1}], ids=str
)
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retry(**wrong)


@pytest.mark.parametrize("wrong", [{"attempts": "3"}, {"wait": "long"}, {"on": 5}, {"on": "ValueError"}, {"on": (OSError, "x")}], ids=str)
def test_a_retry_of_the_wrong_kind_is_refused_before_a_failure_needs_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        Retry(**wrong)


def test_each_item_of_a_parallel_batch_has_all_its_tries(walk: Way) -> None:
    tries: dict[int, list[int]] = {}

    class Each(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(10)

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            tries.setdefault(prep_res, []).append(self.cur_retry)
            if len(tries[prep_res]) < 3:
                raise ValueError(prep_res)
            return prep_res

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["results"] = exec_res

    _, store = walk(Flow(Each(max_retries=3, max_concurrency=None)), {})

    assert store["results"] == list(range(10))
    assert all(numbers == [0, 1, 2] for numbers in tries.values())


def test_every_retry_is_an_event_with_its_number_and_error() -> None:
    run = Flow(Shaky(3, max_retries=3)).launch({}, show=False)
    run.result(10)

    retried = [(e["attempt"], e["error"]) for e in run.events if e.kind == "node_retried"]
    assert retried == [(0, "ValueError: try 1"), (1, "ValueError: try 2")]
    assert run.state().nodes["Shaky"].retries == 2


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("kind", [Shaky, ShakyAsync])
def test_an_error_that_cannot_be_written_is_retried_and_raised_all_the_same(walk: Way, kind: Any) -> None:
    good, bad = kind(2, Unsayable, max_retries=2), kind(9, Unsayable, max_retries=2)

    _, store = walk(Flow(good), {})
    with pytest.raises(Unsayable):
        walk(Flow(bad), {})

    assert store["result"] == "worked"
    assert bad.tried == [0, 1]


class Waits(Node):
    """Works longer than any test is patient, or until it is let go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.let_go = threading.Event()

    def exec(self, prep_res: Any) -> Any:
        self.let_go.wait(20)


class WaitsAsync(Waits):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(20)


@pytest.mark.parametrize("kind", [Waits, WaitsAsync])
def test_a_node_that_is_run_alone_keeps_its_time_limit(kind: Any) -> None:
    node = kind(timeout=0.02, max_retries=2)

    with pytest.raises(NodeTimeout, match=kind.__name__):
        node.run({})

    node.let_go.set()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_that_is_run_alone_works_on_several_items_at_once(is_async: bool) -> None:
    both = threading.Barrier(2)

    class Meet(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2]

        def exec(self, item: Any) -> Any:
            both.wait(10)
            return item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["met"] = exec_res

    class MeetAsync(Meet):
        async def exec(self, item: Any) -> Any:  # type: ignore[override]
            return await asyncio.to_thread(Meet.exec, self, item)

    store: dict[str, Any] = {}

    (MeetAsync if is_async else Meet)(max_concurrency=2).run(store)

    assert store == {"met": [1, 2]}


@pytest.mark.parametrize("how", ["run", "launch"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_node_reads_the_number_of_its_try(how: str, is_async: bool) -> None:
    def work(shared: Any) -> None:
        tries.append(current().attempt)
        if len(tries) < 3:
            raise ConnectionError

    async def work_async(shared: Any) -> None:
        work(shared)

    tries: list[int] = []
    flow = Flow(node(max_retries=3)(work_async if is_async else work))

    if how == "run":
        flow.run({})
    else:
        flow.launch({}, show=False).result(10)

    assert tries == [0, 1, 2]
