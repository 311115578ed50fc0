"""Steps with ``yield``: an async `exec` streams, a plain one is PocketFlow's, and a body that nobody ran is told."""

from __future__ import annotations

import asyncio
import functools
import gc
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from pocketflex_nb import BaseNode, BatchFlow, BatchNode, Flow, Node, Retry, node
from pocketflex_nb.core.errors import CheckError
from pocketflex_nb.core.flow.checks import problems_of
from pocketflex_nb.core.flow.generator_steps import is_lazy, is_stream
from pocketflex_nb.pocketflow import AsyncBatchNode, AsyncFlow, AsyncNode, AsyncParallelBatchNode

Way = Callable[[Flow], Any]


def by_run(flow: Flow) -> Any:
    flow.run(store := {})
    return store


def by_run_async(flow: Flow) -> Any:
    asyncio.run(flow.run_async(store := {}))
    return store


def by_launch(flow: Flow) -> Any:
    run = flow.launch({}, show=False).wait(10)
    if run.error is not None:
        raise run.error
    return run.store


WAYS = pytest.mark.parametrize("way", [by_run, by_run_async, by_launch])


def tokens(run: Any) -> list[str]:
    return [event.data["text"] for event in run.events if event.kind == "output" and event.data["stream"] == "token"]


class Keeps(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["got"] = exec_res


class Says(Keeps):
    async def exec(self, prep_res: Any) -> AsyncIterator[Any]:
        for word in ("the ", "tide", "", "s"):
            await asyncio.sleep(0)
            yield word


# an async exec streams ----------------------------------------------------------------------------------------------------------
@WAYS
def test_the_texts_of_an_async_exec_are_joined(way: Way) -> None:
    assert way(Flow(Says()))["got"] == "the tides"


@WAYS
@pytest.mark.parametrize("options", [{"max_retries": 3}, {"timeout": 5}, {"retry": Retry(2)}], ids=str)
def test_a_stream_keeps_tries_and_time_limits(way: Way, options: Any) -> None:
    assert way(Flow(Says(**options)))["got"] == "the tides"


@WAYS
def test_anything_else_that_is_yielded_is_a_list(way: Way) -> None:
    class Mixes(Keeps):
        async def exec(self, prep_res: Any) -> AsyncIterator[Any]:
            yield "a"
            yield {"page": 1}

    assert way(Flow(Mixes()))["got"] == ["a", {"page": 1}]


@WAYS
def test_a_stream_of_nothing_is_the_empty_text(way: Way) -> None:
    class Silent(Keeps):
        async def exec(self, prep_res: Any) -> AsyncIterator[str]:
            for word in ():
                yield word

    assert way(Flow(Silent()))["got"] == ""


def test_texts_are_tokens_of_the_nodes_lane_as_they_come() -> None:
    run = Flow(Says()).launch({}, show=False).wait(10)

    assert tokens(run) == ["the ", "tide", "s"]


@WAYS
def test_a_stream_that_fails_is_tried_again_from_its_beginning_and_may_fall_back(way: Way) -> None:
    begun = []

    class Breaks(Keeps):
        async def exec(self, prep_res: Any) -> AsyncIterator[str]:
            begun.append(self.cur_retry)
            yield "half"
            raise ConnectionError

        async def exec_fallback(self, prep_res: Any, exc: Exception) -> AsyncIterator[str]:
            yield "instead of "
            yield type(exc).__name__

    assert way(Flow(Breaks(max_retries=2)))["got"] == "instead of ConnectionError"
    assert begun == [0, 1]


@WAYS
def test_each_item_of_a_batch_streams(way: Way) -> None:
    class Each(BatchNode):
        def prep(self, shared: Any) -> list[int]:
            return [1, 2]

        async def exec(self, prep_res: Any) -> AsyncIterator[str]:
            yield "item "
            yield f"{prep_res}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    assert way(Flow(Each()))["got"] == ["item 1", "item 2"]
    assert way(Flow(Each(max_concurrency=None)))["got"] == ["item 1", "item 2"]


@WAYS
def test_a_node_without_tries_streams_too(way: Way) -> None:
    class Bare(BaseNode):
        async def exec(self, prep_res: Any) -> AsyncIterator[str]:
            yield "ba"
            yield "re"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    assert way(Flow(Bare()))["got"] == "bare"


@WAYS
def test_a_stream_behind_an_async_prep_and_one_put_on_a_node(way: Way) -> None:
    class Prepares(Says):
        async def prep(self, shared: Any) -> Any:
            await asyncio.sleep(0)

    async def patched(prep_res: Any) -> AsyncIterator[str]:
        yield "patched"

    changed = Keeps()
    changed.exec = patched  # type: ignore[method-assign]

    assert way(Flow(Prepares()))["got"] == "the tides"
    assert way(Flow(changed))["got"] == "patched"


@WAYS
def test_an_async_function_with_yield_streams_and_goes_the_default_way(way: Way) -> None:
    @node
    async def chat(shared: Any) -> AsyncIterator[str]:
        yield "hel"
        shared["said"] = "hello"
        yield "lo"

    chat >> Keeps()

    assert way(Flow(chat)) == {"said": "hello", "got": None}
    assert tokens(Flow(chat).launch({}, show=False).wait(10)) == ["hel", "lo"]


@pytest.mark.parametrize("options", [{}, {"max_retries": 2}, {"timeout": 5}], ids=str)
@pytest.mark.parametrize("way", [by_run_async, by_launch])
def test_the_async_spelling_streams_too(way: Way, options: Any) -> None:
    class Spelled(AsyncNode):
        async def exec_async(self, prep_res: Any) -> AsyncIterator[str]:
            yield "spel"
            yield "led"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    assert way(AsyncFlow(Spelled(**options)))["got"] == "spelled"


@pytest.mark.parametrize("kind", [AsyncBatchNode, AsyncParallelBatchNode])
def test_items_of_the_async_spelling_stream_too(kind: Any) -> None:
    class Items(kind):  # type: ignore[misc]
        async def prep_async(self, shared: Any) -> list[int]:
            return [1, 2]

        async def exec_async(self, prep_res: Any) -> AsyncIterator[str]:
            yield f"{prep_res}!"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    assert by_run_async(AsyncFlow(Items()))["got"] == ["1!", "2!"]


def test_a_cancelled_stream_is_closed() -> None:
    closed = []
    begun = asyncio.Event()

    class Endless(Node):
        async def exec(self, prep_res: Any) -> AsyncIterator[str]:
            try:
                while True:
                    begun.set()
                    await asyncio.sleep(60)
                    yield "never"
            finally:
                closed.append(True)

    async def cancelled() -> None:
        task = asyncio.ensure_future(Flow(Endless()).run_async({}))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())

    assert closed == [True]


# a plain generator is PocketFlow's ------------------------------------------------------------------------------------------------
@WAYS
def test_post_may_consume_a_plain_generator(way: Way) -> None:
    class Lazy(Node):
        def exec(self, prep_res: Any) -> Iterator[str]:
            yield "a"
            yield "b"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = list(exec_res)

    assert Flow(Lazy()).check() == []
    assert way(Flow(Lazy()))["got"] == ["a", "b"]


@WAYS
def test_a_generator_may_be_kept_and_consumed_later(way: Way) -> None:
    class Lazy(Keeps):
        def exec(self, prep_res: Any) -> Iterator[int]:
            yield from range(3)

    assert list(way(Flow(Lazy()))["got"]) == [0, 1, 2]


@WAYS
def test_exec_or_a_batch_may_consume_what_prep_yields(way: Way) -> None:
    class Reads(Keeps):
        def prep(self, shared: Any) -> Iterator[int]:
            yield from range(3)

        def exec(self, prep_res: Any) -> int:
            return sum(prep_res)

    class Walks(BatchNode):
        def prep(self, shared: Any) -> Iterator[int]:
            yield from range(3)

    assert Flow(Reads()).check() == Flow(Walks()).check() == []
    assert way(Flow(Reads()))["got"] == 3
    way(Flow(Walks()))


# a body that nobody ran -----------------------------------------------------------------------------------------------------------
class LazyExec(Node):
    def exec(self, prep_res: Any) -> Iterator[int]:
        yield 1


class LazyFallback(Node):
    def exec(self, prep_res: Any) -> Any:
        raise ValueError

    def exec_fallback(self, prep_res: Any, exc: Exception) -> Iterator[int]:
        yield 1


class LazyBare(BaseNode):
    def exec(self, prep_res: Any) -> Iterator[int]:
        yield 1


class LazyItem(BatchNode):
    def prep(self, shared: Any) -> list[int]:
        return [1]

    def exec(self, prep_res: Any) -> Iterator[int]:
        yield 1


class LazyPrep(Node):
    def prep(self, shared: Any) -> Iterator[int]:
        yield 1


class StreamPrep(Node):
    async def prep(self, shared: Any) -> AsyncIterator[int]:  # type: ignore[override]
        yield 1


class LazyPost(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Iterator[str]:
        yield "ok"


class StreamPost(Node):
    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> AsyncIterator[str]:  # type: ignore[override]
        yield "ok"


class Ignores(LazyExec):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["got"] = "nothing"


UNRUN = [LazyExec, LazyFallback, LazyBare, LazyItem, LazyPrep, StreamPrep, LazyPost, StreamPost]


@pytest.mark.parametrize("kind", UNRUN)
def test_check_finds_a_body_that_nobody_would_run(kind: Any) -> None:
    found = kind()
    found.name = "it"

    with pytest.raises(CheckError, match=r"node 'it': \w+ is written with yield, and nobody would run its body: "):
        Flow(found).check()


@WAYS
@pytest.mark.parametrize("kind", [*UNRUN, Ignores])
def test_a_body_that_nobody_ran_is_a_warning_with_the_nodes_name(way: Way, kind: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way(Flow(kind()))
        gc.collect()

    told = [str(w.message) for w in caught if "nobody ever ran its body" in str(w.message)]
    assert len(told) == 1
    assert told[0].startswith(f"node {kind.__name__!r}: ")


@WAYS
def test_a_body_that_nobody_ran_is_told_with_tries_too(way: Way) -> None:
    with pytest.warns(RuntimeWarning, match="node 'Ignores': exec is written with yield"):
        way(Flow(Ignores(max_retries=3)))


def test_a_generator_that_its_own_arguments_lead_to_goes_with_its_run() -> None:
    class Circle(Keeps):
        def prep(self, shared: Any) -> Iterator[Any]:
            yield shared

        def exec(self, prep_res: Any) -> Any:
            return prep_res

    class Holds:
        pass

    flow = Flow(Circle())
    held = Holds()
    watch = weakref.ref(held)
    store = {"held": held}
    flow.run(store)

    assert set(store) == {"held", "got"}
    del store, held
    for _ in range(1_100):  # `runs()` is bounded
        Flow(Node()).run({})
    gc.collect()

    assert watch() is None


def test_a_plain_function_with_yield_is_refused_with_the_mend() -> None:
    @node
    def lazy(shared: Any) -> Iterator[str]:
        yield "ok"

    with pytest.raises(CheckError, match="the function is written with yield"):
        Flow(lazy).check()
    with pytest.raises(TypeError, match=r"'lazy' is written with yield.*async def"):
        Flow(lazy).run({})


def test_the_prep_and_post_of_a_flow_are_looked_at_too() -> None:
    class Prepares(Flow):
        def prep(self, shared: Any) -> Iterator[int]:
            yield 1

    class Many(BatchFlow):
        def prep(self, shared: Any) -> Iterator[dict[str, Any]]:
            yield {}

    assert [p.kind for p in problems_of(Prepares(Node()))] == ["unrun body"]
    assert [p.kind for p in problems_of(Flow(Prepares(Node())))] == ["unrun body"]
    assert problems_of(Many(Node())) == []


def test_whoever_overrides_a_private_hook_may_run_the_body_there() -> None:
    class Runs(LazyExec):
        def _exec(self, prep_res: Any) -> Any:
            return list(self.exec(prep_res))

    assert Flow(Runs()).check() == []


def test_yielding_functions_are_known_below_partials_decorators_and_callable_objects() -> None:
    async def stream(a: Any, b: Any = 1) -> AsyncIterator[int]:
        yield 1

    def lazy() -> Iterator[int]:
        yield 1

    @functools.wraps(stream)
    def decorated(*args: Any) -> Any:
        return stream(*args)

    @functools.wraps(stream)
    async def gathered(*args: Any) -> Any:
        return [x async for x in stream(*args)]

    class Calls:
        async def __call__(self) -> AsyncIterator[int]:
            yield 1

    assert all(map(is_stream, (stream, functools.partial(stream, 1), decorated, Calls())))
    assert is_lazy(lazy) and not is_stream(lazy)
    assert not is_lazy(gathered) and not is_lazy(len)
