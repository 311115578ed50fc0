"""Cancel, pause, resume, step: at every point, from any thread, whichever way the flow is walked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Store, ask, current, node, runs
from pocketflex_nb.concurrency.engine_thread import POOL_SIZE, engine_thread
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.engine.runs.run import lifecycle_of

Eventually = Callable[[Callable[[], Any]], None]


class Waits(Node):
    """Awaits for ever; tells when it began and when its `finally` ran."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun, self.ended = threading.Event(), threading.Event()

    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


class Blocks(Node):
    """Blocks its thread until `free` is set, then writes late."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun, self.free, self.ended = threading.Event(), threading.Event(), threading.Event()

    def prep(self, shared: Any) -> Any:
        return shared

    def exec(self, prep_res: Any) -> Any:
        self.begun.set()
        self.free.wait(30)
        prep_res["late"] = True
        prep_res["list"].append("late")
        self.ended.set()


def step(name: str, action: Any = None) -> Node:
    @node
    async def step(shared: Any) -> Any:
        shared["seen"] = [*shared.get("seen", []), name]
        return action

    step.name = name
    return step


# cancel -----------------------------------------------------------------------------------------------------------------
def test_a_launched_run_is_cancelled_inside_an_await() -> None:
    waits = Waits()
    run = Flow(waits).launch({"kept": 1}, show=False)
    assert waits.begun.wait(10)

    assert run.cancel() is True

    with pytest.raises(RunCancelled, match=run.name):
        run.result(10)
    assert run.status == "cancelled"
    assert waits.ended.is_set()
    assert run.store["kept"] == 1
    assert run.cancel() is False


def test_a_run_that_loops_in_plain_code_is_cancelled_between_nodes() -> None:
    spins = node(lambda shared: None)
    spins >> spins
    run = Flow(spins).launch({}, show=False)
    while run.hops < 10:
        run.wait(0.001)

    run.cancel()

    assert run.wait(10).status == "cancelled"


def test_a_run_that_has_not_begun_is_cancelled_at_once() -> None:
    from pocketflex_nb import launch

    waits = Waits()
    group = launch([Flow(waits), Flow(step("never"))], {}, max_concurrency=1, show=False)
    assert waits.begun.wait(10)

    group[1].cancel()
    group[0].cancel()
    group.wait(10)

    assert [run.status for run in group] == ["cancelled", "cancelled"]
    assert group[1].hops == 0


def test_a_paused_run_is_cancelled(eventually: Eventually) -> None:
    first = Waits()
    run = Flow(step("a")).launch({}, show=False)
    run.wait(10)
    flow = Flow(first)
    held = flow.launch({}, show=False)
    assert first.begun.wait(10)
    held.pause()
    held.cancel()

    assert held.wait(10).status == "cancelled"


def test_a_run_that_is_held_before_a_node_is_cancelled(eventually: Eventually) -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def first(shared: Any) -> None:
        begun.set()
        gate.wait(10)

    first >> step("never")
    run = Flow(first).launch({}, show=False)
    assert begun.wait(10)
    run.pause()
    gate.set()
    eventually(lambda: lifecycle_of(run).controller.gate.waiting)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert "seen" not in run.store


@pytest.mark.parametrize("is_async", [False, True])
def test_an_asking_run_is_cancelled(eventually: Eventually, is_async: bool) -> None:
    @node
    def plain(shared: Any) -> Any:
        return ask("well?")

    @node
    async def awaited(shared: Any) -> Any:
        return await ask("well?")

    run = Flow(awaited if is_async else plain).launch({}, show=False)
    eventually(lambda: run.status == "asking")

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert run.state().asking == {}


def test_a_thread_that_cannot_be_stopped_is_reported_and_its_late_writes_are_dropped() -> None:
    blocks = Blocks()
    store = Store({"list": []})
    run = Flow(blocks).launch(store, show=False)
    assert blocks.begun.wait(10)

    run.cancel()
    assert run.wait(10).status == "cancelled"
    blocks.free.set()
    assert blocks.ended.wait(10)

    assert "late" not in store
    assert "thread" in [e["what"] for e in run.events if e.kind == "abandoned"]
    assert any("could not be stopped" in problem for problem in run.state().problems)


def test_abandoned_threads_give_their_places_back(eventually: Any) -> None:
    eventually(lambda: engine_thread.pool.size == POOL_SIZE)  # a test before this one may still have lent a place
    before = engine_thread.pool.size
    several = [Blocks() for _ in range(5)]
    made = [Flow(blocks).launch({"list": []}, show=False) for blocks in several]
    for blocks, run in zip(several, made, strict=True):
        assert blocks.begun.wait(10)
        run.cancel()
        run.wait(10)
    assert engine_thread.pool.size == before + 5

    for blocks in several:
        blocks.free.set()
        assert blocks.ended.wait(10)

    until = time.monotonic() + 10
    while engine_thread.pool.size != before:
        assert time.monotonic() < until


def test_an_abandoned_try_of_a_node_with_a_time_limit_writes_nothing_late() -> None:
    class Slow(Blocks):
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return None

    slow = Slow(timeout=0.05)
    store = Store({"list": []})

    Flow(slow).run(store)
    slow.free.set()
    assert slow.ended.wait(10)

    assert "late" not in store


def test_cancel_reaches_every_branch_and_item() -> None:
    waiting = [Waits() for _ in range(4)]
    inside = threading.Semaphore(0)

    class Items(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(3)

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            inside.release()
            try:
                await asyncio.Event().wait()
            finally:
                inside.release()

    plan = step("plan")
    plan >> [*waiting, Items(max_concurrency=None), Flow(Waits())] >> step("never")
    run = Flow(plan).launch({}, show=False)
    for waits in waiting:
        assert waits.begun.wait(10)
    for _ in range(3):
        assert inside.acquire(timeout=10)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    for waits in waiting:
        assert waits.ended.is_set()
    for _ in range(3):
        assert inside.acquire(timeout=10)
    assert run.store["seen"] == ["plan"]


def test_cancel_reaches_the_runs_that_a_node_launched() -> None:
    waits = Waits()
    children: list[Any] = []

    @node
    async def parent(shared: Any) -> None:
        child = Flow(waits).launch({}, name="child", show=False)
        children.append(child)
        await child

    run = Flow(parent).launch({}, name="parent", show=False)
    assert waits.begun.wait(10)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert children[0].wait(10).status == "cancelled"
    assert children[0].parent is run


def test_cancel_reaches_a_child_that_a_pool_thread_waits_for(eventually: Eventually) -> None:
    waits = Waits()
    children: list[Any] = []

    @node
    def parent(shared: Any) -> None:
        children.append(Flow(waits).launch({}, show=False))
        children[0].result()

    run = Flow(parent).launch({}, show=False)
    assert waits.begun.wait(10)
    eventually(lambda: children)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert children[0].wait(10).status == "cancelled"


def test_a_step_that_swallows_its_cancellation_ends_before_the_next_node() -> None:
    begun = threading.Event()

    @node
    async def stubborn(shared: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            shared["swallowed"] = True

    stubborn >> step("never")
    run = Flow(stubborn).launch({}, show=False)
    assert begun.wait(10)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert run.store["swallowed"] is True
    assert "seen" not in run.store


@pytest.mark.parametrize("kind", [Waits, Blocks])
def test_a_plain_run_is_cancelled_from_another_thread(kind: Any, eventually: Eventually) -> None:
    inner = kind() if kind is Waits else kind(timeout=30)
    outcome: list[BaseException] = []

    def main() -> None:
        try:
            Flow(inner, name="from-a-thread").run(Store({"list": []}))
        except BaseException as exc:
            outcome.append(exc)

    thread = threading.Thread(target=main)
    thread.start()
    assert inner.begun.wait(10)

    next(run for run in runs(live=True) if run.flow.name == "from-a-thread").cancel()
    thread.join(10)

    assert isinstance(outcome[0], RunCancelled)
    if kind is Blocks:
        inner.free.set()
        assert inner.ended.wait(10)
        assert "late" not in runs()[-1].store


def test_an_awaited_run_is_cancelled_by_its_task() -> None:
    waits = Waits()

    async def main() -> None:
        task = asyncio.ensure_future(Flow(waits).run_async({}))  # type: ignore[arg-type]
        while not waits.begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert runs()[-1].status == "cancelled"


def test_an_awaited_run_is_cancelled_by_its_handle_and_its_task_lives_on() -> None:
    waits = Waits()

    async def main() -> str:
        async def cancel() -> None:
            while not waits.begun.is_set():
                await asyncio.sleep(0)
            runs(live=True)[-1].cancel()

        aside = asyncio.ensure_future(cancel())
        with pytest.raises(RunCancelled):
            await Flow(waits).run_async({})
        await aside
        await asyncio.sleep(0)
        return "lives"

    assert asyncio.run(main()) == "lives"


def test_who_stops_waiting_for_a_run_cancels_it() -> None:
    waits = Waits()

    async def main() -> None:
        run = Flow(waits).launch({}, show=False)
        task = asyncio.ensure_future(run._wait())
        await asyncio.sleep(0)
        while not waits.begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert run.status == "cancelled"

    asyncio.run(main())


def test_a_cancelled_batch_flow_walks_no_further_item() -> None:
    waits = Waits()

    class Many(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"n": n} for n in range(5)]

    run = Many(waits).launch({}, show=False)
    assert waits.begun.wait(10)

    run.cancel()

    assert run.wait(10).status == "cancelled"
    assert len([e for e in run.events if e.kind == "node_failed" and e.node == "Waits"]) == 1


def test_cancelling_from_a_node_of_its_own_ends_the_run() -> None:
    @node
    async def quits(shared: Any) -> None:
        current().run.cancel()

    quits >> step("never")

    run = Flow(quits).launch({}, show=False)

    assert run.wait(10).status == "cancelled"
    assert "seen" not in run.store


# pause, resume, step ------------------------------------------------------------------------------------------------------
def chain(*names: str) -> Flow:
    nodes = [step(name) for name in names]
    for here, there in pairwise(nodes):
        here >> there
    return Flow(nodes[0])


def test_a_run_is_stepped_one_node_at_a_time(eventually: Eventually) -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def first(shared: Any) -> None:
        begun.set()
        gate.wait(10)

    first >> chain("a", "b", "c").start_node
    run = Flow(first).launch({}, show=False)
    assert begun.wait(10)
    run.pause()
    gate.set()
    eventually(lambda: lifecycle_of(run).controller.gate.waiting)
    assert run.status == "paused"

    seen = []
    for hops in (2, 3, 4):
        run.step()
        eventually(lambda: run.hops == hops and (lifecycle_of(run).controller.gate.waiting or run.done()))  # noqa: B023
        seen.append(run.store["seen"])
    assert seen == [["a"], ["a", "b"], ["a", "b", "c"]]

    assert run.result(10) is None


def test_pause_lets_the_node_in_flight_end_and_resume_goes_on(eventually: Eventually) -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def first(shared: Any) -> None:
        begun.set()
        gate.wait(10)
        shared["first"] = True

    first >> step("second")
    run = Flow(first).launch({}, show=False)
    assert begun.wait(10)
    run.pause()
    gate.set()
    eventually(lambda: lifecycle_of(run).controller.gate.waiting)
    assert run.store["first"] is True
    assert "seen" not in run.store
    assert run.state().nodes["second"].status == "waiting"

    run.resume()

    run.result(10)
    assert run.store["seen"] == ["second"]
    kinds = [e.kind for e in run.events]
    assert kinds.count("run_paused") == kinds.count("run_resumed") == 1


def test_a_paused_run_holds_all_its_branches(eventually: Eventually) -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def plan(shared: Any) -> None:
        begun.set()
        gate.wait(10)

    plan >> [step("a"), step("b"), step("c")] >> step("join")
    run = Flow(plan).launch({}, show=False)
    assert begun.wait(10)
    run.pause()
    gate.set()
    eventually(lambda: len(lifecycle_of(run).controller.gate.waiting) == 3)

    run.step()
    eventually(lambda: run.hops == 2)
    assert run.status == "paused"
    run.resume()

    run.result(10)
    assert run.hops == 5


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_a_run_in_the_callers_thread_is_paused_and_resumed_from_another(way: str, eventually: Eventually) -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def first(shared: Any) -> None:
        begun.set()
        gate.wait(10)

    first >> step("second")
    flow, store = Flow(first, name="mine"), {}

    def main() -> None:
        if way == "run":
            flow.run(store)
        else:
            async def walk() -> None:
                await flow.run_async(store)

            asyncio.run(walk())

    thread = threading.Thread(target=main)
    thread.start()
    assert begun.wait(10)
    run = next(run for run in runs(live=True) if run.flow is flow)
    run.pause()
    gate.set()
    eventually(lambda: lifecycle_of(run).controller.gate.waiting)
    assert store == {}

    run.resume()
    thread.join(10)

    assert store == {"seen": ["second"]}
    assert run.status == "done"


def test_pausing_twice_and_resuming_twice_changes_nothing() -> None:
    run = chain("a", "b").launch({}, show=False)
    run.pause()
    run.pause()
    run.resume()
    run.resume()

    run.result(10)

    assert run.store["seen"] == ["a", "b"]


def test_steering_a_run_that_is_over_changes_nothing() -> None:
    run = chain("a").launch({}, show=False)
    run.result(10)

    run.pause()
    run.step()
    run.resume()

    assert run.cancel() is False
    assert run.status == "done"
    assert [e.kind for e in run.events][-1] == "run_finished"
