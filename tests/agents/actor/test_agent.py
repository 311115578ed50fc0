"""Scenarios S35 to S47, and what an agent promises its callers."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Any

import pytest

from pocketflex_nb.agents import (
    IGNORE,
    NO_REPLY,
    Agent,
    AgentDown,
    AlreadyStarted,
    BadReturn,
    BadSpec,
    CallingSelf,
    CallTimeout,
    Continue,
    Crash,
    Idle,
    NotPortable,
    NotRunning,
    ReplyError,
    StartError,
    Stop,
    Supervisor,
    Unhandled,
    call,
    cast,
    child,
    handles,
    whereis,
)
from pocketflex_nb.core.errors import AgentError
from pocketflex_nb.testing import Recorder, VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter, crash


class Stack(Agent):
    """The sugar: methods as messages."""

    async def init(self, *items: Any) -> None:
        self.items = list(items)

    @handles.call
    async def pop(self) -> Any:
        return self.items.pop()

    @handles.call
    def size(self) -> int:
        return len(self.items)

    @handles.cast
    async def push(self, item: Any, *, times: int = 1) -> int:
        self.items += [item] * times
        return len(self.items)  # nobody waits for it

    @handles.call
    async def check(self, error: BaseException) -> None:
        raise ReplyError(error)

    @handles.call
    async def refuse(self, error: BaseException) -> None:
        raise error


async def test_S35_a_call_to_the_dead_or_unknown_or_oneself_fails_at_once() -> None:
    ref = await Counter.start(**HERE)
    await ref.stop()
    began = perf_counter()
    with pytest.raises(NotRunning):
        await ref.call("get", timeout=5)
    with pytest.raises(NotRunning, match="no agent 'nobody' runs here"):
        await call("nobody", "get", timeout=5)
    with pytest.raises(NotRunning):
        await ref.stop()
    assert perf_counter() - began < 0.05 + 1.0  # nowhere near the timeout; a second for a busy machine


async def test_S35_an_unknown_name_tells_the_nearest_one() -> None:
    ref = await Counter.start(name="writer", **HERE)
    with pytest.raises(NotRunning, match="did you mean 'writer'"):
        await call("writre", "get")
    assert whereis("writer") is ref
    assert await call("writer", 4) == 4
    cast("writer", 1)
    cast("nobody at all", 1)
    assert await call("writer", "get") == 5
    await ref.stop()


async def test_S35_calling_or_stopping_oneself_fails_at_once(clock: VirtualClock) -> None:
    class Selfish(Agent):
        async def handle_call(self, message: str, caller: Any) -> Any:
            errors = []
            for wait in (self.ref.call("again"), self.ref.stop()):
                try:
                    await wait
                except CallingSelf as exc:
                    errors.append(str(exc))
            return errors

    ref = await Selfish.start(name="me", clock=clock, **HERE)
    errors = await ref.call("go")
    assert len(errors) == 2
    assert "'me' called itself" in errors[0]
    await ref.stop()


async def test_S36_a_crash_fails_the_call_in_flight_and_the_queued_ones_and_runs_none(clock: VirtualClock) -> None:
    handled = []

    class Server(Agent):
        async def init(self) -> None:
            self.n = 0

        async def handle_call(self, message: Any, caller: Any) -> Any:
            if message == "sleep":
                await clock.sleep(10)
            handled.append(message)
            return self.n

        async def handle_cast(self, message: Any) -> None:
            handled.append(message)

    async with Supervisor([child(Server, id="s")], clock=clock, **HERE) as sup:
        ref = sup["s"]
        calls = [asyncio.create_task(ref.call("sleep", timeout=30))]
        await settle()
        calls += [asyncio.create_task(ref.call(f"call {i}", timeout=30)) for i in range(5)]
        await settle()
        for i in range(5):
            ref.cast(f"cast {i}")

        ref.exit(Boom())
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await settle()

        assert [type(outcome) for outcome in outcomes] == [AgentDown] * 6
        assert handled == []
        assert sup["s"] is not ref
        assert await sup["s"].call("n?") == 0


async def test_S38_stop_with_a_reply_terminates_first_then_replies_then_exits(clock: VirtualClock) -> None:
    told = []

    class Last(Agent):
        async def handle_call(self, message: Any, caller: Any) -> Stop:
            return Stop("normal", reply=7)

        async def terminate(self, reason: Any) -> None:
            told.append(f"terminate {reason}")

    ref = await Last.start(clock=clock, **HERE)

    async def ask() -> None:
        told.append(f"reply {await ref.call('go')}")

    async def watch() -> None:
        told.append(f"down {(await ref.monitor()).reason}")

    await asyncio.gather(watch(), ask())

    assert told == ["terminate normal", "reply 7", "down normal"]


async def test_S40_init_that_stops_or_raises_is_a_start_error_without_terminate() -> None:
    said = []

    class Starter(Agent):
        async def init(self, how: Any) -> Any:
            if how == "raise":
                raise Boom("at this line")
            return how

        async def terminate(self, reason: Any) -> None:
            said.append(reason)

    with pytest.raises(StartError) as stopped:
        await Starter.start(Stop("bad"), **HERE)
    assert stopped.value.reason == "bad"

    with pytest.raises(StartError) as raised:
        await Starter.start("raise", name="x", **HERE)
    assert raised.value.id == "x"
    assert isinstance(raised.value.reason, Crash)
    assert raised.value.reason.where.rpartition(":")[0] == __file__
    assert isinstance(raised.value.__cause__, Boom)

    with pytest.raises(StartError) as odd:
        await Starter.start(42, **HERE)
    assert isinstance(odd.value.reason.error, BadReturn)

    assert await Starter.start(IGNORE, name="x", **HERE) is None
    assert said == []
    assert whereis("x") is None


async def test_S41_a_name_has_one_owner_and_is_free_at_once(clock: VirtualClock) -> None:
    first = await Counter.start(name="w", **HERE)
    with pytest.raises(AlreadyStarted) as info:
        await Counter.start(name="w", **HERE)
    assert info.value.ref is first
    await first.stop()
    second = await Counter.start(name="w", **HERE)
    await second.stop()

    async with Supervisor([child(Counter, id="x", name="w")], max_restarts=1000, clock=clock, **HERE) as sup:
        with Recorder(sup) as seen:
            for times in range(1, 101):
                whereis("w").cast(Boom())
                await seen.until("start", times=times)
        assert len([event for event in seen.events if event.kind == "restart"]) == 100
        assert sup.children()[0].error == "crash: Boom"


async def test_S43_reply_error_is_raised_at_the_caller_and_the_agent_lives(clock: VirtualClock) -> None:
    async with Supervisor([child(Stack, 1, 2, id="s")], clock=clock, **HERE) as sup:
        ref = sup["s"]

        with pytest.raises(ValueError, match="x"):
            await ref.check(ValueError("x"))
        assert sup["s"] is ref
        assert await ref.size() == 2
        assert sup.children()[0].restarts == 0

        with pytest.raises(AgentDown) as info:
            await ref.refuse(ValueError("x"))
        assert isinstance(info.value.reason, Crash)
        assert isinstance(info.value.__cause__, ValueError)
        await settle()
        assert sup["s"] is not ref
        assert sup.children()[0].restarts == 1


@pytest.mark.parametrize("how", ["stop", "stop by another", "crash", "shutdown", "trapping shutdown", "kill"])
async def test_S45_terminate_runs_at_every_end_but_a_kill(clock: VirtualClock, how: str) -> None:
    said = []

    class Ends(Counter):
        trap_exit = how == "trapping shutdown"

        async def terminate(self, reason: Any) -> None:
            said.append(reason)

    sup = await Supervisor([child(Ends, id="e", restart="temporary")], clock=clock, **HERE).start()
    ref = sup["e"]
    if how == "stop":
        ref.cast(lambda agent: Stop("normal"))
    elif how == "stop by another":
        await ref.stop()
    elif how == "crash":
        ref.cast(Boom())
    elif how == "kill":
        ref.exit("kill")
    await settle()
    await sup.stop()

    expected = {"stop": ["normal"], "stop by another": ["normal"], "shutdown": ["shutdown"], "trapping shutdown": ["shutdown"], "kill": []}
    if how == "crash":
        assert [type(reason) for reason in said] == [Crash]
    else:
        assert said == expected[how]


async def test_S47_messages_of_one_sender_keep_their_order_and_never_overlap() -> None:
    class Queue(Agent):
        async def init(self) -> None:
            self.seen: list[int] = []
            self.busy = False

        async def handle_cast(self, message: int) -> None:
            assert not self.busy
            self.busy = True
            await asyncio.sleep(0)
            self.seen.append(message)
            self.busy = False

        @handles.call
        async def all(self) -> list[int]:
            return self.seen

    ref = await Queue.start(**HERE)
    for i in range(1_000):
        ref.cast(i)
    assert await ref.all() == list(range(1_000))
    await ref.stop()

    outside = await Queue.start()
    for i in range(1_000):
        outside.cast(i)
    assert await outside.all() == list(range(1_000))
    await outside.stop()


async def test_a_call_times_out_by_the_agents_clock_and_the_late_reply_is_dropped(clock: VirtualClock) -> None:
    class Late(Agent):
        async def handle_call(self, message: Any, caller: Any) -> str:
            await clock.sleep(10)
            return f"answer {message}"

    ref = await Late.start(clock=clock, name="late", **HERE)
    asking = asyncio.create_task(ref.call("one", timeout=5))
    await settle()

    await clock.advance(4.9)
    assert not asking.done()
    await clock.advance(0.1)
    with pytest.raises(CallTimeout, match="'late' did not reply to one within 5 s"):
        await asking
    assert isinstance(asking.exception(), TimeoutError)

    second = asyncio.create_task(ref.call("two", timeout=60))
    await clock.run(20)
    assert await second == "answer two"
    await ref.stop()


async def test_cancel_on_timeout_cancels_the_work_and_the_agent_lives(clock: VirtualClock) -> None:
    cancelled = []

    class Slow(Agent):
        async def handle_call(self, message: Any, caller: Any) -> str:
            try:
                if message == "slow":
                    await clock.sleep(100)
            except asyncio.CancelledError:
                cancelled.append(message)
                raise
            return "ok"

    ref = await Slow.start(clock=clock, **HERE)
    slow = asyncio.create_task(ref.call("slow", timeout=1, cancel_on_timeout=True))
    queued = asyncio.create_task(ref.call("queued", timeout=1, cancel_on_timeout=True))
    await settle()
    await clock.advance(1)

    assert isinstance((await asyncio.gather(slow, queued, return_exceptions=True))[0], CallTimeout)
    assert cancelled == ["slow"]
    assert await ref.call("again") == "ok"
    await ref.stop()


async def test_wait_waits_for_somebody_of_that_name(clock: VirtualClock) -> None:
    ref = await Counter.start(1, name="w", **HERE)
    await ref.stop()
    asking = asyncio.create_task(ref.call(1, wait=5.0))
    naming = asyncio.create_task(call("w", 1, wait=5.0))
    await settle()
    second = await Counter.start(10, name="w", **HERE)
    assert {await asking, await naming} == {11, 12}
    await second.stop()
    with pytest.raises(NotRunning):
        await call("w", 1, wait=0.01)


async def test_methods_of_the_agent_are_methods_of_the_ref() -> None:
    ref = await Stack.start("a", **HERE)
    ref.push("b")
    ref.push("c", times=2)
    assert await ref.size() == 4
    assert await ref.within(2.0).pop() == "c"
    assert {"pop", "push", "size"} <= set(dir(ref))
    with pytest.raises(AttributeError, match="has no handler 'popp'; did you mean 'pop'"):
        ref.within(1).popp()
    with pytest.raises(AttributeError):
        ref.terminate_everything()
    with pytest.raises(BadSpec):
        ref.within(-1)
    with pytest.raises(BadSpec, match="timeout='soon'"):
        await ref.call("x", timeout="soon")
    with pytest.raises(BadSpec, match="timeout=-1"):
        await ref.call("x", timeout=-1)
    await ref.stop()


async def test_no_reply_is_answered_later_from_anywhere() -> None:
    class Desk(Agent):
        async def init(self) -> None:
            self.waiting: list[Any] = []

        async def handle_call(self, message: Any, caller: Any) -> Any:
            self.waiting.append(caller)
            return NO_REPLY

        async def handle_cast(self, message: Any) -> None:
            self.waiting.pop(0).reply(message)

    ref = await Desk.start(**HERE)
    calls = [asyncio.create_task(ref.call(i)) for i in range(3)]
    await settle()
    ref.cast("first")
    assert await calls[0] == "first"
    await asyncio.to_thread(ref.state()["waiting"][0].reply, "from a thread")
    assert await calls[1] == "from a thread"
    await ref.stop()
    with pytest.raises(AgentDown, match="normal"):
        await calls[2]


async def test_continue_comes_before_every_message(clock: VirtualClock) -> None:
    class Two(Agent):
        async def init(self) -> Continue:
            self.seen: list[Any] = []
            self.ref.cast("sent in init")
            return Continue(1)

        async def handle_continue(self, value: int) -> Any:
            self.seen.append(f"continue {value}")
            return Continue(2) if value == 1 else None

        async def handle_cast(self, message: Any) -> None:
            self.seen.append(message)

        @handles.call
        async def all(self) -> list[Any]:
            return self.seen

    ref = await Two.start(clock=clock, **HERE)
    assert await ref.all() == ["continue 1", "continue 2", "sent in init"]
    await ref.stop()


async def test_idle_fires_once_and_any_message_cancels_it(clock: VirtualClock) -> None:
    class Bored(Agent):
        async def init(self) -> Idle:
            self.heard: list[Any] = []
            return Idle(2.0)

        async def handle_cast(self, message: Any) -> Any:
            return Idle(message) if message is not None else None

        async def handle_info(self, message: Any) -> None:
            self.heard.append(message)

    ref = await Bored.start(clock=clock, **HERE)
    await clock.advance(1.9)
    assert ref.state()["heard"] == []
    await clock.advance(0.1)
    assert ref.state()["heard"] == ["timeout"]
    await clock.advance(10)
    assert ref.state()["heard"] == ["timeout"]

    ref.cast(5)
    await settle()
    await clock.advance(4)
    ref.cast(None)
    await settle()
    await clock.advance(10)
    assert ref.state()["heard"] == ["timeout"]

    ref.cast(0)
    ref.cast(None)
    await settle()
    await clock.advance(0)
    assert ref.state()["heard"] == ["timeout"]  # 0 does not beat a waiting message
    ref.cast(0)
    await settle()
    await clock.advance(0)
    assert ref.state()["heard"] == ["timeout", "timeout"]
    await ref.stop()


async def test_default_handlers_crash_but_an_unknown_info_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Plain(Agent):
        pass

    for kind in ("call", "cast"):
        ref = await Plain.start(**HERE)
        monitor = ref.monitor()
        if kind == "call":
            with pytest.raises(AgentDown):
                await ref.call("x")
        else:
            ref.cast("x")
        down = await monitor
        assert isinstance(down.reason.error, Unhandled)
        assert "no handle_" in str(down.reason.error)

    ref = await Plain.start(name="plain", **HERE)
    with Recorder(ref) as seen, caplog.at_level(logging.WARNING, "pocketflex_nb"):
        ref.send({"what": 1})
        await settle()
    assert ref.is_alive
    assert [event.kind for event in seen.events] == ["info", "unhandled"]
    assert seen.events[1].cause == seen.events[0].seq
    assert [record.name for record in caplog.records] == ["pocketflex_nb"]
    assert "'plain' received {'what': 1} but has no handle_info" in caplog.text
    await ref.stop()


async def test_a_bad_return_is_a_crash_with_terminate() -> None:
    said = []

    class Odd(Agent):
        async def handle_cast(self, message: Any) -> Any:
            return 42

        async def terminate(self, reason: Any) -> None:
            said.append(reason)

    ref = await Odd.start(**HERE)
    monitor = ref.monitor()
    ref.cast(1)
    down = await monitor
    assert isinstance(down.reason.error, BadReturn)
    assert said == [down.reason]


async def test_terminate_that_fails_becomes_the_reason() -> None:
    class Bad(Agent):
        async def terminate(self, reason: Any) -> None:
            raise Boom("in terminate")

    ref = await Bad.start(**HERE)
    with pytest.raises(AgentDown) as info:
        await ref.stop()
    assert isinstance(info.value.reason, Crash)
    assert isinstance(info.value.reason.error, Boom)


async def test_state_can_be_read_replaced_and_hidden_between_messages() -> None:
    class Secret(Stack):
        def redact(self, state: dict[str, Any]) -> dict[str, Any]:
            return {**state, "key": "***"}

    ref = await Secret.start(1, **HERE)
    assert ref.state() == {"items": [1], "key": "***"}
    assert await ref.state() == ref.state()
    new = await ref.replace_state(lambda state: {**state, "items": [7, 8]})
    assert new["items"] == [7, 8]
    assert await ref.pop() == 8
    with pytest.raises(ZeroDivisionError):
        await ref.replace_state(lambda state: 1 / 0)
    assert await ref.pop() == 7
    stats = ref.stats()
    assert (stats["handled"], stats["mailbox"], stats["status"]) == (4, 0, "running")
    await ref.stop()
    with pytest.raises(NotRunning):
        ref.state()


async def test_a_suspended_agent_handles_nothing_but_orders(clock: VirtualClock) -> None:
    ref = await Counter.start(clock=clock, **HERE)
    ref.suspend()
    ref.cast(1)
    ref.cast(2)
    await settle()
    assert ref.stats()["mailbox"] == 2
    assert (await ref.replace_state(lambda state: {"n": 10})) == {"n": 10}
    assert ref.stats()["mailbox"] == 2
    ref.resume()
    assert await ref.call("get") == 13

    ref.suspend()
    ref.cast(1)
    await ref.stop()  # a system message too
    assert not ref.is_alive


async def test_upgrade_keeps_the_attributes_and_may_mend_them() -> None:
    class New(Counter):
        def code_change(self, old_cls: type) -> None:
            self.n *= 10
            self.came_from = old_cls.__name__

        @handles.call
        async def double(self) -> int:
            return self.n * 2

    class Bad(Counter):
        def code_change(self, old_cls: type) -> None:
            self.n = "broken"
            raise Boom("no")

    ref = await Counter.start(4, **HERE)
    await ref.upgrade(New)
    assert await ref.double() == 80
    assert ref.state()["came_from"] == "Counter"
    with pytest.raises(Boom):
        await ref.upgrade(Bad)
    assert await ref.double() == 80
    await ref.stop()


async def test_a_reentrant_handler_lets_the_next_message_in(clock: VirtualClock) -> None:
    class Open(Agent):
        async def init(self) -> None:
            self.gate = asyncio.Event()

        @handles.call(reentrant=True)
        async def wait(self) -> str:
            await self.gate.wait()
            return "opened"

        @handles.call(reentrant=True)
        async def fail(self) -> None:
            raise Boom("beside")

        @handles.cast
        async def open(self) -> None:
            self.gate.set()

    ref = await Open.start(clock=clock, **HERE)
    waiting = asyncio.create_task(ref.wait())
    await settle()
    ref.open()
    assert await waiting == "opened"

    monitor = ref.monitor()
    with pytest.raises(AgentDown):
        await ref.fail()
    assert isinstance((await monitor).reason.error, Boom)


async def test_agents_may_be_written_with_init_dunder_or_plain_functions() -> None:
    class Natural(Agent):
        def __init__(self, n: int = 0) -> None:
            self.n = n

        def handle_call(self, message: int, caller: Any) -> int:  # type: ignore[override]
            return self.n + message

    ref = await Natural.start(5, **HERE)
    assert await ref.call(1) == 6
    await ref.stop()


async def test_an_agent_made_by_hand_is_a_template() -> None:
    ref = await Counter(3).start(**HERE)
    assert await ref.call("get") == 3
    await ref.stop()
    async with Supervisor([Counter(8)], **HERE) as sup:
        assert await sup["Counter"].call("get") == 8


async def test_strict_mode_copies_messages_and_refuses_what_cannot_travel() -> None:
    class Keeper(Agent):
        strict = True

        async def handle_call(self, message: Any, caller: Any) -> Any:
            self.last = message
            return id(message)

    ref = await Keeper.start(**HERE)
    mine = {"a": [1]}
    assert await ref.call(mine) != id(mine)
    mine["a"].append(2)
    assert ref.state()["last"] == {"a": [1]}
    with pytest.raises(NotPortable):
        await ref.call(x for x in "abc")
    assert ref.is_alive
    await ref.stop()


async def test_a_lost_cast_is_logged_only_if_asked(caplog: pytest.LogCaptureFixture) -> None:
    class Loud(Counter):
        strict_cast = True

    for cls, expected in ((Counter, 0), (Loud, 1)):
        ref = await cls.start(name="gone", **HERE)
        await ref.stop()
        with caplog.at_level(logging.WARNING, "pocketflex_nb"):
            ref.cast("anybody there?")
        assert len(caplog.records) == expected
    assert "a message to 'gone' was dropped" in caplog.text


async def test_every_error_is_an_agent_error_and_the_builtin_that_fits() -> None:
    assert issubclass(CallTimeout, TimeoutError)
    assert issubclass(NotRunning, LookupError)
    assert issubclass(BadSpec, ValueError)
    for error in (AgentDown, NotRunning, CallTimeout, CallingSelf, BadSpec, StartError, AlreadyStarted):
        assert issubclass(error, AgentError)
        assert issubclass(error, RuntimeError)


async def test_reload_takes_the_class_that_the_notebook_has_now(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    def cell(value: int) -> type:
        space: dict[str, Any] = {"Agent": Agent, "__name__": "__main__"}
        exec(
            f"class Cell(Agent):\n    reload = 'on_restart'\n    async def handle_call(self, m, caller): return {value}\n"
            "    async def handle_cast(self, m): raise m\n",
            space,
        )
        return space["Cell"]

    old = cell(1)
    monkeypatch.setattr(__main__, "Cell", old, raising=False)
    async with Supervisor([child(old, id="c")], clock=clock, **HERE) as sup:
        assert await sup["c"].call("?") == 1
        assert (sup.children()[0].is_stale, sup.children()[0].version) == (False, 1)

        monkeypatch.setattr(__main__, "Cell", cell(2))
        assert sup.children()[0].is_stale

        await crash(sup["c"])
        assert await sup["c"].call("?") == 2
        assert (sup.children()[0].is_stale, sup.children()[0].version) == (False, 2)


@pytest.mark.parametrize("seconds", [-1, "5", float("nan"), None])
async def test_an_idle_time_that_cannot_be_is_named_at_once(seconds: Any) -> None:
    class Sleepy(Agent):
        async def init(self) -> Any:
            return Idle(seconds)

    with pytest.raises(StartError) as failed:
        await Sleepy.start(**HERE)
    assert isinstance(failed.value.reason.exc, BadSpec)


async def test_a_clock_that_is_none_is_refused_before_anything_starts() -> None:
    with pytest.raises(BadSpec, match="clock=3"):
        await Counter.start(clock=3, **HERE)
