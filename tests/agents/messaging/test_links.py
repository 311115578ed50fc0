"""Scenario S49: monitors and links."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb.agents import Agent, AgentError, Crash, Down, Exit, NotOwner, Shutdown, handles, link, unlink
from pocketflex_nb.testing import Recorder, settle
from tests.agents.fakes import HERE, Boom, Counter


class Peer(Counter):
    """Links itself to others when told."""

    @handles.call
    async def tie(self, other: Any) -> None:
        link(other)

    @handles.call
    async def untie(self, other: Any) -> None:
        unlink(other)

    @handles.call
    async def watch(self, other: Any) -> None:
        self.monitor = other.monitor()

    @handles.call
    async def unwatch(self) -> None:
        self.monitor.cancel()

    @handles.call
    async def await_it(self, other: Any) -> Any:
        return await other.monitor()


class Trapper(Peer):
    trap_exit = True


async def test_S49_a_monitor_gives_exactly_one_down_with_the_crash() -> None:
    watcher, target = await Peer.start(**HERE), await Peer.start(**HERE)
    await watcher.watch(target)
    outside = target.monitor()
    with Recorder(target) as seen:
        target.cast(Boom())
        down = await outside
        await settle()

    assert isinstance(down, Down)
    assert down.ref is target
    assert isinstance(down.reason, Crash)
    assert await outside is down
    assert await watcher.heard_so_far() == [Down(target, down.reason)]
    assert len([event for event in seen.events if event.kind == "down"]) == 2
    exit_event = seen.find("exit")
    assert exit_event is not None
    assert seen.find("down").cause == exit_event.seq  # type: ignore[union-attr]  # there are two
    await watcher.stop()


async def test_S49_monitoring_the_dead_gives_noproc_at_once_and_a_cancelled_monitor_nothing() -> None:
    watcher, target = await Peer.start(**HERE), await Peer.start(**HERE)
    cancelled = target.monitor()
    await watcher.watch(target)
    cancelled.cancel()
    await watcher.unwatch()
    await settle()

    await target.stop()
    await settle()

    assert (await target.monitor()).reason == "noproc"
    assert not cancelled.is_down
    with pytest.raises(AgentError, match="was cancelled"):
        await cancelled
    assert await watcher.heard_so_far() == []
    await watcher.watch(target)
    assert await watcher.heard_so_far() == [Down(target, "noproc")]
    await watcher.stop()


async def test_a_down_that_is_awaited_is_not_sent_as_well() -> None:
    watcher, target = await Peer.start(**HERE), await Peer.start(**HERE)
    asking = asyncio.create_task(watcher.await_it(target))
    await settle()

    await target.stop()

    assert (await asking).reason == "normal"
    assert await watcher.heard_so_far() == []
    await watcher.stop()


@pytest.mark.parametrize("reason", ["normal", "shutdown", Shutdown("x"), "other", "kill"])
async def test_what_spreads_over_a_link(reason: Any) -> None:
    one, two = await Peer.start(**HERE), await Peer.start(**HERE)
    await one.tie(two)
    monitor = one.monitor()

    if reason == "normal":
        await two.stop()
    else:
        two.exit(reason)
    await settle()

    if reason == "normal":
        assert one.is_alive
        await one.stop()
    else:
        assert (await monitor).reason == ("killed" if reason == "kill" else reason)


async def test_a_trapping_agent_gets_the_exit_as_a_message_but_cannot_trap_a_kill() -> None:
    trapper, peer = await Trapper.start(**HERE), await Peer.start(**HERE)
    await trapper.tie(peer)

    peer.cast(Boom())
    await settle()

    heard = await trapper.heard_so_far()
    assert [type(message) for message in heard] == [Exit]
    assert heard[0].ref is peer
    assert isinstance(heard[0].reason, Crash)

    trapper.exit("normal")
    trapper.exit("shutdown")
    assert [message.reason for message in (await trapper.heard_so_far())[1:]] == ["normal", "shutdown"]
    monitor = trapper.monitor()
    trapper.exit("kill")
    assert (await monitor).reason == "killed"


async def test_an_exit_signal_normal_is_ignored_and_an_unlinked_agent_is_left_alone() -> None:
    one, two = await Peer.start(**HERE), await Peer.start(**HERE)
    await one.tie(two)
    await two.untie(one)
    one.exit("normal")
    two.exit("shutdown")
    await settle()
    assert one.is_alive
    assert not two.is_alive
    await one.stop()


async def test_linking_to_the_dead_hits_at_once() -> None:
    one, two = await Peer.start(**HERE), await Peer.start(**HERE)
    await two.stop()
    monitor = one.monitor()
    with pytest.raises(Exception, match="noproc"):
        await one.tie(two)
    assert (await monitor).reason == "noproc"


async def test_link_outside_of_an_agent_is_refused() -> None:
    one = await Peer.start(**HERE)
    with pytest.raises(NotOwner, match="outside any agent"):
        link(one)
    await one.stop()


async def test_an_idle_agent_hit_over_a_link_runs_no_terminate() -> None:
    said = []

    class Polite(Peer):
        async def terminate(self, reason: Any) -> None:
            said.append(reason)

    one, two = await Polite.start(**HERE), await Peer.start(**HERE)
    await one.tie(two)
    two.exit("shutdown")
    await settle()
    assert not one.is_alive
    assert said == []


async def test_a_zombie_is_dead_to_everybody_and_what_it_sends_is_dropped() -> None:
    class Deaf(Agent):
        async def handle_cast(self, message: Any) -> None:
            gate, other = message
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    pass
            other.cast(100)
            other.send("from the grave")
            try:
                await other.call(100)
            except Exception as exc:
                self.error = exc
                died_with.append(exc)

    died_with: list[Exception] = []
    gate = asyncio.Event()
    other = await Counter.start(**HERE)
    deaf = await Deaf.start(name="deaf", **HERE)
    monitor = deaf.monitor()
    deaf.cast((gate, other))
    await settle()
    asking = asyncio.create_task(deaf.call("hello"))
    await settle()

    with Recorder(deaf) as seen:
        deaf.exit("kill")
        down = await monitor

    assert (down.reason, down.zombie) == ("killed", True)
    assert [event.kind for event in seen.events if event.kind in ("exit", "zombie")] == ["exit", "zombie"]
    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], Exception)
    again = await Counter.start(name="deaf", **HERE)  # the name is free
    gate.set()
    await settle()
    assert await other.call("get") == 0
    assert await other.heard_so_far() == []
    assert "killed" in str(died_with[0])
    await other.stop()
    await again.stop()
