"""Scenario S60, and the rest of the registry's table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocketflex_nb.agents import (
    Agent,
    AlreadyStarted,
    BadSpec,
    NotOwner,
    Registered,
    Registry,
    Supervisor,
    Unregistered,
    call,
    child,
    handles,
    whereis,
)
from pocketflex_nb.testing import VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter, crash


class Member(Counter):
    """Registers itself as told."""

    @handles.call
    async def do(self, reg: Registry, verb: str, *args: Any) -> Any:
        return getattr(reg, verb)(*args)


async def test_S60_names_are_gone_before_the_supervisor_restarts(clock: VirtualClock) -> None:
    reg = Registry()
    seen = []
    async with Supervisor([child(Member, id="m")], clock=clock, **HERE) as sup:
        ref = sup["m"]
        await ref.do(reg, "register", "one")
        await ref.do(reg, "register", "two", 2)
        log = ref._incarnation.host.log

        def look(record: Any) -> None:
            if record[2] in ("exit", "restart"):
                seen.append((record[2], reg.lookup("one"), reg.lookup("two"), reg.keys(ref)))

        log.watch(look)
        await crash(ref)
        log.unwatch(look)

    assert seen[:2] == [("exit", [], [], []), ("restart", [], [], [])]


async def test_a_unique_key_has_one_owner_and_only_that_changes_it() -> None:
    reg = Registry()
    one, two = await Member.start(**HERE), await Member.start(**HERE)
    await one.do(reg, "register", "key", 1)
    with pytest.raises(Exception) as info:
        await two.do(reg, "register", "key")
    assert isinstance(info.value.__cause__, AlreadyStarted)
    assert info.value.__cause__.ref is one
    two = await Member.start(**HERE)

    assert reg.lookup("key") == [(one, 1)]
    assert await one.do(reg, "update_value", "key", lambda value: value + 1) == (2, 1)
    assert await two.do(reg, "update_value", "key", lambda value: value + 1) is None
    assert await two.do(reg, "unregister", "key") is None
    assert reg.values("key") == [2]
    assert reg.keys(one) == ["key"]
    assert reg.count() == 1
    assert reg.select(lambda key, ref, value: value > 1) == [("key", one, 2)]
    await one.do(reg, "unregister", "key")
    assert reg.lookup("key") == []
    with pytest.raises(NotOwner, match="outside any agent"):
        reg.register("key")
    await one.stop()
    await two.stop()


async def test_keys_are_told_apart_by_type() -> None:
    reg = Registry()
    refs = [await Member.start(**HERE) for _ in range(3)]
    for ref, key in zip(refs, (1, 1.0, True), strict=True):
        await ref.do(reg, "register", key)
    assert [reg.lookup(key)[0][0] for key in (1, 1.0, True)] == refs
    assert reg.lookup((1,)) == []
    with pytest.raises(BadSpec, match="not hashable"):
        reg.lookup([])
    for ref in refs:
        await ref.stop()
    assert reg.count() == 0


async def test_duplicate_keys_dispatch_and_publish() -> None:
    reg = Registry(keys="duplicate")
    one, two = await Member.start(**HERE), await Member.start(**HERE)
    await one.do(reg, "register", "topic", "a")
    await one.do(reg, "register", "topic", "b")
    await two.do(reg, "register", "topic", "c")

    assert reg.values("topic") == ["a", "b", "c"]
    assert reg.values("topic", one) == ["a", "b"]
    got: list[Any] = []
    reg.dispatch("topic", got.extend)
    assert got == [(one, "a"), (one, "b"), (two, "c")]
    reg.dispatch("nobody", lambda found: got.clear())
    assert len(got) == 3
    with pytest.raises(ZeroDivisionError):
        reg.dispatch("topic", lambda found: 1 / 0)

    assert reg.publish("topic", "news") == 3
    assert await one.heard_so_far() == ["news", "news"]
    assert await two.heard_so_far() == ["news"]
    with pytest.raises(TypeError, match="unique"):
        reg.via("topic")
    with pytest.raises(BadSpec, match="did you mean 'duplicate'"):
        Registry(keys="duplicates")
    await one.stop()
    await two.stop()


async def test_listeners_hear_of_names_and_of_deaths_only_if_asked() -> None:
    listener = await Counter.start(**HERE)
    quiet, talking = Registry(listeners=[listener]), Registry(listeners=[listener], on_death=True)
    member = await Member.start(**HERE)
    for reg in (quiet, talking):
        await member.do(reg, "register", "k", 1)
        await member.do(reg, "unregister", "k")
        await member.do(reg, "register", "d")
    await member.stop()

    heard = await listener.heard_so_far()
    assert heard == [
        Registered(quiet, "k", member, 1),
        Unregistered(quiet, "k", member),
        Registered(quiet, "d", member),
        Registered(talking, "k", member, 1),
        Unregistered(talking, "k", member),
        Registered(talking, "d", member),
        Unregistered(talking, "d", member),
    ]
    await listener.stop()


def test_a_name_is_free_when_the_loop_of_its_owner_is_closed() -> None:
    async def begin() -> Any:
        return await Counter.start(name="left behind", **HERE)

    first = asyncio.run(begin())
    assert not first.is_alive
    assert whereis("left behind") is None

    async def again() -> None:
        second = await Counter.start(name="left behind", **HERE)
        assert whereis("left behind") is second
        await second.stop()

    asyncio.run(again())


async def test_via_names_an_agent_in_a_registry() -> None:
    reg = Registry()
    ref = await Counter.start(name=reg.via("writer"), **HERE)
    assert reg.whereis("writer") is ref
    assert await call(reg.via("writer"), 3) == 3
    with pytest.raises(AlreadyStarted):
        await Counter.start(name=reg.via("writer"), **HERE)
    await ref.stop()
    assert reg.whereis("writer") is None


async def test_a_lock_is_held_by_one_and_freed_by_death() -> None:
    reg = Registry()
    order = []

    class Holder(Agent):
        async def handle_cast(self, message: asyncio.Event) -> None:
            async with reg.lock("k"):
                order.append("agent in")
                await message.wait()

    async def outside(name: str) -> None:
        async with reg.lock("k"):
            order.append(name)
            await asyncio.sleep(0)

    holder = await Holder.start(**HERE)
    holder.cast(asyncio.Event())
    await settle()
    waiting = [asyncio.create_task(outside(name)) for name in ("one", "two")]
    await settle()
    assert order == ["agent in"]

    holder.exit("kill")
    await asyncio.gather(*waiting)

    assert order == ["agent in", "one", "two"]
    async with reg.lock("k"), reg.lock("another"):
        pass


async def test_many_crashes_never_leave_a_name_behind(clock: VirtualClock) -> None:
    reg = Registry()

    class Named(Agent):
        async def init(self) -> None:
            reg.register("me")

        async def handle_cast(self, message: Any) -> None:
            raise message

    async with Supervisor([child(Named, id="n")], max_restarts=200, clock=clock, **HERE) as sup:
        for _ in range(50):
            await crash(sup["n"], Boom())
        assert sup.children()[0].restarts == 50
        assert reg.whereis("me") is sup["n"]
    assert reg.count() == 0
