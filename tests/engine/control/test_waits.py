"""What a run waits for is known in one place, whatever it is, while it waits and no longer; a run that waits for nothing keeps no mark."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import (
    Agent,
    BatchFlow,
    BatchNode,
    Flow,
    Limiter,
    Node,
    Store,
    ask,
    launch,
    linear,
    node,
    open_queue,
    open_store,
    open_topic,
    replay,
    spawn,
)
from pocketflex_nb.core.waits import Wait
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.pocketflow import AsyncNode

Eventually = Callable[[Callable[[], Any]], None]
LONG = 60.0


class Fails(Node):
    def exec(self, prep_res: Any) -> Any:
        raise TimeoutError("no answer")


class FailsAsync(Fails):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        raise TimeoutError("no answer")


class FailsAsInPocketFlow(AsyncNode):
    async def exec_async(self, prep_res: Any) -> Any:
        raise TimeoutError("no answer")


def named(made: Any) -> Any:
    made.name = "work"
    return made


def fails(kind: Any) -> Callable[[], Any]:
    return lambda: named(kind(max_retries=3, wait=LONG))


def limited(is_async: bool) -> Any:
    limiter = Limiter(1, per=60)
    limiter.reserve()

    @node
    async def work(shared: Any) -> None:
        async with limiter:
            pass

    @node
    def plain(shared: Any) -> None:
        with limiter:
            pass

    return named(work if is_async else plain)


def locked(store: Any, timeout: float | None = None) -> Any:
    """A step that waits for a lock of `store` which another task of its own holds."""

    @node
    async def work(shared: Any) -> None:
        async with store.lock("draft"):
            await asyncio.create_task(_lock(store, timeout))

    return named(work)


async def _lock(store: Any, timeout: float | None) -> None:
    async with store.lock("draft", timeout=timeout):
        pass


def locked_here() -> Any:
    return locked(Store(), timeout=50)


def leased() -> Any:
    store = open_store("memory:")
    held = store.lock("draft")
    held.__enter__()

    @node
    async def work(shared: Any) -> None:
        await _lock(store, None)
        held.__exit__(None, None, None)

    return named(work)


def asks() -> Any:
    @node
    async def work(shared: Any) -> None:
        await ask("Publish?", ["yes", "no"], timeout=50)

    return named(work)


def gets() -> Any:
    @node
    async def work(shared: Any) -> None:
        async with open_queue("memory:jobs-that-never-come") as queue, queue.get():
            pass

    return named(work)


def gets_plainly() -> Any:
    class Work(Node):
        def exec(self, prep_res: Any) -> None:
            with open_queue("memory:jobs-that-never-come") as queue, queue.get_sync(timeout=50):
                pass

    return named(Work())


def calls_a_queue() -> Any:
    @node
    async def work(shared: Any) -> None:
        async with open_queue("memory:unserved") as queue:
            await queue.call(1, timeout=None)

    return named(work)


def hears() -> Any:
    @node
    async def work(shared: Any) -> None:
        async with open_topic("memory:news") as topic, topic.subscribe() as news:
            await news.get()

    return named(work)


def watches() -> Any:
    @node
    async def work(shared: Any) -> None:
        async for _ in shared.watch("price"):
            pass

    return named(work)


class Silent(Agent):
    async def handle_call(self, message: Any, caller: Any) -> Any:
        await asyncio.sleep(LONG)


def calls_an_agent() -> Any:
    @node
    async def work(shared: Any) -> None:
        ref = await Silent.start(name="librarian")
        try:
            await ref.call("?", timeout=50)
        finally:
            ref.exit("kill")

    return named(work)


def calls_an_agent_plainly() -> Any:
    class Work(Node):
        def exec(self, prep_res: Any) -> None:
            ref = Silent.start_sync(name="librarian")
            try:
                ref.call_sync("?", timeout=3)
            finally:
                ref.exit("kill")

    return named(Work())


async def digest() -> None:
    await asyncio.sleep(LONG)


def awaits_a_task() -> Any:
    @node
    async def work(shared: Any) -> None:
        await spawn(digest).result(timeout=50)

    return named(work)


def waits_for_a_run() -> Any:
    @node
    async def work(shared: Any) -> None:
        await launch(named_flow("inner", asyncio_sleeps()), show=False)

    return named(work)


def named_flow(name: str, start: Any) -> Flow:
    return Flow(start, name=name)


def asyncio_sleeps() -> Any:
    @node
    async def sleeps(shared: Any) -> None:
        await asyncio.sleep(LONG)

    return sleeps


def has_a_batch() -> Any:
    class Work(BatchNode):
        def prep(self, shared: Any) -> Any:
            return list(range(12))

        async def exec(self, item: Any) -> None:
            await asyncio.sleep(LONG)

    return named(Work(max_concurrency=4))


def has_a_batch_of_flows() -> Any:
    class Works(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"k": k} for k in range(5)]

    return Works(asyncio_sleeps(), name="work", max_concurrency=2)


WAITS = [
    pytest.param(fails(Fails), "retry", "try 2 of 3 in", "(TimeoutError)", id="a plain retry"),
    pytest.param(fails(FailsAsync), "retry", "try 2 of 3 in", "(TimeoutError)", id="an async retry"),
    pytest.param(fails(FailsAsInPocketFlow), "retry", "try 2 of 3 in", "(TimeoutError)", id="a retry in PocketFlow's spelling"),
    pytest.param(lambda: limited(True), "limiter", "limiter 1/min, next in", "", id="a limiter, awaited"),
    pytest.param(lambda: limited(False), "limiter", "limiter 1/min, next in", "", id="a limiter in plain code"),
    pytest.param(locked_here, "lock", "lock 'draft'", "of 50 s", id="a store's lock"),
    pytest.param(leased, "lock", "lock 'draft'", "", id="a lease"),
    pytest.param(asks, "question", 'ask "Publish?"', "of 50 s", id="a question"),
    pytest.param(gets, "queue", "a message of queue jobs-that-never-come", "", id="a queue"),
    pytest.param(gets_plainly, "queue", "a message of queue jobs-that-never-come", "of 50 s", id="a queue in plain code"),
    pytest.param(calls_a_queue, "reply", "reply of queue unserved", "", id="a call through a queue"),
    pytest.param(hears, "topic", "a message of topic news", "", id="a topic"),
    pytest.param(watches, "watch", "a change of 'price'", "", id="a watch"),
    pytest.param(calls_an_agent, "reply", "reply of librarian", "of 50 s", id="an agent"),
    pytest.param(calls_an_agent_plainly, "reply", "reply of librarian", "of 3 s", id="an agent in plain code"),
    pytest.param(awaits_a_task, "task", "task digest", "of 50 s", id="a task"),
    pytest.param(waits_for_a_run, "run", "run inner", "", id="a run"),
    pytest.param(has_a_batch, "place", "8 items to go, 4 at once", "", id="items of a batch"),
    pytest.param(has_a_batch_of_flows, "place", "3 items to go, 2 at once", "", id="items of a batch of flows"),
]


@pytest.mark.parametrize(("made", "kind", "before", "after"), WAITS)
def test_a_run_says_for_what_its_step_waits_while_it_waits(
    made: Callable[[], Any], kind: str, before: str, after: str, eventually: Eventually
) -> None:
    run = launch(Flow(made(), name="report"), show=False)

    def found() -> list[Wait]:
        waits = (wait for wait in run.state().waits if wait.kind == kind)
        return [wait for wait in waits if wait.words()[0].startswith(before) and wait.words()[1] == after]

    eventually(found)
    (wait,) = found()
    written = repr(run), repr(run.state())
    run.cancel()
    run.wait(10)

    assert wait.node == "work"
    assert wait.since > 0
    assert [" waits: " in text for text in written] == [kind != "question", True]
    assert run.state().waits == []
    assert "waits" not in repr(run)


def test_a_pause_and_a_breakpoint_are_told_apart(eventually: Eventually) -> None:
    paused = _held_at(lambda run: run.pause(), eventually)
    stopped = _held_at(lambda run: setattr(run._lifecycle.ensure_controller().gate, "breaks", frozenset({"second"})), eventually)

    assert [(wait.kind, wait.node, wait.text) for wait in paused] == [("pause", "second", "paused")]
    assert [(wait.kind, wait.node, wait.text) for wait in stopped] == [("breakpoint", "second", "a breakpoint")]


def _held_at(hold: Callable[[Any], object], eventually: Eventually) -> list[Wait]:
    go = asyncio.Event()

    @node
    async def first(shared: Any) -> None:
        await go.wait()

    @node
    def second(shared: Any) -> None:
        pass

    run = launch(linear(first, second), show=False)
    eventually(lambda: run.in_flight() == ["first"])
    hold(run)
    lifecycle_of(run).needs_check = True
    run._lifecycle.task.get_loop().call_soon_threadsafe(go.set)  # type: ignore[union-attr]
    eventually(lambda: run.state().waits)
    waits = run.state().waits
    run.cancel()
    run.wait(10)
    return waits


def test_a_join_names_the_branches_that_it_waits_for(eventually: Eventually) -> None:
    @node
    def read_1(shared: Any) -> None:
        pass

    @node
    async def read_2(shared: Any) -> None:
        await asyncio.sleep(LONG)

    @node
    def join(shared: Any) -> None:
        pass

    start = named(node(lambda shared: None))
    start >> [read_1, read_2] >> join
    run = launch(Flow(start), show=False)

    eventually(lambda: run.state().waits)
    (wait,) = run.state().waits
    run.cancel()
    run.wait(10)

    assert (wait.kind, wait.node, wait.text) == ("join", "join", "waits for read_2")


def test_the_waits_of_runs_inside_a_step_are_told_with_their_way_and_counted(eventually: Eventually) -> None:
    limiter = Limiter(1, per=60)
    limiter.reserve()

    @node
    async def search(shared: Any) -> None:
        async with limiter:
            pass

    @node
    async def survey(shared: Any) -> None:
        await Flow(search, name="reader").launch_each("topic", range(12), max_concurrency=4, show=False)

    run = launch(Flow(survey, name="report"), show=False)
    eventually(lambda: any(wait.number == 4 for wait in run.state().waits))
    state = run.state()
    told = {(wait.kind, wait.node): (wait.number, wait.text) for wait in state.waits}
    counted = dict(state.nodes["survey"].runs)
    run.cancel()
    run.wait(10)

    assert told["limiter", "survey/reader/search"] == (4, "limiter 1/min")
    assert told["place", "survey/reader"] == (8, "a place to begin")
    assert told["run", "survey"] == (1, "12 runs")
    assert counted == {"running": 4, "pending": 8}
    assert "pending" not in run.state().nodes["survey"].runs
    assert sum(run.state().nodes["survey"].runs.values()) == 12


def test_a_run_that_never_waits_keeps_no_mark(tmp_path: Path) -> None:
    limiter, store = Limiter(100, per=1), open_store(f"sqlite:///{tmp_path / 'store.db'}")

    class Step(Node):
        async def exec(self, prep_res: Any) -> None:
            async with limiter, store.lock("k"), Store().lock("k"):
                await asyncio.sleep(0)

    run = launch(linear(Step(max_retries=3, wait=LONG), node(lambda shared: None)), show=False).wait(10)

    assert run.status == "done"
    assert lifecycle_of(run).waits is None


def test_a_replay_waits_for_nothing_and_equals_the_state_of_a_run_that_is_over() -> None:
    run = launch(linear(node(lambda shared: None)), show=False).wait(10)

    assert replay(run.events) == run.state()
    assert run.state().waits == []


def test_ten_thousand_waits_of_one_step_are_one(eventually: Eventually) -> None:
    limiter = Limiter(1, per=1_000)
    limiter.reserve()

    class Work(BatchNode):
        def prep(self, shared: Any) -> Any:
            return list(range(10_000))

        async def exec(self, item: Any) -> None:
            async with limiter:
                pass

    run = launch(Flow(named(Work(max_concurrency=None))), show=False)
    eventually(lambda: len(lifecycle_of(run).waits or ()) == 10_000)
    begun = time.perf_counter()
    waits = [run.state().waits for _ in range(20)][-1]
    seconds = time.perf_counter() - begun
    run.cancel()
    run.wait(20)

    assert [(wait.kind, wait.number) for wait in waits] == [("limiter", 10_000)]
    assert seconds < 1.0


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (Wait("retry", "write", "try 2 of 3", 0, 4_000_000_000, "TimeoutError"), "try 2 of 3 in 4 s (TimeoutError)"),
        (Wait("limiter", "read", "limiter 10/min", 0, 1_200_000_000), "limiter 10/min, next in 1.2 s"),
        (Wait("limiter", "read", "limiter 10/min", 0, 1_200_000_000, number=812), "812 × limiter 10/min, next in 1.2 s"),
        (Wait("join", "join", "waits for read_3"), "waits for read_3"),
        (Wait("place", "", "a place to begin"), "a place to begin"),
    ],
)
def test_a_wait_reads_as_one_short_line(wait: Wait, told: str) -> None:
    assert wait.told(now=0) == told
