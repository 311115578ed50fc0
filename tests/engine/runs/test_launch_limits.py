"""What `launch` was told about the runs it makes, and what is left of runs that cannot be made."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Store, ask, current, launch, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import CheckError, RunCancelled, RunTimeout
from pocketflex_nb.engine.runs.run import lifecycle_of
from tests.engine.fakes import SOON, Put


def test_launch_bounds_the_branches_of_a_single_flow_at_work_at_once() -> None:
    inside, most, lock = [0], [0], threading.Lock()

    class Branch(Node):
        def exec(self, prep_res: Any) -> None:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.005)
            with lock:
                inside[0] -= 1

    start = Put("start")
    start >> [Branch() for _ in range(8)] >> Put("join")

    Flow(start).launch({}, max_concurrency=2).result(SOON)

    assert most[0] <= 2


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_a_number_at_once_that_makes_no_sense_is_refused_before_anything_is_made(wrong: Any) -> None:
    before = runs()

    for start in (lambda: launch(Flow(Put("a")), max_concurrency=wrong), lambda: launch([Flow(Put("a"))], max_concurrency=wrong),
                  lambda: Flow(Put("a")).launch_each("x", [1, 2], max_concurrency=wrong)):
        with pytest.raises(ValueError, match="max_concurrency"):
            start()

    assert runs() == before


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1.0}, {"max_steps": 0}, {"max_steps": -3}])
def test_a_limit_that_nothing_could_keep_is_refused_before_anything_is_made(wrong: dict[str, Any]) -> None:
    before = runs()

    for start in (lambda: launch(Flow(Put("a")), **wrong), lambda: launch([Flow(Put("a"))], **wrong),
                  lambda: Flow(Put("a")).launch_each("x", [1, 2], **wrong)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            start()

    assert runs() == before


def test_what_every_run_of_a_group_begins_with_must_be_a_mapping() -> None:
    with pytest.raises(TypeError, match="must be a mapping"):
        Flow(Put("a")).launch_each("x", [1, 2], store=7)


def test_a_launched_flow_that_never_waits_ends_at_its_time_limit() -> None:
    spins = Node()
    spins >> spins

    run = Flow(spins).launch({}, timeout=0.05)
    run.wait(SOON)

    assert isinstance(run.error, RunTimeout)


def test_a_launched_flow_that_never_waits_lets_the_others_go_on() -> None:
    spins = Node()
    spins >> spins
    busy = Flow(spins).launch({})
    try:
        other = Flow(Put("other")).launch({})

        other.result(SOON)

        assert not busy.done()
    finally:
        busy.cancel()
        busy.wait(SOON)


def test_launch_each_starts_32_at_once_unless_told_otherwise(eventually: Any) -> None:
    class Wait(Node):
        async def exec(self, prep_res: Any) -> None:
            await asyncio.Event().wait()

    for told, at_once in (({}, 32), ({"max_concurrency": None}, 50)):
        group = Flow(Wait()).launch_each("i", range(50), **told)
        try:
            eventually(lambda group=group, at_once=at_once: group.counts().get("running") == at_once)
        finally:
            group.cancel()
            group.wait(SOON)


def test_what_cannot_be_launched_leaves_no_pending_run_behind() -> None:
    before = runs(live=True)

    with pytest.raises(TypeError, match="needs a flow"):
        launch([Flow(Put("a")), "no flow"])
    with pytest.raises(TypeError, match="mappings"):
        Flow(Put("a")).launch_each(None, [{}, 7])
    with pytest.raises(CheckError):
        launch(Flow(name="empty", strict=True))
    with pytest.raises(CheckError):
        launch([Flow(Put("a")), Flow(name="empty", strict=True)])

    assert runs(live=True) == before


def test_a_plain_run_inside_a_step_ends_with_the_run_around_it(eventually: Any) -> None:
    begun, inner = threading.Event(), []

    class Loop(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            inner.append(current().run)
            begun.set()
            return "again"

    class Outer(Node):
        def exec(self, prep_res: Any) -> None:
            loop = Loop()
            loop - "again" >> loop
            Flow(loop).run({})

    run = Flow(Outer()).launch({})
    assert begun.wait(SOON)

    run.cancel()

    assert run.wait(SOON).status == "cancelled"
    eventually(inner[0].done)
    assert inner[0].status == "cancelled"
    assert isinstance(inner[0].error, RunCancelled)


def test_a_step_that_asks_again_when_it_is_cancelled_does_not_wait_for_ever(eventually: Any) -> None:
    ended = threading.Event()

    class Stubborn(Node):
        def exec(self, prep_res: Any) -> Any:
            return ask("well?")

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            ended.set()
            raise exc

    flow, raised = Flow(Stubborn(max_retries=3)), []

    def walk() -> None:
        with pytest.raises(RunCancelled) as caught:
            flow.run({})
        raised.append(caught.value)

    thread = threading.Thread(target=walk, daemon=True)
    thread.start()
    eventually(lambda: any(run.flow is flow and run.status == "asking" for run in runs()))
    run = next(run for run in runs() if run.flow is flow)

    run.cancel()

    thread.join(SOON)
    assert not thread.is_alive()
    assert (run.status, raised) == ("cancelled", [run.error])


def test_a_run_that_is_over_is_not_kept_by_the_clock_of_its_time_limit(eventually: Any) -> None:
    run = Flow(Put("a")).launch({}, timeout=3600)
    run.result(SOON)

    def armed() -> bool:
        return any(not timer.cancelled() and getattr(timer._callback, "__self__", None) is lifecycle_of(run).controller.limits
                   for timer in list(engine_thread.loop._scheduled))

    eventually(lambda: not armed())


def test_ten_thousand_waiting_runs_are_cancelled_and_none_is_left() -> None:
    number, lock, all_wait = [0], threading.Lock(), threading.Event()

    class Wait(Node):
        async def exec(self, prep_res: Any) -> None:
            with lock:
                number[0] += 1
            if number[0] == 10_000:
                all_wait.set()
            await asyncio.Event().wait()

    group = Flow(Wait()).launch_each("i", range(10_000), max_concurrency=10_000)
    assert all_wait.wait(40)

    group.cancel()

    assert group.wait(SOON).counts() == {"cancelled": 10_000}
    assert not any(run in group.runs.values() for run in runs(live=True))


@pytest.mark.parametrize("by", ["cancel", "timeout"])
def test_a_plain_run_in_an_abandoned_thread_ends_and_its_late_writes_are_dropped(by: str, eventually: Any) -> None:
    begun, release, inner = threading.Event(), threading.Event(), []
    store = Store()

    class Late(Node):
        def exec(self, prep_res: Any) -> None:
            inner.append(current().run)
            begun.set()
            assert release.wait(SOON)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["late"] = True

    class Outer(Node):
        def exec(self, prep_res: Any) -> None:
            late = Late()
            late >> Put("later")
            Flow(late).run(store)

    run = Flow(Outer(timeout=0.05 if by == "timeout" else None)).launch(store)
    assert begun.wait(SOON)
    if by == "cancel":
        run.cancel()
    run.wait(SOON)

    release.set()

    eventually(inner[0].done)
    assert run.status == ("cancelled" if by == "cancel" else "failed")
    assert dict(store) == {}
