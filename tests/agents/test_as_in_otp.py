"""What agents do as Erlang's processes do, kind by kind: each of these once differed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import time
import weakref
from typing import Any

import pytest

from pocketflex_nb.agents import (
    NO_REPLY,
    Agent,
    AgentDown,
    AgentError,
    AlreadyStarted,
    CallTimeout,
    Continue,
    Crash,
    Down,
    DynamicSupervisor,
    Exit,
    Idle,
    MaxChildren,
    NotOwner,
    NotRunning,
    PartitionSupervisor,
    Registry,
    Shutdown,
    StartError,
    StillRunning,
    Stop,
    Supervisor,
    TaskDone,
    TaskSupervisor,
    call,
    child,
    exit,
    handles,
    link,
    offload,
    results,
    send_after,
    spawn,
    stream,
)
from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.testing import Recorder, VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter


class Told(Agent):
    """Does what a message tells: a function of it."""

    async def init(self) -> None:
        self.log: list[Any] = []

    async def handle_call(self, message: Any, caller: Any) -> Any:
        out = message(self) if callable(message) else message
        return await out if asyncio.iscoroutine(out) else out

    async def handle_cast(self, message: Any) -> Any:
        out = message(self)
        return await out if asyncio.iscoroutine(out) else out

    async def handle_info(self, message: Any) -> None:
        self.log.append(message)

    async def handle_continue(self, value: Any) -> None:
        self.log.append(value)


class Trapping(Told):
    """The same, and told of the ends of its links."""

    trap_exit = True


class Gated(Agent):
    """Starts when its gate is opened."""

    async def init(self, gate: asyncio.Event) -> None:
        await gate.wait()


async def _until(is_so: Any) -> None:
    for _ in range(5_000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come about")


# the supervisor's administration ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["start_child", "restart_child"])
async def test_a_child_that_starts_cannot_be_deleted(verb: str) -> None:
    gate = asyncio.Event()
    sup = await Supervisor([], **HERE).start()
    if verb == "restart_child":
        gate.set()
        await sup.start_child(child(Gated, gate, id="x"))
        await sup.terminate_child("x")
        gate.clear()
    starting = asyncio.create_task(sup.start_child(child(Gated, gate, id="x")) if verb == "start_child" else sup.restart_child("x"))
    await settle()

    with pytest.raises(StillRunning):
        sup.delete_child("x")

    gate.set()
    ref = await starting
    await sup.stop()
    assert not ref.is_alive


def test_delete_child_from_another_thread_waits_its_turn() -> None:
    sup = Supervisor([child(Told, id="x")]).start_sync()
    asyncio.run(sup.terminate_child("x"))
    asyncio.run(_suspended(sup.ref))
    deleting = threading.Thread(target=sup.delete_child, args=("x",))

    deleting.start()
    deleting.join(0.1)

    assert deleting.is_alive(), "a suspended supervisor does not administrate"
    sup.ref.resume()
    deleting.join(5)
    assert sup.count().specs == 0
    sup.stop_sync()


async def _suspended(ref: Any) -> None:
    await ref.suspend()


async def test_a_child_deleted_while_the_others_stop_leaves_none_of_them() -> None:
    class Slow(Agent):
        trap_exit = True

        async def terminate(self, reason: Any) -> None:
            await asyncio.sleep(0.02)

    sup = await Supervisor([child(Slow, id=name) for name in "abcd"], **HERE).start()
    await sup.terminate_child("a")
    await sup.terminate_child("b")
    refs = [sup["c"], sup["d"]]
    stopping = asyncio.create_task(sup.stop())
    await asyncio.sleep(0.005)

    sup.delete_child("a")
    sup.delete_child("b")
    await stopping

    assert [ref.is_alive for ref in refs] == [False, False]


async def test_a_task_that_comes_while_its_supervisor_ends_is_refused() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)
            raise

    ts = await TaskSupervisor(**HERE).start()
    ts.spawn(stubborn, link=False)
    await settle()
    stopping = asyncio.create_task(ts.stop())
    await asyncio.sleep(0.005)

    with pytest.raises(NotRunning):
        ts.spawn(stubborn, link=False)

    await stopping


async def test_a_taken_name_is_already_started_everywhere() -> None:
    first = await Told.start(name="w", **HERE)
    sup = await Supervisor([child(Told, id="other", name="free")], **HERE).start()
    dynamic = await DynamicSupervisor(**HERE).start()
    await sup.terminate_child("other")
    thief = await Told.start(name="free", **HERE)
    attempts = {
        "start": lambda: Told.start(name="w", **HERE),
        "start_child": lambda: sup.start_child(child(Told, name="w")),
        "restart_child": lambda: sup.restart_child("other"),
        "dynamic": lambda: dynamic.start_child(child(Told, name="w")),
        "supervisor": lambda: Supervisor([], name="w", **HERE).start(),
        "supervisor's child": lambda: Supervisor([child(Told, name="w")], **HERE).start(),
        "nested": lambda: Supervisor([Supervisor([child(Told, name="w")], name="in")], **HERE).start(),
    }

    for what, attempt in attempts.items():
        with pytest.raises(AlreadyStarted) as taken:
            await attempt()
        assert taken.value.ref is (thief if what == "restart_child" else first), what

    for one in (sup, dynamic, first, thief):
        await one.stop()


async def test_plain_code_ends_a_supervisor_by_an_exit_signal_in_order() -> None:
    ended: list[str] = []

    class Named(Agent):
        async def init(self, name: str) -> None:
            self.name = name

        async def terminate(self, reason: Any) -> None:
            ended.append(self.name)

    for maker in (lambda: Supervisor([child(Named, "a", id="a"), child(Named, "b", id="b")], **HERE), lambda: DynamicSupervisor(**HERE)):
        sup = await maker().start()
        if isinstance(sup, DynamicSupervisor):
            await sup.start_child(child(Named, "c"))
        monitor = sup.monitor()

        sup.exit("normal")
        await settle()
        assert sup.is_alive
        sup.exit("shutdown")

        assert (await monitor).reason == "shutdown"
    assert ended == ["b", "a", "c"]


@pytest.mark.parametrize("reason", ["shutdown", "kill", "stop"])
async def test_stop_of_a_supervisor_that_was_ended_on_purpose_is_a_no_op(reason: str) -> None:
    for sup in (Supervisor([child(Told, id="a")], **HERE), DynamicSupervisor(**HERE)):
        await sup.start()
        monitor = sup.monitor()
        if reason == "stop":
            await sup.stop()
        else:
            sup.exit(reason)
        await monitor

        await sup.stop()

        assert not sup.is_alive
        with pytest.raises(NotRunning):
            await sup.ref.stop()


def test_stop_sync_of_a_supervisor_that_was_ended_on_purpose_is_a_no_op() -> None:
    sup = Supervisor([child(Told, id="a")]).start_sync()

    sup.stop_sync()
    sup.stop_sync()

    assert not sup.is_alive


async def test_stop_of_a_supervisor_that_gave_up_says_that_it_runs_no_more() -> None:
    sup = await Supervisor([child(Told, id="a")], max_restarts=0, **HERE).start()
    monitor = sup.monitor()
    sup["a"].exit("kill")
    assert (await monitor).reason == "shutdown"

    with pytest.raises(NotRunning):
        await sup.stop()

    await sup.start()   # and its second life is told apart from its first
    await sup.stop()
    await sup.stop()


async def test_a_supervised_supervisor_takes_no_notice_of_an_exit_signal_from_outside() -> None:
    async with Supervisor([Supervisor([child(Told, id="a")], name="inner")], **HERE) as sup:
        inner = sup["inner"]

        inner.exit("shutdown")
        await settle()

        assert sup["inner"] is inner
        assert inner.is_alive


async def test_an_ended_partition_does_not_run() -> None:
    async with PartitionSupervisor(child(Told, restart="temporary"), partitions=2, **HERE) as ps:
        await ps.route(1).stop()
        await settle()

        with pytest.raises(NotRunning):
            ps.route(1)
        assert ps.ref(1) is None
        assert ps.route(0).is_alive


# ends and links -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("signal", ["kill", "err"])
async def test_ten_thousand_linked_agents_die_of_one(signal: str) -> None:
    refs = [await Told.start(**HERE) for _ in range(10_000)]
    for one, two in itertools.pairwise(refs):
        await one.call(lambda me, two=two: link(two))

    refs[0].exit(signal)
    await settle()

    assert not any(ref.is_alive for ref in refs)
    assert refs[-1].reason == ("killed" if signal == "kill" else "err")


async def test_an_agent_started_by_one_started_by_one_a_thousand_deep_is_no_trouble() -> None:
    class Nested(Agent):
        async def init(self, depth: int, found: list[Any]) -> None:
            found.append(self.ref)
            if depth:
                spawn(self.deeper, depth - 1, found, **HERE)

        async def deeper(self, depth: int, found: list[Any]) -> None:
            await Nested.start(depth, found, **HERE)

    found: list[Any] = []

    await Nested.start(1_200, found, **HERE)
    await _until(lambda: len(found) == 1_201)

    assert len(found[-1]._incarnation.ancestors) == 2_400
    assert found[-1].address
    for ref in found:
        ref.exit("kill")


async def test_normal_ends_reach_those_who_trap_and_nobody_else() -> None:
    trapping, other = await Trapping.start(**HERE), await Told.start(**HERE)
    for reason in ("normal", "shutdown", Shutdown("x")):
        one = await Told.start(**HERE)
        await trapping.call(lambda me, one=one: link(one))
        if reason == "normal":
            await other.call(lambda me, one=one: link(one))
        await one.stop(reason)

    await settle()

    assert [message.reason for message in trapping.state()["log"]] == ["normal", "shutdown", Shutdown("x")]
    assert all(isinstance(message, Exit) for message in trapping.state()["log"])
    assert other.is_alive
    await other.stop()
    await trapping.stop()


@pytest.mark.parametrize("trap", [False, True])
async def test_an_exit_signal_cuts_terminate_short_unless_it_is_trapped(trap: bool) -> None:
    gate = asyncio.Event()

    class Slow(Agent):
        trap_exit = trap

        async def terminate(self, reason: Any) -> None:
            await gate.wait()

    slow = await Slow.start(**HERE)
    monitor = slow.monitor()
    stopping = asyncio.create_task(slow.stop())
    await settle()

    slow.exit("err")
    await settle()
    gate.set()

    assert (await monitor).reason == ("normal" if trap else "err")
    await asyncio.gather(stopping, return_exceptions=True)


async def test_an_own_end_as_kill_can_be_trapped_by_links() -> None:
    trapping, one = await Trapping.start(**HERE), await Told.start(**HERE)
    await trapping.call(lambda me: link(one))

    one.cast(lambda me: Stop("kill"))
    await settle()

    assert [message.reason for message in trapping.state()["log"]] == ["kill"]
    await trapping.stop()


@pytest.mark.parametrize("how", ["asyncio.run", "by hand"])
def test_monitors_fire_when_a_loop_closes(how: str) -> None:
    async def begin() -> Any:
        ref = await Told.start(**HERE)
        sup = await Supervisor([child(Told, id="a")], **HERE).start()
        return [ref.monitor(), sup["a"].monitor(), sup.monitor()]

    if how == "asyncio.run":
        monitors = asyncio.run(begin())
    else:
        loop = asyncio.new_event_loop()
        monitors = loop.run_until_complete(begin())
        loop.close()

    assert [monitor.wait(5).reason for monitor in monitors] == ["shutdown"] * 3


async def _leave_in_task(me: Any) -> None:
    async def part() -> None:
        exit("odd")

    await asyncio.gather(part())


async def _leave_in_pool(me: Any) -> None:
    await offload(lambda: exit("odd"))


def _leave(me: Any) -> None:
    try:
        exit("odd")
    except Exception:
        pytest.fail("exit is no Exception")


@pytest.mark.parametrize("way", [_leave, _leave_in_task, _leave_in_pool], ids=lambda way: way.__name__)
async def test_exit_ends_an_agent_from_anywhere_inside(way: Any) -> None:
    ended: list[Any] = []

    class Parting(Told):
        async def terminate(self, reason: Any) -> None:
            ended.append(reason)

    ref = await Parting.start(**HERE)
    monitor = ref.monitor()

    ref.cast(way)

    assert (await monitor).reason == "odd"
    assert ended == ["odd"]


async def test_exit_in_init_a_task_a_reentrant_handler_and_outside() -> None:
    class Unborn(Agent):
        async def init(self) -> None:
            exit("not today")

    class Reentrant(Agent):
        @handles.call(reentrant=True)
        async def leave(self) -> None:
            exit("left")

    with pytest.raises(StartError) as unborn:
        await Unborn.start(**HERE)
    assert unborn.value.reason == "not today"
    with pytest.raises(AgentDown) as task:
        await spawn(exit, "early", link=False, **HERE)
    assert task.value.reason == "early"
    ref = await Reentrant.start(**HERE)
    with pytest.raises(AgentDown) as reentrant:
        await ref.leave()
    assert reentrant.value.reason == "left"
    with pytest.raises(NotOwner):
        exit("nobody")


async def test_start_link_and_start_monitor() -> None:
    class Parent(Told):
        async def handle_call(self, message: Any, caller: Any) -> Any:
            return await message.start_link(**HERE)

    class Unborn(Agent):
        async def init(self) -> None:
            raise Boom

    parent = await Parent.start(**HERE)
    linked = await parent.call(Told)
    assert linked.is_alive
    linked.exit("err")
    await settle()
    assert parent.reason == "err"

    parent = await Parent.start(**HERE)
    linked = await parent.call(Told)
    await parent.stop("shutdown")
    assert linked.reason == "shutdown"
    with pytest.raises(NotOwner):
        await Told.start_link(**HERE)
    ref, monitor = await Told.start_monitor(**HERE)
    await ref.stop()
    assert (await monitor).reason == "normal"
    with pytest.raises(StartError):
        await Unborn.start_monitor(**HERE)


# messages -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["cast", "send", "call_sync", "monitor", "exit"])
def test_a_flood_from_threads_keeps_no_other_agent_waiting(verb: str) -> None:
    class Flooded(Agent):
        def handle_cast(self, message: Any) -> None: ...

        def handle_info(self, message: Any) -> None: ...

        def handle_call(self, message: Any, caller: Any) -> int:
            return 1

    flooded, other = Flooded.start_sync(), Counter.start_sync()
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            for _ in range(200):
                with contextlib.suppress(AgentDown):
                    getattr(flooded, verb)(*{"monitor": [], "exit": ["normal"]}.get(verb, [1]))

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert other.call_sync("get", timeout=5.0) == 0
        flooded.exit("kill")  # a signal overtakes what waits
        assert flooded.monitor().wait(5).reason in ("killed", "noproc")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    other.stop_sync()


def test_what_one_thread_sends_keeps_its_order_and_stop_comes_last() -> None:
    heard: list[int] = []

    class Ear(Agent):
        def handle_cast(self, message: int) -> None:
            heard.append(message)

    ear = Ear.start_sync()
    for n in range(20_000):
        ear.cast(n)

    ear.stop_sync()

    assert heard == list(range(20_000))


def test_a_mailbox_that_grows_and_grows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketflex_nb.agents.host.watchdog.FLOOD", 50)
    ref = Told.start_sync(name="mail")
    asyncio.run(_suspended(ref))
    with Recorder(ref) as seen:
        for _ in range(60):
            ref.send("more")
        assert ref.stats()["mailbox"] == 60

        found = next(event for _ in range(500) for event in [*seen.events, time.sleep(0.01)] if event and event.kind == "flood")

    assert found["waiting"] == 60
    ref.stop_sync()


@pytest.mark.parametrize("next_one", ["cast", "call", "info", "continue"])
async def test_cancel_on_timeout_never_hits_another_handler(next_one: str, clock: VirtualClock) -> None:
    gate = asyncio.Event()

    async def work(me: Any) -> None:
        await gate.wait()
        me.log.append("worked")

    class Owing(Told):
        async def handle_call(self, message: Any, caller: Any) -> Any:
            if message == "later":
                return NO_REPLY
            if message == "continue":
                return Continue("go on")
            return await super().handle_call(message, caller)

        async def handle_info(self, message: Any) -> None:
            await work(self)

        async def handle_continue(self, value: Any) -> None:
            await work(self)

    ref = await Owing.start(clock=clock, **HERE)
    asked = "continue" if next_one == "continue" else "later"
    late = asyncio.create_task(ref.call(asked, timeout=1.0, cancel_on_timeout=True))
    await settle()
    other = asyncio.create_task(ref.call(work, timeout=None)) if next_one == "call" else None
    if next_one == "cast":
        ref.cast(work)
    elif next_one == "info":
        ref.send("work")
    await settle()
    await clock.advance(1.0)
    gate.set()

    with pytest.raises(CallTimeout):
        await late
    await settle()
    assert ref.state()["log"] == ["worked"]
    if other is not None:
        await other
    await ref.stop()


async def test_cancel_on_timeout_cancels_a_reentrant_handler_and_nothing_else(clock: VirtualClock) -> None:
    ended: list[str] = []

    class Both(Agent):
        @handles.call(reentrant=True)
        async def wait(self, name: str) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)
            return name

    ref = await Both.start(clock=clock, **HERE)
    patient = asyncio.create_task(ref.wait("patient"))
    from pocketflex_nb.agents.messaging.envelopes import MethodCall

    late = asyncio.create_task(ref.call(MethodCall("wait", ("late",), None, True), timeout=1.0, cancel_on_timeout=True))
    await settle()

    await clock.advance(1.0)
    with pytest.raises(CallTimeout):
        await late
    await settle()

    assert ended == ["late"]
    assert ref.is_alive
    patient.cancel()
    ref.exit("kill")
    await settle()


async def test_a_handler_that_swallows_its_cancellation_leaves_none_for_the_next(clock: VirtualClock) -> None:
    async def swallow(me: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "swallowed"
        return ""

    async def look(me: Any) -> int:
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    ref = await Told.start(clock=clock, **HERE)
    late = asyncio.create_task(ref.call(swallow, timeout=1.0, cancel_on_timeout=True))
    after = asyncio.create_task(ref.call(look, timeout=None))
    await settle()

    await clock.advance(1.0)

    with pytest.raises(CallTimeout):
        await late
    assert await after == 0
    await ref.stop()


async def test_a_reply_and_what_comes_next_in_one_return(clock: VirtualClock) -> None:
    ref = await Told.start(clock=clock, **HERE)

    assert await ref.call(lambda me: Continue("go on", reply=7)) == 7
    assert await ref.call(lambda me: Idle(2.0, reply=None)) is None
    await clock.advance(2.0)
    await settle()

    assert ref.state()["log"] == ["go on", "timeout"]
    await ref.stop()


async def test_a_message_can_be_sent_later_and_taken_back(clock: VirtualClock) -> None:
    ref = await Told.start(name="later", clock=clock, **HERE)
    first, second = ref.send_after("first", 2.0), ref.send_after("second", 1.0)

    await clock.advance(0.5)
    assert second.cancel() == pytest.approx(0.5)
    await clock.advance(1.5)
    await settle()

    assert ref.state()["log"] == ["first"]
    assert (first.is_over, first.cancel(), second.cancel()) == (True, None, None)
    gone = ref.send_after("lost", 1.0)
    await ref.stop()
    await clock.advance(1.0)
    assert gone.is_over
    with pytest.raises(AgentError):
        ref.send_after("never", -1.0)


def test_a_name_is_looked_up_when_its_message_is_due() -> None:
    sending = send_after("due", Stop("normal"), 0.2)

    class Due(Agent):
        async def handle_info(self, message: Any) -> Any:
            return message

    ended = Due.start_sync(name="due").monitor()

    assert ended.wait(5).reason == "normal"
    assert sending.is_over
    assert send_after("nobody", "x", 0.0).is_over in (True, False)


# suspended ----------------------------------------------------------------------------------------------------------------
async def test_a_suspended_agent_does_system_verbs_only() -> None:
    ref, other = await Trapping.start(**HERE), await Told.start(**HERE)
    await ref.call(lambda me: other.monitor() and None)
    await ref.call(lambda me: link(other))
    await ref.suspend()

    ref.cast(lambda me: me.log.append("cast"))
    ref.send("info")
    waiting = asyncio.create_task(ref.call(lambda me: "reply"))
    other.exit("err")
    await settle()
    assert ref.state()["log"] == []
    assert await ref.replace_state(lambda state: {**state, "log": ["replaced"]})
    assert not waiting.done()

    await ref.resume()
    assert await waiting == "reply"
    await settle()
    log = ref.state()["log"]
    assert log[:3] == ["replaced", "cast", "info"]
    assert {type(message) for message in log[3:]} == {Down, Exit}
    await ref.suspend()
    await ref.stop("shutdown")
    assert ref.reason == "shutdown"


async def test_a_suspended_agent_is_not_told_of_its_task() -> None:
    ref = await Told.start(**HERE)
    await ref.call(lambda me: spawn(asyncio.sleep, 0, link=False) and None)
    await ref.suspend()
    await settle()
    assert ref.state()["log"] == []

    await ref.resume()
    await settle()

    assert [type(message) for message in ref.state()["log"]] == [TaskDone]
    await ref.stop()


@pytest.mark.parametrize("maker", [lambda: Supervisor([child(Told, id="a")], **HERE), lambda: DynamicSupervisor(**HERE)])
async def test_a_suspended_supervisor_restarts_nothing(maker: Any) -> None:
    sup = await maker().start()
    if isinstance(sup, DynamicSupervisor):
        await sup.start_child(child(Told))
    await sup.ref.suspend()

    sup.children()[0].ref.exit("kill")
    await settle()
    assert sup.count().active == 0

    await sup.ref.resume()
    await settle()
    assert sup.count().active == 1
    await sup.ref.suspend()
    await sup.stop()


async def _ran(ran: list[int], number: int) -> int:
    ran.append(number)
    return number


_TASK_STARTS: dict[str, Any] = {
    "spawn": lambda ts, ran, n: ts.spawn(_ran, ran, n),
    "spawn unlinked": lambda ts, ran, n: ts.spawn(_ran, ran, n, link=False),
    "start": lambda ts, ran, n: ts.start(_ran, ran, n),
}


@pytest.mark.parametrize("engine", ["inline", None])
@pytest.mark.parametrize("verb", _TASK_STARTS)
async def test_a_suspended_supervisor_starts_no_task_until_it_is_resumed(verb: str, engine: Any) -> None:
    ts, ran = await TaskSupervisor(engine=engine).start(), []
    await ts.ref.suspend()

    refs = [_TASK_STARTS[verb](ts, ran, number) for number in range(3)]
    downs = [ref.monitor() for ref in refs]
    await settle()
    assert (ran, ts.count().active, [ref.is_alive for ref in refs]) == ([], 0, [True] * 3)

    await ts.ref.resume()
    assert [(await down).reason for down in downs] == ["normal"] * 3
    assert ran == [0, 1, 2]
    if verb != "start":
        assert [await ref for ref in refs] == [0, 1, 2]
    await ts.stop()


@pytest.mark.parametrize("verb", _TASK_STARTS)
@pytest.mark.parametrize("end", ["stop", "exit", "kill"])
async def test_a_task_that_waits_for_a_suspended_supervisor_ends_with_it(verb: str, end: str) -> None:
    ts, ran = await TaskSupervisor(**HERE).start(), []
    await ts.ref.suspend()
    ref = _TASK_STARTS[verb](ts, ran, 1)
    down = ref.monitor()

    if end == "stop":
        await ts.stop()
    else:
        ts.exit("kill" if end == "kill" else "shutdown")

    assert (await down).reason == ("killed" if end == "kill" else "shutdown")
    await settle()
    assert ran == []


async def test_a_task_that_waits_for_a_suspended_supervisor_can_be_ended() -> None:
    ts, ran = await TaskSupervisor(**HERE).start(), []
    await ts.ref.suspend()
    first, second = ts.spawn(_ran, ran, 1), ts.spawn(_ran, ran, 2)

    assert await first.shutdown() is None
    await ts.ref.resume()

    assert await second == 2
    assert ran == [2]
    await ts.stop()


async def test_tasks_that_wait_for_a_suspended_supervisor_count_for_its_limit() -> None:
    ts, ran = await TaskSupervisor(max_children=2, **HERE).start(), []
    running = ts.spawn(asyncio.sleep, 60)
    await settle()
    await ts.ref.suspend()
    waiting = ts.spawn(_ran, ran, 1)

    with pytest.raises(MaxChildren):
        ts.spawn(_ran, ran, 2)
    running.exit("kill")
    await settle()
    third = ts.spawn(_ran, ran, 3)
    await ts.ref.resume()

    assert [await waiting, await third] == [1, 3]
    await ts.stop()


async def test_a_stream_of_a_suspended_supervisor_waits_and_its_time_begins_with_the_tasks(clock: VirtualClock) -> None:
    ts, ran = await TaskSupervisor(clock=clock, **HERE).start(), []
    await ts.ref.suspend()
    outcomes = ts.stream(lambda n: _ran(ran, n), [1, 2], timeout=1.0)
    reading = asyncio.create_task(anext(outcomes))
    await settle()
    await clock.advance(30.0)
    assert (ran, reading.done()) == ([], False)

    await ts.ref.resume()

    assert (await reading).value == 1
    assert [outcome.value async for outcome in outcomes] == [2]
    await ts.stop()


async def test_delete_child_on_the_loop_waits_for_a_suspended_supervisor() -> None:
    sup = await Supervisor([child(Told, id="x"), child(Told, id="y")], **HERE).start()
    await sup.terminate_child("x")
    await sup.ref.suspend()

    sup.delete_child("x")
    with pytest.raises(StillRunning):
        sup.delete_child("y")
    assert [info.id for info in sup.children()] == ["x", "y"]
    await sup.ref.resume()
    await settle()

    assert [info.id for info in sup.children()] == ["y"]
    await sup.stop()


async def test_resize_waits_for_a_suspended_supervisor() -> None:
    ps = await PartitionSupervisor(Told, partitions=3, **HERE).start()
    await ps.ref.suspend()

    resizing = ps.resize(1)
    await settle()
    assert ps.route(2).is_alive

    await ps.ref.resume()
    await resizing
    assert ps.count().active == 1
    await ps.stop()


@pytest.mark.parametrize("reason", ["shutdown", Shutdown("x"), "err"])
async def test_a_nested_supervisor_takes_no_notice_of_a_stranger_s_exit_signal(reason: Any) -> None:
    """As `supervisor.erl`: it traps exits, and a signal that comes from no parent and no child is dropped."""
    top = await Supervisor([Supervisor([child(Told, id="a")], name="inner")], **HERE).start()
    inner = top["inner"]

    inner.exit(reason)
    await settle()
    assert (inner.is_alive, inner["a"].is_alive) == (True, True)

    top.exit("shutdown")
    await inner.monitor()
    assert not inner.is_alive


@pytest.mark.parametrize("verb", ["replace_state", "upgrade", "suspend and resume", "trace"])
async def test_idle_time_survives_system_messages_and_begins_anew(verb: str, clock: VirtualClock) -> None:
    ref = await Told.start(clock=clock, **HERE)
    ref.cast(lambda me: Idle(1.0))
    await settle()
    await clock.advance(0.9)

    if verb == "replace_state":
        await ref.replace_state(lambda state: state)
    elif verb == "upgrade":
        await ref.upgrade(Told)
    elif verb == "trace":
        ref.trace()
        ref.trace(False)
    else:
        await ref.suspend()
        await clock.advance(5.0)
        assert ref.state()["log"] == []
        await ref.resume()
    await settle()
    await clock.advance(1.0)
    await settle()
    await clock.advance(5.0)

    assert ref.state()["log"] == ["timeout"]
    await ref.stop()


async def test_any_message_ends_idle_time(clock: VirtualClock) -> None:
    ref = await Told.start(clock=clock, **HERE)
    ref.cast(lambda me: Idle(1.0))
    await settle()
    await ref.suspend()
    ref.cast(lambda me: None)
    await ref.resume()
    await settle()

    await clock.advance(5.0)
    await settle()

    assert ref.state()["log"] == []
    await ref.stop()


# addresses ----------------------------------------------------------------------------------------------------------------
async def test_an_address_never_reaches_a_stranger() -> None:
    sup = await Supervisor([child(Told, id="boss", restart="temporary")], **HERE).start()
    ref = sup["boss"]
    ref.exit("kill")
    await settle()
    stranger = await Told.start(name="boss", **HERE)

    with pytest.raises(NotRunning):
        await ref.call("hello", wait=0.05)

    await stranger.stop()
    await sup.stop()


@pytest.mark.parametrize("kind", ["text", "number", "tuple", "via", "registered", "place"])
async def test_every_kind_of_name_is_found_again(kind: str) -> None:
    registry = Registry()
    name = {"text": "w", "number": 7, "tuple": ("w", 1), "via": registry.via(("w", 2))}.get(kind)

    class Registering(Told):
        async def init(self) -> None:
            await super().init()
            if kind == "registered":
                registry.register(("my", "key"))

    async with Supervisor([child(Registering, id="w", name=name)], **HERE) as sup:
        old = sup["w"]
        await sup.terminate_child("w")
        waiting = asyncio.create_task(old.call("hello", wait=5.0))
        await settle()

        await sup.restart_child("w")

        assert await waiting == "hello"
        assert not old.is_alive
        assert await old.call("again", wait=0.5) == "again"


async def test_an_address_from_another_process_is_that_of_nobody() -> None:
    import pickle
    import subprocess
    import sys

    code = (
        "import pickle, sys; from pocketflex_nb.agents import Agent\n"
        "class A(Agent): pass\n"
        "refs = [A.start_sync() for _ in range(50)]\n"
        "sys.stdout.buffer.write(pickle.dumps(refs)); sys.stdout.flush(); [ref.stop_sync() for ref in refs]"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    near = [await Told.start(**HERE) for _ in range(3)]

    far = pickle.loads(done.stdout)

    assert [ref.is_alive for ref in far] == [False] * 50
    far[0].cast("lost")
    far[0].exit("kill")
    with pytest.raises(NotRunning):
        await far[0].call("hello")
    assert pickle.loads(pickle.dumps(near)) == near
    assert pickle.loads(pickle.dumps(far[1])).status == "dead"
    for ref in near:
        await ref.stop()
    assert pickle.loads(pickle.dumps(near[0])).status == "dead"


# tasks and streams --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("ordered", "at_once", "taken", "started"), [
    (True, 1, 1, 1), (True, 1, 3, 3), (True, 2, 1, 2), (False, 1, 1, 1), (False, 2, 1, 2), (False, 2, 2, 3),
])
async def test_a_stream_starts_only_what_is_asked_for(ordered: bool, at_once: int, taken: int, started: int) -> None:
    begun: list[int] = []

    async def work(n: int) -> int:
        begun.append(n)
        return n

    outcomes = stream(work, range(10), max_concurrency=at_once, ordered=ordered, **HERE)
    for _ in range(taken):
        await anext(outcomes)
        await settle()

    assert len(begun) == started
    await outcomes.aclose()
    assert len(begun) == started


class _Source:
    """Ten numbers, and whether it was closed."""

    def __init__(self) -> None:
        self.left, self.closed = iter(range(10)), 0

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> int:
        return next(self.left)

    def close(self) -> None:
        self.closed += 1


class _AsyncSource:
    """The same, awaited."""

    def __init__(self) -> None:
        self.left, self.closed = iter(range(10)), 0

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> int:
        await asyncio.sleep(0)
        try:
            return next(self.left)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.closed += 1


async def _read(outcomes: Any) -> list[Any]:
    return [outcome async for outcome in outcomes]


@pytest.mark.parametrize("make", [_Source, _AsyncSource])
@pytest.mark.parametrize("way", ["aclose", "dropped", "failed", "read to its end"])
async def test_a_source_is_closed_when_the_stream_is_left_early(make: Any, way: str) -> None:
    async def work(n: int) -> int:
        if way == "failed" and n:
            await asyncio.sleep(60)
        return n

    source = make()
    outcomes = stream(work, source, max_concurrency=2, timeout=0.02 if way == "failed" else 5.0, **HERE)

    if way == "aclose":
        await anext(outcomes)
        await outcomes.aclose()
        await outcomes.aclose()
    elif way == "dropped":
        async for _ in outcomes:
            break
        del outcomes
        gc.collect()
        await settle()
        await asyncio.sleep(0)
    elif way == "failed":
        with pytest.raises(CallTimeout):
            await _read(outcomes)
    else:
        assert len(await _read(outcomes)) == 10

    await settle()
    assert source.closed == (way != "read to its end")


async def test_a_generator_that_a_stream_leaves_runs_its_finally() -> None:
    ended: list[int] = []

    def numbers() -> Any:
        try:
            yield from range(10)
        finally:
            ended.append(1)

    outcomes = stream(asyncio.sleep, (0 * n for n in numbers()), max_concurrency=1, **HERE)
    await anext(outcomes)
    await outcomes.aclose()

    assert ended == [1]


async def test_a_linked_stream_ends_with_the_first_task_that_does() -> None:
    async def work(n: int) -> int:
        if n == 2:
            raise Boom
        await asyncio.sleep(0 if n < 2 else 60)
        return n

    outcomes = stream(work, range(5), link=True, ordered=False, **HERE)
    with pytest.raises(AgentDown) as down:
        await _read(outcomes)
    assert isinstance(down.value.reason, Crash)

    async def collect(me: Any) -> None:
        me.log = [outcome async for outcome in stream(work, [0, 1, 2], link=True, **HERE)]

    for cls in (Told, Trapping):
        ref = await cls.start(**HERE)
        monitor = ref.monitor()
        ref.cast(collect)
        if cls is Told:
            assert isinstance((await monitor).reason, Crash)
        else:
            await _until(lambda ref=ref: len(ref.state()["log"]) == 3)
            await ref.stop()


async def test_results_within_no_time_tell_of_a_failure_first() -> None:
    sleeping, dead = (spawn(asyncio.sleep, 60, link=False, **HERE) for _ in range(2))
    await settle()
    dead.exit("kill")
    await settle()

    with pytest.raises(AgentDown) as down:
        await results([sleeping, dead], timeout=0)

    assert down.value.reason == "killed"
    with pytest.raises(CallTimeout):
        await results([sleeping], timeout=0)
    sleeping.exit("kill")
    await settle()


# what grows ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["unique", "duplicate"])
async def test_a_registry_of_a_hundred_thousand_keys_is_linear(kind: str) -> None:
    async def seconds(n: int) -> float:
        registry = Registry(kind)
        ref = await Told.start(**HERE)
        start = time.perf_counter()
        await ref.call(lambda me: [registry.register(("k", i)) for i in range(n)] and None, timeout=None)
        assert len(registry.keys(ref)) == n
        ref.exit("kill")
        await settle()
        assert registry.count() == 0
        return time.perf_counter() - start

    few = await seconds(10_000)
    many = await seconds(100_000)

    assert many < 40 * few + 1.0


async def test_ten_thousand_owners_of_one_topic_come_and_go() -> None:
    registry = Registry("duplicate")

    class Member(Agent):
        async def init(self) -> None:
            registry.register("topic", self.ref.pid)

    members = [await Member.start(**HERE) for _ in range(10_000)]
    start = time.perf_counter()
    for member in members:
        member.exit("kill")
    await settle()

    assert registry.count() == 0
    assert registry.lookup("topic") == []
    assert time.perf_counter() - start < 5.0


async def test_answered_calls_are_freed_while_another_waits() -> None:
    class Message:
        """Something that can be watched."""

    class Owing(Told):
        async def handle_call(self, message: Any, caller: Any) -> Any:
            return NO_REPLY if message == "later" else None

    ref = await Owing.start(**HERE)
    first = asyncio.create_task(ref.call("later", timeout=3600.5))
    await settle()
    kept = []
    for _ in range(500):
        message = Message()
        kept.append(weakref.ref(message))
        await ref.call(message, timeout=3600.5)
        del message
    await settle()
    gc.collect()

    assert sum(one() is not None for one in kept) <= 64
    first.cancel()
    await ref.stop()


# what raises --------------------------------------------------------------------------------------------------------------
class Odd:
    """Nothing can be asked of it."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("no truth value")

    def __repr__(self) -> str:
        raise ValueError("no text")

    def __bool__(self) -> bool:
        raise ValueError("no truth")

    @property
    def label(self) -> str:
        raise ValueError("no label")

    @property
    def told(self) -> str:
        raise ValueError("not told")


class Worse(Odd):
    """Not even an error's class is what one expects."""

    def __repr__(self) -> str:
        raise SystemExit("no text at all")


@pytest.mark.parametrize("odd", [Odd, Worse])
@pytest.mark.parametrize("traced", [False, True])
async def test_messages_that_cannot_be_compared_or_told_are_messages(odd: Any, traced: bool) -> None:
    bare, ref = await Agent.start(**HERE), await Told.start(**HERE)
    with Recorder(*([bare, ref] if traced else [])) as seen:
        bare.send(odd())
        ref.send(odd())
        answer = await ref.call(lambda me: odd())
        await settle()

        assert bare.is_alive
        assert len(ref.state()["log"]) == 1
        assert isinstance(answer, Odd)
        assert seen.events
        with pytest.raises(AgentDown, match="has no handle_call"):
            await bare.call(odd())
        other = await Agent.start(**HERE)
        other.cast(odd())
        await settle()
        assert "has no handle_cast" in str(other.reason)
    await ref.stop()


@pytest.mark.parametrize("odd", [Odd, Worse])
async def test_reasons_that_cannot_be_compared_or_told_are_reasons(odd: Any) -> None:
    async with Supervisor([child(Told, id="a"), child(Told, id="b", restart="transient")], **HERE) as sup:
        for name, end in (("a", lambda me: Stop(odd())), ("b", lambda me: Stop(Shutdown(odd())))):
            old, seen = sup[name], await Trapping.start(**HERE)
            await seen.call(lambda me, old=old: link(old))
            old.cast(end)
            await settle()
            assert not old.is_alive
            assert len(seen.state()["log"]) == 1
            await seen.stop()
        assert [info.status for info in sup.children()] == ["running", "stopped"]
        sup["a"].exit(odd())
        await settle()
        assert sup.count().active == 1

    class BadError(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

        __repr__ = __str__

    ref = await Told.start(**HERE)
    with pytest.raises(AgentDown) as down:
        await ref.call(lambda me: (_ for _ in ()).throw(BadError()))
    assert "BadError" in repr(down.value)
    one = await Told.start(**HERE)
    reason = odd()
    await one.stop(reason)
    assert one.reason is reason


def test_the_text_of_a_nested_end_is_bounded() -> None:
    error: Any = ValueError("x")
    for n in range(3_000):
        error = AgentDown(Crash(error), f"a{n}")

    assert len(repr(error)) < 500
    assert len(str(error)) < 500
    assert len(repr(Crash(error))) < 500
    nested = StartError("a", Shutdown(StartError("b", Crash(error))))
    assert len(repr(nested)) < 500


async def test_a_dead_name_with_many_keys_beside_it_is_told_at_once() -> None:
    registry = Registry()
    ref = await Told.start(**HERE)
    await ref.call(lambda me: [registry.register(f"key {n}") for n in range(20_000)] and None, timeout=None)
    start = time.perf_counter()

    with pytest.raises(NotRunning):
        await call(registry.via("kex 7"), "hello")

    assert time.perf_counter() - start < 0.5
    ref.exit("kill")
    await settle()
    assert host_for(**HERE).signals == type(host_for(**HERE).signals)()
