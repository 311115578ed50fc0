"""A plain `flow.run()` inside an async step: it holds nobody up, ends with the step around it, and never hangs."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, launch, node
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import NodeTimeout, RunCancelled, RunTimeout
from pocketflex_nb.engine.runs.run import lifecycle_of, runs
from tests.engine.fakes import SOON


class Rest(Node):
    """Rests for `seconds`, or for ever."""

    def __init__(self, seconds: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seconds = seconds

    async def exec(self, prep_res: Any) -> str:  # type: ignore[override]
        if self.seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self.seconds)
        return "rested"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        return str(exec_res)



def resting(seconds: float | None, kind: str) -> Flow:
    """A flow that rests: in a node, in branches, in items of a batch, or in a flow inside."""
    if kind == "branches":
        start = node(lambda shared: None)
        start >> [Rest(seconds), Rest(seconds)]
        return Flow(start)
    if kind == "items":

        class Items(BatchNode):
            def prep(self, shared: Any) -> Any:
                return range(3)

            async def exec(self, item: int) -> None:  # type: ignore[override]
                await (asyncio.Event().wait() if seconds is None else asyncio.sleep(seconds))

        return Flow(Items(max_concurrency=2))
    if kind == "limited":
        return Flow(Flow(Rest(seconds), timeout=60))
    return Flow(Rest(seconds))


KINDS = ["node", "branches", "items", "limited"]


class Inside(Node):
    """Runs a flow in its async exec."""

    def __init__(self, flow: Flow, **options: Any) -> None:
        super().__init__(**options)
        self.flow = flow

    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return self.flow.run({})

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared.setdefault("order", []).append(self.name)


class InPlainPost(Inside):
    """Runs it in its plain post, which stays on the loop."""

    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        return None

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        self.flow.run({})
        shared.setdefault("order", []).append(self.name)


class InHelper(Inside):
    """Runs it in a task of the step's own."""

    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        async def helper() -> Any:
            return self.flow.run({})

        return (await asyncio.gather(helper(), asyncio.create_task(helper())))[0]


PLACES = [Inside, InPlainPost, InHelper]


def named(made: Any, name: str) -> Any:
    made.name = name
    return made


def forked(*heads: Any) -> Flow:
    start = node(lambda shared: None)
    start >> list(heads)
    return Flow(start)


def _launch(flow: Flow, shared: Any) -> Any:
    run = flow.launch(shared, show=False)
    run.result(SOON)
    return run.store


def _run_async(flow: Flow, shared: Any) -> Any:
    asyncio.run(asyncio.wait_for(flow.run_async(shared), SOON))
    return shared


def _run(flow: Flow, shared: Any) -> Any:
    flow.run(shared)
    return shared


WAYS: dict[str, Callable[[Flow, Any], Any]] = {"launch": _launch, "run_async": _run_async, "run": _run}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_place = pytest.mark.parametrize("place", PLACES)


# side by side --------------------------------------------------------------------------------------------------------------
@each_way
@each_place
@pytest.mark.parametrize("kind", KINDS)
def test_a_branch_does_not_wait_for_what_another_runs(way: Any, place: Any, kind: str) -> None:
    quick, slow = named(place(resting(0.02, kind)), "quick"), named(place(resting(0.4, kind)), "slow")

    store = way(forked(quick, slow), {})
    other = way(forked(slow, quick), {})

    assert store["order"] == ["quick", "slow"]
    assert other["order"] == ["quick", "slow"]


@each_way
def test_branches_that_need_each_other_both_get_on(way: Any) -> None:
    class Wait(Node):
        def prep(self, shared: Any) -> Any:
            return shared["event"]

        async def exec(self, event: asyncio.Event) -> None:  # type: ignore[override]
            await event.wait()

    class First(Wait):
        async def exec(self, event: asyncio.Event) -> None:  # type: ignore[override]
            Flow(Rest(0.05)).run({})
            event.set()

    class Second(Wait):
        async def exec(self, event: asyncio.Event) -> None:  # type: ignore[override]
            await asyncio.sleep(0.01)
            loop = asyncio.get_running_loop()

            class There(Node):  # an event belongs to the loop it was first awaited on, and a plain run's steps may be on another
                async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(event.wait(), loop))

            Flow(There()).run({})

    async def fresh(shared: Any) -> None:
        shared["event"] = asyncio.Event()

    start = node(fresh)
    start >> [First(), Second()]
    way(Flow(start, timeout=SOON), {})


@pytest.mark.parametrize("way", [_launch, _run_async], ids=["launch", "run_async"])
def test_a_thousand_wait_at_once(way: Any) -> None:
    class Many(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(1_000)

        async def exec(self, item: int) -> str:  # type: ignore[override]
            return str(Flow(Rest(0.2)).run({}))

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    assert way(Flow(Many(max_concurrency=None)), {})["out"] == ["rested"] * 1_000


@each_way
def test_runs_inside_runs_inside_runs(way: Any) -> None:
    class Down(Node):
        def __init__(self, depth: int) -> None:
            super().__init__()
            self.depth = depth

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)
            return Flow(Down(self.depth - 1) if self.depth else Rest(0)).run({})

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["out"] = exec_res
            return exec_res

    assert way(Flow(Down(60)), {})["out"] == "rested"


def test_the_current_task_and_context_of_a_step_are_its_own_after_it_waited() -> None:
    seen = []

    class Look(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            before = asyncio.current_task()
            Flow(Rest(0.01)).run({})
            seen.append(asyncio.current_task() is before)
            async with asyncio.timeout(SOON):
                await asyncio.sleep(0)

    launch([Flow(Look()) for _ in range(20)]).results(SOON)

    assert seen == [True] * 20


@each_way
def test_what_the_inner_run_raises_arrives_as_the_very_object(way: Any) -> None:
    error = TimeoutError("mine")

    class Fail(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            raise error

    class Catch(Inside):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            try:
                self.flow.run({})
            except TimeoutError as exc:
                return exc

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["error"] = exec_res

    assert way(Flow(Catch(Flow(Fail()))), {})["error"] is error


# ends ----------------------------------------------------------------------------------------------------------------------
@each_place
@pytest.mark.parametrize("kind", KINDS)
def test_cancel_ends_the_run_inside_and_the_step_around_it(place: Any, kind: str, eventually: Any) -> None:
    run = Flow(place(resting(None, kind))).launch({}, show=False)
    eventually(lambda: any(child.in_flight() for child in list(run.children or ())))
    inside = next(iter(run.children))

    run.cancel()

    assert run.wait(SOON).status == "cancelled"
    assert inside.done()
    assert inside.status == "cancelled"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_inside_that_is_cancelled_alone_is_told_to_its_step(kind: str, eventually: Any) -> None:
    class Catch(Inside):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            with pytest.raises(RunCancelled):
                self.flow.run({})
            await asyncio.sleep(0)
            return "went on"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    run = Flow(Catch(resting(None, kind))).launch({}, show=False)
    eventually(lambda: any(child.in_flight() for child in list(run.children or ())))

    next(iter(run.children)).cancel()

    assert run.wait(SOON).store["out"] == "went on"


@each_way
@pytest.mark.parametrize("kind", KINDS)
def test_a_nodes_time_limit_reaches_it_and_the_next_try_is_unharmed(way: Any, kind: str) -> None:
    class Twice(Inside):
        async def exec(self, prep_res: Any) -> str:  # type: ignore[override]
            if self.cur_retry == 0:
                self.flow.run({})
            await asyncio.sleep(0.001)  # a cancellation that is left over would arrive here
            Flow(Rest(0.001)).run({})
            return "second"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    flow = Flow(Twice(resting(None, kind), timeout=0.6, max_retries=2))

    assert way(flow, {})["out"] == "second"


@each_way
def test_the_time_limit_of_a_flow_around_it_reaches_it(way: Any) -> None:
    inner = Flow(Inside(resting(None, "node")), timeout=0.1)

    class Rescue(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0.001)
            shared["rescued"] = True

    inner.on_error(Rescue())

    assert way(Flow(inner), {})["rescued"]
    with pytest.raises(RunTimeout):
        way(Flow(Inside(resting(None, "node")), timeout=0.1), {})


@each_way
def test_a_failing_branch_ends_what_its_sibling_runs(way: Any) -> None:
    class Fail(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0.05)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        way(forked(Inside(resting(None, "node")), Fail()), {})


@each_way
def test_the_users_own_timeout_around_it_is_kept(way: Any) -> None:
    class Own(Inside):
        async def exec(self, prep_res: Any) -> str:  # type: ignore[override]
            try:
                async with asyncio.timeout(0.05):
                    self.flow.run({})
            except TimeoutError:
                return "in time"
            return "too late"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    assert way(Flow(Own(resting(None, "node"))), {})["out"] == "in time"


@pytest.mark.parametrize("kind", KINDS)
def test_cancelling_the_task_that_awaits_the_run_ends_it(kind: str) -> None:
    async def main() -> float:
        task = asyncio.create_task(Flow(Inside(resting(None, kind))).run_async({}))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < SOON
    assert runs(live=True) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_task_that_goes_on_is_cancelled_once(kind: str) -> None:
    """As a kernel's cell: what awaits the run is cancelled, tells of it, and comes to its end with a result."""

    async def cell() -> str:
        with pytest.raises(asyncio.CancelledError):
            await Flow(Inside(resting(None, kind))).run_async({})
        await asyncio.sleep(0)
        return "told"

    async def main() -> str:
        task = asyncio.create_task(cell())
        await asyncio.sleep(0.05)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "told"


# plain steps only ----------------------------------------------------------------------------------------------------------
class Again(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        return "again"


def turning() -> Flow:
    again = Again()
    again - "again" >> again
    return Flow(again)


@pytest.mark.parametrize("way", [_launch, _run_async], ids=["launch", "run_async"])
def test_a_flow_inside_that_never_waits_ends_with_the_limits_around_it(way: Any) -> None:
    with pytest.raises(NodeTimeout):
        way(Flow(Inside(turning(), timeout=0.1)), {})
    with pytest.raises(RunTimeout):
        way(Flow(Inside(turning()), timeout=0.1), {})


def test_a_flow_inside_that_never_waits_lets_other_runs_go_on_and_can_be_cancelled() -> None:
    run = Flow(Inside(turning())).launch({}, show=False)

    assert Flow(Rest(0.01)).launch({}, show=False).result(SOON) == "rested"
    run.cancel()

    assert run.wait(SOON).status == "cancelled"


def test_a_run_inside_that_is_paused_does_not_stop_the_engine(eventually: Any) -> None:
    run = Flow(Inside(turning())).launch({}, show=False)
    eventually(lambda: bool(run.children))
    inside = next(iter(run.children))

    inside.pause()
    eventually(lambda: (held := lifecycle_of(inside).controller) is not None and bool(held.gate.waiting))

    assert Flow(Rest(0.01)).launch({}, show=False).result(SOON) == "rested"
    run.cancel()
    assert run.wait(SOON).status == "cancelled"


# what is left --------------------------------------------------------------------------------------------------------------
def test_a_users_loop_is_not_kept_after_it_was_closed() -> None:
    seen: list[Any] = []

    class Look(Inside):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            seen.append(weakref.ref(asyncio.get_running_loop()))
            return self.flow.run({})

    _run_async(forked(Look(resting(0.01, "node")), Look(resting(0.02, "branches"))), {})
    gc.collect()

    assert [ref() for ref in seen] == [None, None]


_WITHOUT_GREENLET = """
import asyncio, sys
sys.modules["greenlet"] = None
from tests.engine.walk.test_runs_in_async_steps import *
from tests.engine.walk.test_runs_in_async_steps import _run_async
from pocketflex_nb.core.errors import NodeTimeout

kind, order = sys.argv[1], []

class Meanwhile(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.001)
        order.append("sibling")

class Outer(Node):
    async def exec(self, prep_res):
        Flow(Inside(resting(0.05, kind))).run({})
        order.append("outer")
"""


def _without_greenlet(kind: str, code: str) -> str:
    """What `code` prints in a process of its own: the engine's loop stays nested for good."""
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_GREENLET + code, kind], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[3]
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_without_greenlet_one_plain_run_and_those_inside_it_nest(kind: str) -> None:
    code = """
_run_async(forked(named(Outer(), "one"), named(Meanwhile(), "other")), {})
print(order)
try:
    _run_async(Flow(Inside(resting(None, kind), timeout=0.1)), {})
except NodeTimeout:
    print("in time")
"""

    assert _without_greenlet(kind, code) == "['sibling', 'outer']\nin time\n"


@pytest.mark.parametrize("kind", KINDS)
def test_without_greenlet_a_second_one_beside_it_is_refused_at_once_with_the_mend(kind: str) -> None:
    code = """
try:
    _run_async(forked(named(Inside(resting(0.01, kind)), "one"), named(Inside(resting(0.01, kind)), "other")), {})
except RuntimeError as exc:
    print(exc)
"""

    told = _without_greenlet(kind, code)

    assert "another plain run waits on this loop" in told and "pip install greenlet, or write `await flow.run_async" in told


def test_without_greenlet_and_nest_asyncio2_it_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", None)
    monkeypatch.setitem(sys.modules, "nest_asyncio2", None)

    with pytest.raises(RuntimeError, match=r"pip install greenlet, or write `await flow.run_async"):
        _run_async(Flow(Inside(resting(0.01, "node"))), {})


def test_without_greenlet_a_plain_run_that_never_waits_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", None)
    plain = Flow(node(lambda shared: "ran"))

    assert _run_async(Flow(Inside(plain)), {})["order"]


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_loop_that_nest_asyncio_patched_it_is_refused_with_the_mend(kind: str) -> None:
    async def patched() -> None:
        asyncio.get_running_loop()._nest_patched = True  # type: ignore[attr-defined]  # what nest_asyncio.apply() leaves
        await Flow(Inside(resting(0.01, kind))).run_async({})

    with pytest.raises(RuntimeError, match=r"nest_asyncio\.apply\(\) has patched this loop.*take that call out"):
        asyncio.run(patched())


def test_the_engine_thread_is_the_same_after_all_that() -> None:
    where: list[int] = []

    class Look(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            where.append(threading.get_ident())

    Flow(Inside(Flow(Look()))).launch({}, show=False).result(SOON)

    assert where == [engine_thread.ident]
