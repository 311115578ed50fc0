"""Agents with a process of their own: memory, death and kill are real."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from pocketflex_nb.agents import (
    NO_REPLY,
    Agent,
    AgentDown,
    Crash,
    NotPortable,
    ReplyError,
    StartError,
    Stop,
    Supervisor,
    child,
    exit,
    handles,
)
from pocketflex_nb.testing import Recorder
from tests.agents.fakes import HERE, Counter

SHARED: list[int] = []


class Far(Agent):
    """Does as told, elsewhere."""

    isolation = "process"

    async def init(self, n: int = 0) -> None:
        if n < 0:
            raise ValueError("negative")
        self.n = n

    async def handle_call(self, message: Any, caller: Any) -> Any:
        if message == "later":
            caller.reply("it is later")
            return NO_REPLY
        if message == "stop":
            return Stop("normal", reply="bye")
        self.n += message
        return self.n

    async def handle_cast(self, message: Any) -> None:
        if message == "spin":
            while True:
                pass
        os._exit(3)

    @handles.call
    async def whereabouts(self) -> int:
        SHARED.append(1)
        return os.getpid()

    @handles.call
    async def fail(self) -> None:
        raise KeyError("far away")

    @handles.call
    async def refuse(self) -> None:
        raise ReplyError(ValueError("no"))

    @handles.call
    async def add_to(self, other: Any, n: int) -> Any:
        other.cast(1)
        return await other.call(n)

    @handles.call
    async def me(self) -> Any:
        return self.ref

    def redact(self, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "key": "***"}


async def test_an_agent_of_another_process_answers_as_any_other() -> None:
    far, near = await Far.start(5, name="far", **HERE), await Counter.start(10, **HERE)
    assert await far.call(2) == 7
    assert await far.whereabouts() == far.os_pid != os.getpid()
    assert SHARED == []
    assert await far.call("later") == "it is later"
    with pytest.raises(ValueError, match="no"):
        await far.refuse()
    assert await far.add_to(near, 5) == 16
    assert await far.me() is far
    assert await far.state() == {"n": 7, "key": "***"}
    assert (await far.replace_state(lambda state: {"n": 50})) is not None
    assert await far.call(1) == 51
    with pytest.raises(NotPortable):
        await far.call(x for x in "abc")
    await near.stop()
    if far.is_alive:
        await far.stop()


async def test_a_crash_far_away_comes_home_with_its_traceback() -> None:
    far = await Far.start(**HERE)
    with pytest.raises(AgentDown) as info:
        await far.fail()
    assert isinstance(info.value.reason, Crash)
    assert isinstance(info.value.__cause__, KeyError)
    assert "test_process.py" in "".join(info.value.__cause__.__notes__)
    with pytest.raises(StartError) as start:
        await Far.start(-1, **HERE)
    assert isinstance(start.value.__cause__, ValueError)


async def test_any_child_may_have_a_process_of_its_own() -> None:
    async with Supervisor([child(Counter, 3, id="c", isolation="process")], **HERE) as sup:
        assert sup["c"].os_pid not in (None, os.getpid())
        assert await sup["c"].call(4) == 7


async def test_stop_with_a_reply_works_across() -> None:
    far = await Far.start(**HERE)
    monitor = far.monitor()
    assert await far.call("stop") == "bye"
    assert (await monitor).reason == "normal"


async def test_a_process_that_goes_is_worker_lost_and_is_restarted() -> None:
    async with Supervisor([child(Far, 3, id="far")], **HERE) as sup:
        for way in ("by itself", "killed from outside"):
            old = sup["far"]
            with Recorder(sup) as seen:
                monitor = old.monitor()
                if way == "by itself":
                    old.cast("exit")
                else:
                    os.kill(old.os_pid, signal.SIGKILL)
                down = await monitor
                await seen.until("start", "far")
            assert (down.reason, down.zombie) == ("worker_lost", False)
            assert sup["far"] is not old
            assert await sup["far"].call(1) == 4


async def test_a_kill_is_real_even_in_an_endless_loop() -> None:
    far = await Far.start(**HERE)
    number = far.os_pid
    monitor = far.monitor()
    far.cast("spin")
    far.exit("kill")
    down = await monitor
    assert (down.reason, down.zombie) == ("killed", False)
    for _ in range(1000):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            break

        await asyncio.sleep(0.01)
    else:
        pytest.fail("the process lives on")


class Stubborn(Exception):
    """Pickles and does not unpickle, as many clients' errors do."""

    def __init__(self, message: str, *, response: int) -> None:
        super().__init__(message)
        self.response = response


class Unreadable:
    """Pickles and does not unpickle."""

    def __init__(self, said: str) -> None:
        self.said = said

    def __reduce__(self) -> Any:
        return _never, (self.said,)

    def __repr__(self) -> str:
        return f"<{self.said}>"


def _never(said: str) -> None:
    raise SystemExit(f"no {said}")


class Odd(Agent):
    """Says what others cannot read."""

    isolation = "process"

    @handles.call
    async def fail(self) -> None:
        raise Stubborn("quota exceeded", response=429)

    @handles.call
    async def refuse(self) -> None:
        raise ReplyError(Stubborn("quota exceeded", response=429))

    @handles.call
    async def answer(self) -> Any:
        return [Unreadable("the answer")]

    async def handle_call(self, message: Any, caller: Any) -> Any:
        if message == "later":
            caller.reply(Unreadable("the late answer"))
            return NO_REPLY
        return "fine"

    async def handle_cast(self, message: Any) -> None:
        """Nothing."""

    @handles.call
    async def part(self) -> None:
        exit("parted")

    @handles.call
    async def remind(self, seconds: float) -> None:
        self.ref.send_after("remember", seconds)

    async def handle_info(self, message: Any) -> Any:
        return Stop(message)

    @handles.call
    async def fork(self) -> None:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        os._exit(1)


async def test_what_cannot_be_read_here_is_told_with_its_text() -> None:
    ref = await Odd.start(**HERE)
    for ask in (ref.answer, lambda: ref.call("later")):
        with pytest.raises(NotPortable, match=r"the (late )?answer.*no the"):
            await ask()
    with pytest.raises(NotPortable, match="no the question"):
        await ref.call(Unreadable("the question"))
    ref.cast(Unreadable("the cast"))
    assert await ref.call("and now") == "fine"

    with pytest.raises(RuntimeError, match="Stubborn: quota exceeded") as refused:
        await ref.refuse()
    assert not isinstance(refused.value, AgentDown)
    with pytest.raises(AgentDown, match="Stubborn: quota exceeded"):
        await ref.fail()
    ref = await Odd.start(**HERE)
    with pytest.raises(AgentDown) as down:
        await ref.part()
    assert down.value.reason == "parted"


async def test_an_agent_of_another_process_sends_to_itself_later() -> None:
    ref = await Odd.start(**HERE)
    monitor = ref.monitor()

    await ref.remind(0.01)

    assert (await monitor).reason == "remember"


async def test_start_arguments_that_cannot_be_read_fail_the_start_with_their_text() -> None:
    with pytest.raises(StartError, match="no the argument"):
        await Far.start(Unreadable("the argument"), **HERE)


@pytest.mark.parametrize("size", [1, 4_000_000])
async def test_a_stopped_process_keeps_nobody_waiting_and_can_be_killed(size: int) -> None:
    far, near = await Odd.start(**HERE), await Counter.start(**HERE)
    monitor = far.monitor()
    os.kill(far.os_pid, signal.SIGSTOP)
    asking = asyncio.create_task(far.call("x" * size, timeout=None))
    for _ in range(5):
        far.cast("x" * size)

    assert await near.call("get", timeout=1.0) == 0
    far.exit("kill")

    assert (await monitor).reason == "killed"
    with pytest.raises(AgentDown):
        await asking
    await near.stop()


def test_a_process_that_floods_others_keeps_nobody_waiting() -> None:
    class Floods(Agent):
        isolation = "process"

        async def handle_cast(self, other: Any) -> None:
            while True:
                for _ in range(100):
                    other.cast(1)
                await asyncio.sleep(0)

    flooded, near = Counter.start_sync(), Counter.start_sync()
    floods = Floods.start_sync()
    floods.cast(flooded)

    for _ in range(5):
        assert near.call_sync("get", timeout=5.0) == 0

    ended = floods.monitor()
    floods.exit("kill")
    assert ended.wait(10).reason == "killed"
    flooded.exit("kill")
    near.stop_sync()
    flooded.monitor().wait(10)


async def test_a_dead_process_is_noticed_although_its_own_child_lives() -> None:
    ref = await Odd.start(**HERE)
    monitor = ref.monitor()
    start = time.monotonic()

    with pytest.raises(AgentDown):
        await ref.fork()

    assert (await monitor).reason == "worker_lost"
    assert time.monotonic() - start < 10


async def test_an_agent_of_another_process_reaches_agents_of_other_homes_and_no_strangers() -> None:
    far, near = await Far.start(**HERE), await Counter.start(10)
    assert await far.add_to(near, 5) == 16

    await near.stop()
    with pytest.raises(AgentDown):
        await far.add_to(near, 5)


def test_the_docstring_says_that_a_process_is_no_security_boundary() -> None:
    for told in (Agent.__doc__, child.__doc__, Agent.start.__doc__):
        assert "no security boundary" in (told or "")
