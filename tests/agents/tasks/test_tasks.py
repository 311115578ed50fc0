"""Scenarios S51 to S57: tasks, and streams of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from pocketflex_nb import current
from pocketflex_nb.agents import (
    Agent,
    AgentDown,
    BadSpec,
    CallTimeout,
    Crash,
    Down,
    Exit,
    MaxChildren,
    NotOwner,
    Ok,
    TaskDone,
    TaskRef,
    TaskSupervisor,
    handles,
    offload,
    poll_many,
    results,
    spawn,
    stream,
)
from pocketflex_nb.testing import VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter


async def forever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise Boom("in a task")


async def give(value: Any) -> Any:
    return value


async def kinds(outcomes: Any) -> list[str]:
    return [f"Ok {o.value}" if isinstance(o, Ok) else f"Exit {o.reason}" async for o in outcomes]


@pytest.mark.parametrize("ordered", [True, False])
async def test_S51_a_stream_runs_so_many_at_once(clock: VirtualClock, ordered: bool) -> None:
    now = peak = 0

    async def work(i: int) -> int:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await clock.sleep(10 - i)
        now -= 1
        return i

    reading = asyncio.create_task(kinds(stream(work, range(10), max_concurrency=3, ordered=ordered, timeout=None, clock=clock, **HERE)))
    await clock.run(60)

    told = await reading
    assert peak == 3
    assert sorted(told) == sorted(f"Ok {i}" for i in range(10))
    if ordered:
        assert told == [f"Ok {i}" for i in range(10)]
    else:
        assert told[:3] == ["Ok 2", "Ok 1", "Ok 0"]  # 8, 9 and 10 seconds


@pytest.mark.parametrize(
    ("ordered", "expected"),
    [
        (True, ["Exit timeout", "Ok 0.001", "Exit timeout", "Ok 0.001"]),
        (False, ["Ok 0.001", "Ok 0.001", "Exit timeout", "Exit timeout"]),
    ],
)
async def test_S52_a_task_that_takes_too_long_is_killed(clock: VirtualClock, ordered: bool, expected: list[str]) -> None:
    async def work(seconds: float) -> float:
        await clock.sleep(seconds)
        return seconds

    items = [0.1, 0.001, 0.1, 0.001]
    outcomes = stream(work, items, timeout=0.05, on_timeout="kill", max_concurrency=4, ordered=ordered, clock=clock, **HERE)
    reading = asyncio.create_task(kinds(outcomes))
    await clock.run(1)
    assert await reading == expected


async def test_a_stream_raises_on_timeout_unless_told_otherwise_and_ends_everything(clock: VirtualClock) -> None:
    ends = []

    async def work(i: int) -> None:
        try:
            await clock.sleep(10)
        finally:
            ends.append(i)

    reading = asyncio.create_task(kinds(stream(work, range(5), timeout=1, max_concurrency=2, clock=clock, **HERE)))
    await clock.run(1)
    with pytest.raises(CallTimeout):
        await reading
    assert sorted(ends) == [0, 1]


async def test_a_slow_head_does_not_stop_later_items_and_holds_no_place_of_theirs(clock: VirtualClock) -> None:
    started = []

    async def work(i: int) -> int:
        started.append(i)
        await clock.sleep(100 if i == 0 else 0.1)
        return i

    reading = asyncio.create_task(kinds(stream(work, range(6), max_concurrency=2, timeout=None, clock=clock, **HERE)))
    await clock.run(1)
    assert started == [0, 1, 2, 3, 4, 5]
    await clock.run(100)
    assert await reading == [f"Ok {i}" for i in range(6)]


async def test_a_stream_pulls_only_when_a_place_is_free_and_takes_async_items(clock: VirtualClock) -> None:
    pulled = []

    async def source() -> Any:
        for i in range(100):
            pulled.append(i)
            yield i

    outcomes = stream(give, source(), max_concurrency=2, clock=clock, **HERE)
    assert pulled == []
    first = await anext(outcomes)
    assert first == Ok(0)
    assert len(pulled) <= 4
    await outcomes.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(outcomes)


async def test_leaving_a_stream_early_ends_its_tasks(clock: VirtualClock) -> None:
    running: set[int] = set()

    async def work(i: int) -> int:
        if i == 0:
            return i
        running.add(i)
        try:
            await forever()
        finally:
            running.discard(i)
        return i

    async for outcome in stream(work, range(5), max_concurrency=3, clock=clock, **HERE):
        assert outcome == Ok(0)
        await settle()
        assert running
        break
    await settle()
    assert running == set()


async def test_a_crash_in_a_stream_is_an_exit_with_its_item_if_asked(clock: VirtualClock) -> None:
    async def work(i: int) -> float:
        return 1 / i

    outcomes = [o async for o in stream(work, [1, 0], zip_input=True, clock=clock, **HERE)]
    assert outcomes[0] == Ok(1.0)
    assert isinstance(outcomes[1], Exit)
    assert outcomes[1].reason[0] == 0
    assert isinstance(outcomes[1].reason[1].error, ZeroDivisionError)


@pytest.mark.parametrize("options", [{"max_concurrency": 0}, {"max_concurrency": 1.5}, {"on_timeout": "explode"}, {"timeout": -1}])
def test_a_stream_refuses_bad_arguments_before_anything_runs(options: dict[str, Any]) -> None:
    ran = []
    with pytest.raises(ValueError):
        stream(ran.append, [1], **options)
    assert ran == []


async def test_a_stream_works_from_another_loop_too() -> None:
    assert await kinds(stream(give, range(20), max_concurrency=4)) == [f"Ok {i}" for i in range(20)]


async def test_S56_results_fails_at_the_first_failure_and_cancels_the_rest() -> None:
    sleeper, crasher = spawn(forever, **HERE), spawn(fails, **HERE)
    async with asyncio.timeout(5):
        with pytest.raises(AgentDown) as info:
            await results([sleeper, crasher], timeout=60)
    assert isinstance(info.value.__cause__, Boom)
    await settle()
    assert not sleeper.is_alive
    assert await results([]) == []
    assert await results([spawn(give, i, **HERE) for i in range(3)]) == [0, 1, 2]


async def test_S57_poll_tells_nothing_yet_then_the_value() -> None:
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        return 7

    task = spawn(work, **HERE)
    assert await task.poll(0) is None
    gate.set()
    assert await task.poll() == Ok(7)
    assert await task.shutdown() == Ok(7)
    assert await task == 7


async def test_S57_only_the_owner_may_ask() -> None:
    class Owner(Agent):
        @handles.call
        async def make(self) -> TaskRef:
            return spawn(forever)

        @handles.call
        async def ask(self, task: TaskRef) -> str:
            try:
                await task.poll(0)
            except NotOwner as exc:
                return str(exc)
            return "allowed"

    owner = await Owner.start(name="owner", **HERE)
    task = await owner.make()
    with pytest.raises(NotOwner, match="only its owner, owner"):
        await task.poll(0)
    with pytest.raises(PermissionError):
        await task.shutdown()
    assert await owner.ask(task) == "allowed"
    other = await Owner.start(**HERE)
    assert "only its owner" in await other.ask(task)
    assert task.address.startswith("owner/")

    await owner.stop("shutdown")  # and the linked task with it
    await settle()
    assert not task.is_alive
    await other.stop()


async def test_S57_shutdown_of_a_sleeping_and_of_a_swallowing_task() -> None:
    gate = asyncio.Event()

    async def swallows() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                pass

    sleeping = spawn(forever, **HERE)
    await settle()
    assert await sleeping.shutdown() is None
    assert sleeping.reason == "shutdown"

    swallowing = spawn(swallows, **HERE)
    await settle()
    monitor = swallowing.monitor()
    assert await swallowing.shutdown("kill") is None
    assert (await monitor).zombie
    stubborn = spawn(swallows, **HERE)
    await settle()
    assert (await stubborn.shutdown(0.01)) == Exit(stubborn, "killed")

    broken = spawn(fails, **HERE)
    await settle()
    outcome = await broken.shutdown()
    assert isinstance(outcome, Exit)
    assert isinstance(outcome.reason, Crash)
    with pytest.raises(BadSpec):
        await broken.shutdown("softly")
    gate.set()
    await settle()


async def test_a_result_that_takes_too_long_cancels_the_linked_task(clock: VirtualClock) -> None:
    linked, free = spawn(forever, clock=clock, **HERE), spawn(forever, link=False, clock=clock, **HERE)
    asking = asyncio.gather(linked.result(timeout=1), free.result(timeout=1), return_exceptions=True)
    await settle()
    await clock.advance(1)
    assert [type(outcome) for outcome in await asking] == [CallTimeout, CallTimeout]
    await settle()
    assert not linked.is_alive
    assert free.is_alive
    assert await free.shutdown() is None


async def test_poll_many_gives_pairs_and_does_as_told_with_the_late(clock: VirtualClock) -> None:
    def some() -> list[TaskRef]:
        return [spawn(give, 1, clock=clock, **HERE), spawn(forever, clock=clock, **HERE), spawn(give, 3, clock=clock, **HERE)]

    for way in ("nothing", "ignore", "kill"):
        tasks = some()
        polling = asyncio.create_task(poll_many(tasks, timeout=1, on_timeout=way))
        await settle()
        await clock.advance(1)
        pairs = await polling
        assert [task for task, _ in pairs] == tasks
        assert [outcome for _, outcome in pairs] == [Ok(1), None, Ok(3)]
        assert tasks[1].is_alive == (way != "kill")
        tasks[1].exit("kill")
        await settle()

    tasks = some()
    pairs = await poll_many(tasks, timeout=1, limit=2, on_timeout="kill")
    assert [outcome for _, outcome in pairs] == [Ok(1), None, Ok(3)]
    assert tasks[1].is_alive  # enough came: nobody was late
    tasks[1].exit("kill")
    await settle()
    with pytest.raises(BadSpec, match="on_timeout"):
        await poll_many([], on_timeout="explode")


async def test_an_unlinked_task_tells_its_agent_and_a_linked_crash_ends_it() -> None:
    class Boss(Counter):
        @handles.call
        async def begin(self, fn: Any, link: bool) -> TaskRef:
            return spawn(fn, link=link)

        @handles.call
        async def catch(self) -> str:
            try:
                await spawn(fails)
            except AgentDown as exc:
                return f"caught {type(exc.__cause__).__name__}"
            return "nothing"

    boss = await Boss.start(**HERE)
    good = await boss.begin(lambda: give("value"), False)
    bad = await boss.begin(fails, False)
    while len(await boss.heard_so_far()) < 2:
        await asyncio.sleep(0)
    heard = await boss.heard_so_far()
    assert {type(message) for message in heard} == {TaskDone, Down}
    assert TaskDone(good, "value") in heard
    assert [message.ref for message in heard if isinstance(message, Down)] == [bad]
    assert await boss.catch() == "caught Boom"
    assert boss.is_alive

    monitor = boss.monitor()
    await boss.begin(fails, True)
    down = await monitor
    assert isinstance(down.reason.error, Boom)


async def test_ignored_tasks_run_on_and_done_ones_are_done() -> None:
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    task = spawn(work, **HERE)
    assert task.ignore() is None
    async with asyncio.timeout(5):
        await ran.wait()
    assert await TaskRef.done(5) == 5
    assert await TaskRef.done(None).poll() == Ok(None)


async def test_a_plain_function_runs_in_a_thread() -> None:
    def where(x: int) -> tuple[int, str]:
        return x, threading.current_thread().name

    x, thread = await spawn(where, 4, **HERE)
    assert x == 4
    assert thread != threading.current_thread().name
    assert (await offload(where, 5))[0] == 5


async def test_callers_and_ancestors_are_known_in_the_task() -> None:
    class Asks(Agent):
        @handles.call
        async def who(self) -> Any:
            return await spawn(self.look)

        async def look(self) -> Any:
            me = current()
            return [ref.name for ref in me.callers], [ref.name for ref in me.ancestors]

    ref = await Asks.start(name="asks", **HERE)
    assert await ref.who() == (["asks"], ["asks"])
    await ref.stop()


async def test_a_task_supervisor_starts_restarts_and_stops_tasks(clock: VirtualClock) -> None:
    runs = []

    async def flaky() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise Boom("again")

    async with TaskSupervisor(max_children=2, clock=clock, **HERE) as ts:
        one = ts.spawn(give, 1)
        assert await one == 1
        await settle()
        assert ts.children() == []

        ref = await ts.start(flaky, restart="transient")
        await settle()
        assert len(runs) == 3
        assert ref.id.startswith("flaky")

        ts.spawn(forever)
        ts.spawn(forever, link=False)
        with pytest.raises(MaxChildren):
            ts.spawn(forever)
        with pytest.raises(MaxChildren):
            ts.start(forever)
        assert len(ts.children()) == 2
        with pytest.raises(BadSpec):
            ts.start(forever, restart="always")
    await settle()
    assert not ts.is_alive


async def test_a_task_supervisors_stream_ends_with_it(clock: VirtualClock) -> None:
    async with TaskSupervisor(clock=clock, **HERE) as ts:
        assert await kinds(ts.stream(give, range(5), max_concurrency=2)) == [f"Ok {i}" for i in range(5)]


async def test_a_task_can_be_asked_from_plain_code() -> None:
    task = spawn(give, 9)
    assert await asyncio.to_thread(task.result_sync) == 9


@pytest.mark.parametrize("wait", [results, poll_many])
async def test_waiting_for_what_is_no_task_is_refused_at_once(wait: Any) -> None:
    with pytest.raises(BadSpec, match="takes tasks, not 3"):
        await wait([3])


class Parcel:
    def __init__(self, weight: str) -> None:
        self.weight = int(weight)


async def test_a_class_is_a_task_like_any_other_callable_and_stays_as_it_was() -> None:
    before = set(vars(Parcel))

    assert await spawn(int, "7").result(timeout=5) == 7
    assert (await spawn(Parcel, "3").result(timeout=5)).weight == 3

    assert set(vars(Parcel)) == before


async def test_an_error_that_was_raised_is_not_reported_once_more(caplog: pytest.LogCaptureFixture) -> None:
    ref = await Counting.start()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await ref.replace_state(lambda state: 1 / 0)
    await ref.stop()

    gc.collect()
    await asyncio.sleep(0)

    assert "never retrieved" not in caplog.text


class Counting(Agent):
    async def init(self) -> None:
        self.n = 0


@pytest.mark.parametrize("engine", ["inline", None])
async def test_a_message_to_a_running_task_is_lost_without_harm_and_a_call_ends_with_it(engine: Any) -> None:
    go = asyncio.Event() if engine else threading.Event()
    task = spawn(go.wait, engine=engine)
    while not task.stats()["is_busy"]:
        await asyncio.sleep(0)

    task.cast("one")
    task.send("two")
    call = asyncio.create_task(task.call("three", timeout=None))
    while task.stats()["mailbox"] < 3:
        await asyncio.sleep(0)
    go.set()

    assert await task is True
    with pytest.raises(AgentDown):
        await call
