"""Scenarios S31 and S34: children at run time, and partitions."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from pocketflex_nb.agents import (
    IGNORE,
    Agent,
    BadSpec,
    DynamicSupervisor,
    MaxChildren,
    NotFound,
    NotRunning,
    PartitionSupervisor,
    StartError,
    child,
    partition_of,
)
from pocketflex_nb.testing import VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter, crash


class Gated(Agent):
    """Starts once; a restart waits at the gate and fails."""

    gate: Any = None

    async def init(self) -> None:
        if Gated.gate is not None:
            await Gated.gate.wait()
            raise Boom("shut")

    async def handle_cast(self, message: BaseException) -> None:
        raise message


async def test_S31_children_that_are_being_restarted_count(clock: VirtualClock) -> None:
    Gated.gate = None
    async with DynamicSupervisor(max_children=1, max_restarts=100, clock=clock, **HERE) as ds:
        ref = await ds.start_child(Gated)
        Gated.gate = asyncio.Event()
        ref.cast(Boom())
        await settle()
        assert [info.status for info in ds.children()] == ["restarting"]

        starting = asyncio.create_task(ds.start_child(Counter))
        ending = asyncio.create_task(ds.terminate_child(ref))  # by its old ref
        again = asyncio.create_task(ds.terminate_child(ref))
        await settle()
        Gated.gate.set()
        outcomes = await asyncio.gather(starting, ending, again, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [MaxChildren, type(None), NotFound]
        assert ds.count() == (0, 0, 0, 0)
    Gated.gate = None


async def test_S31_no_children_at_all_is_allowed(clock: VirtualClock) -> None:
    async with DynamicSupervisor(max_children=0, clock=clock, **HERE) as ds:
        with pytest.raises(MaxChildren, match="max_children=0 is reached"):
            await ds.start_child(Counter)


async def test_extra_args_come_first_also_at_a_restart(clock: VirtualClock) -> None:
    class Tells(Counter):
        async def init(self, *args: Any) -> None:
            self.n = args  # type: ignore[assignment]

    async with DynamicSupervisor(extra_args=("shared",), clock=clock, **HERE) as ds:
        ref = await ds.start_child(child(Tells, 1, id="same"))
        other = await ds.start_child(child(Tells, 2, id="same"))
        assert await ref.call("get") == ("shared", 1)
        assert ref.slot is not other.slot

        await crash(ref)

        again = next(info.ref for info in ds.children() if info.id == ref.id)
        assert again is not ref
        assert again.slot is ref.slot
        assert await again.call("get") == ("shared", 1)


async def test_ignore_and_errors_leave_nothing_behind(clock: VirtualClock) -> None:
    class Nothing(Agent):
        async def init(self, how: Any) -> Any:
            if how == "raise":
                raise Boom("no")
            return how

    async with DynamicSupervisor(clock=clock, **HERE) as ds:
        assert await ds.start_child(child(Nothing, IGNORE)) is None
        with pytest.raises(StartError):
            await ds.start_child(child(Nothing, "raise"))
        assert ds.children() == []
        with pytest.raises(BadSpec, match="significant"):
            await ds.start_child(child(Counter, restart="transient", significant=True))
        ref = await ds.start_child(child(Counter, restart="transient"))
        await ref.stop()
        await settle()
        assert ds.children() == []  # nothing is remembered of it
        with pytest.raises(NotFound):
            await ds.terminate_child(ref)


async def test_a_dynamic_supervisor_stops_everybody_at_once(clock: VirtualClock) -> None:
    class Slow(Agent):
        async def terminate(self, reason: Any) -> None:
            await clock.sleep(1.0)

    ds = await DynamicSupervisor(clock=clock, **HERE).start()
    for _ in range(10):
        await ds.start_child(child(Slow, shutdown=3.0))

    stopping = asyncio.create_task(ds.stop())
    await settle()
    await clock.advance(1.0)
    await settle()

    assert stopping.done()


async def test_too_many_restarts_end_a_dynamic_supervisor(clock: VirtualClock) -> None:
    ds = await DynamicSupervisor(max_restarts=1, clock=clock, **HERE).start()
    ref = await ds.start_child(Counter)
    other = await ds.start_child(Counter)
    await crash(ref)
    await crash(ds.children()[0].ref)

    assert ds.reason == "shutdown"
    assert not other.is_alive


async def test_S34_a_partition_routes_every_key_to_the_same_copy(clock: VirtualClock) -> None:
    async with PartitionSupervisor(child(Counter), partitions=4, clock=clock, **HERE) as ps:
        refs = [ps.route(i) for i in range(4)]
        assert len(set(refs)) == 4
        assert ps.route(4) is refs[0]
        assert ps.route(-1) is refs[1]
        assert ps.ref("a key") is ps.route("a key")

        await ps.resize(0)
        with pytest.raises(NotRunning, match="no partitions"):
            ps.route(0)
        with pytest.raises(ValueError, match="from 0 to 4"):
            ps.resize(5)
        await ps.resize(4)
        assert len({ps.route(i) for i in range(4)} - set(refs)) == 4


def test_S34_the_same_key_goes_to_the_same_partition_in_another_process() -> None:
    keys = ["a", "b", "writer", ("x", 1), b"bytes", 7, -3, 2.5]
    code = f"from pocketflex_nb.agents import partition_of; print([partition_of(key, 4) for key in {keys!r}])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=None)
    assert json.loads(told.stdout) == [partition_of(key, 4) for key in keys]


async def test_partitions_may_differ_in_their_arguments_and_heal(clock: VirtualClock) -> None:
    spec = child(Counter, 100)
    async with PartitionSupervisor(spec, partitions=3, with_args=lambda args, i: (args[0] + i,), clock=clock, **HERE) as ps:
        assert [await ps.route(i).call("get") for i in range(3)] == [100, 101, 102]
        await crash(ps.route(1))
        assert await ps.route(1).call("get") == 101


@pytest.mark.parametrize(
    "make",
    [
        lambda: PartitionSupervisor(child(Counter), partitions=0),
        lambda: PartitionSupervisor(child(Counter), auto_shutdown="any_significant"),
        lambda: PartitionSupervisor(child(Counter, name="one")),
        lambda: DynamicSupervisor(max_children=-1),
    ],
)
def test_what_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(BadSpec):
        make()
