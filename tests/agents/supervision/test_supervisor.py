"""Scenarios S01 to S29: what a supervisor does, told by its events."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import pytest

from pocketflex_nb.agents import (
    Agent,
    AlreadyPresent,
    AlreadyStarted,
    BadSpec,
    Crash,
    DynamicSupervisor,
    NotFound,
    Restarting,
    Shutdown,
    StartError,
    StillRunning,
    Stop,
    Supervisor,
    SupervisorExit,
    child,
    whereis,
)
from pocketflex_nb.agents.host.agent_host import host_for
from pocketflex_nb.testing import Recorder, VirtualClock, settle
from tests.agents.fakes import HERE, Boom, Counter, crash, order_of, three


class Failing(Agent):
    """Fails to start as often as told."""

    left = 0

    async def init(self) -> None:
        if Failing.left > 0:
            Failing.left -= 1
            raise Boom("not yet")

    async def handle_cast(self, message: BaseException) -> None:
        raise message


async def nothing_after(gate: asyncio.Event) -> None:
    await gate.wait()


class Traps(Counter):
    trap_exit = True


async def test_S01_one_for_one_restarts_only_the_dead_one(clock: VirtualClock) -> None:
    async with three(clock=clock) as sup:
        a, b, c = sup["a"], sup["b"], sup["c"]
        for ref in (a, b, c):
            await ref.call(5)

        await crash(b)

        assert sup["a"] is a
        assert sup["c"] is c
        assert sup["b"] is not b
        assert sup["b"].slot is b.slot
        assert [await sup[name].call("get") for name in "abc"] == [5, 0, 5]
        assert sup.count() == (3, 3, 0, 3)
        assert [info.restarts for info in sup.children()] == [0, 1, 0]


async def test_S02_rest_for_one_restarts_the_dead_and_the_later_ones(clock: VirtualClock) -> None:
    async with three("rest_for_one", clock=clock) as sup:
        a, b, c = sup["a"], sup["b"], sup["c"]
        await a.call(5)
        with Recorder(sup) as seen:
            await crash(b)

        assert order_of(seen, *"abc") == ["exit b (crash)", "exit c (shutdown)", "start b", "start c"]
        assert await sup["a"].call("get") == 5
        assert sup["a"] is a
        assert sup["b"] is not b
        assert sup["c"] is not c


async def test_S03_one_for_all_restarts_everybody_and_counts_one_restart(clock: VirtualClock) -> None:
    async with three("one_for_all", clock=clock) as sup:
        with Recorder(sup) as seen:
            await crash(sup["b"])

        assert order_of(seen, *"abc") == [
            "exit b (crash)",
            "exit c (shutdown)",
            "exit a (shutdown)",
            "start a",
            "start b",
            "start c",
        ]
        assert [event["id"] for event in seen.events if event.kind == "restart"] == ["b"]


async def test_S04_the_fourth_crash_within_five_seconds_ends_the_supervisor(clock: VirtualClock) -> None:
    sup = await three(clock=clock).start()
    with Recorder(sup) as seen:
        for _ in range(3):
            await crash(sup["b"])
            clock.advance(1.0)
        assert sup.is_alive

        await crash(sup["b"])

    assert not sup.is_alive
    assert sup.reason == "shutdown"
    assert order_of(seen)[-4:] == ["exit b (crash)", "exit c (shutdown)", "exit a (shutdown)", "exit sup (shutdown)"]
    giveup = seen.find("giveup")
    assert giveup is not None
    assert giveup.address == "sup"
    assert seen.events[giveup.cause - seen.events[0].seq].kind == "exit"


async def test_restarts_older_than_the_period_are_forgotten_and_one_exactly_that_old_counts(clock: VirtualClock) -> None:
    async with three(clock=clock, max_restarts=1, max_seconds=5) as sup:
        await crash(sup["a"])
        clock.advance(5.001)
        await crash(sup["a"])
        assert sup.is_alive

    sup = await three(clock=clock, max_restarts=1, max_seconds=5).start()
    await crash(sup["a"])
    clock.advance(5.0)
    await crash(sup["a"])
    assert not sup.is_alive


@pytest.mark.parametrize(
    ("restart", "reason", "status"),
    [
        ("permanent", "normal", "running"),
        ("permanent", "shutdown", "running"),
        ("transient", "normal", "stopped"),
        ("transient", "shutdown", "stopped"),
        ("transient", Shutdown("x"), "stopped"),
        ("transient", "anything else", "running"),
        ("temporary", "normal", "gone"),
        ("temporary", "anything else", "gone"),
    ],
)
async def test_S07_restart_types_ask_for_the_reason(clock: VirtualClock, restart: str, reason: Any, status: str) -> None:
    async with Supervisor([child(Counter, id="x", restart=restart)], clock=clock, **HERE) as sup:
        old = sup["x"]

        old.cast(lambda agent: Stop(reason))
        await settle()

        infos = {info.id: info for info in sup.children()}
        assert ("x" in infos) == (status != "gone")
        if status != "gone":
            assert infos["x"].status == status
            assert (infos["x"].ref is not None) == (status == "running")
            assert infos["x"].ref is not old


async def test_S07_transient_crash_restarts_and_temporary_crash_forgets(clock: VirtualClock) -> None:
    specs = [child(Counter, id="t", restart="transient"), child(Counter, id="g", restart="temporary")]
    async with Supervisor(specs, clock=clock, **HERE) as sup:
        transient, temporary = sup["t"], sup["g"]

        await crash(transient)
        await crash(temporary)

        assert sup["t"] is not transient
        assert [info.id for info in sup.children()] == ["t"]
        with pytest.raises(KeyError, match="no child 'g'"):
            sup["g"]


async def test_one_for_all_also_starts_the_ended_transient_and_the_child_stopped_by_hand(clock: VirtualClock) -> None:
    specs = [
        child(Counter, id="a"),
        child(Counter, id="t", restart="transient"),
        child(Counter, id="h"),
        child(Counter, id="g", restart="temporary"),
    ]
    async with Supervisor(specs, strategy="one_for_all", clock=clock, **HERE) as sup:
        sup["t"].cast(lambda agent: Stop("normal"))
        await settle()
        await sup.terminate_child("h")
        assert [info.status for info in sup.children()] == ["running", "stopped", "stopped", "running"]

        await crash(sup["a"])

        # the temporary one died as a bystander, and its spec with it
        assert [(info.id, info.status) for info in sup.children()] == [("a", "running"), ("t", "running"), ("h", "running")]


async def test_S12_a_failed_start_stops_the_started_in_reverse_and_leaves_nothing(clock: VirtualClock) -> None:
    class Bad(Agent):
        async def init(self) -> None:
            raise Boom("cannot")

    specs = [child(Counter, id="a", name="a"), child(Counter, id="b", name="b"), child(Bad, id="c", name="c"), child(Counter, id="d")]
    with pytest.raises(StartError) as info:
        await Supervisor(specs, clock=clock, **HERE).start()

    assert info.value.id == "c"
    assert isinstance(info.value.reason, Crash)
    assert isinstance(info.value.__cause__, Boom)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert [whereis(name) for name in "abc"] == [None, None, None]


async def test_S12_the_order_of_a_failed_start_stands_in_the_log(clock: VirtualClock) -> None:
    class Bad(Agent):
        async def init(self) -> None:
            raise Boom("cannot")

    host_for("inline", clock)
    with Recorder() as seen, pytest.raises(StartError):
        await Supervisor([child(Counter, id="a"), child(Counter, id="b"), child(Bad, id="c")], clock=clock, **HERE).start()

    assert order_of(seen, *"abc") == ["start a", "start b", "exit b (shutdown)", "exit a (shutdown)"]


async def test_S13_start_child_with_a_taken_id(clock: VirtualClock) -> None:
    async with three(clock=clock) as sup:
        with pytest.raises(AlreadyStarted) as started:
            await sup.start_child(child(Counter, id="b"))
        assert started.value.ref is sup["b"]

        await sup.terminate_child("b")
        with pytest.raises(AlreadyPresent):
            await sup.start_child(child(Counter, id="b"))

        sup.delete_child("b")
        ref = await sup.start_child(child(Counter, 7, id="b"))
        assert [info.id for info in sup.children()] == ["a", "c", "b"]
        assert await ref.call("get") == 7


async def test_S14_a_child_is_stopped_restarted_and_forgotten_by_hand(clock: VirtualClock) -> None:
    async with three(clock=clock) as sup:
        await sup["b"].call(5)
        with pytest.raises(StillRunning):
            sup.delete_child("b")
        with pytest.raises(StillRunning):
            await sup.restart_child("b")
        with pytest.raises(NotFound, match="did you mean"):
            await sup.terminate_child("bb")

        await sup.terminate_child("b")
        assert sup.count() == (3, 2, 0, 3)
        ref = await sup.restart_child("b")
        assert await ref.call("get") == 0

        for name in "abc":
            await sup.terminate_child(name)
            sup.delete_child(name)
        assert sup.count() == (0, 0, 0, 0)
        with pytest.raises(NotFound):
            sup.delete_child("b")


async def test_terminate_child_does_not_trigger_auto_shutdown(clock: VirtualClock) -> None:
    specs = [child(Counter, id="s", restart="transient", significant=True), child(Counter, id="o")]
    async with Supervisor(specs, auto_shutdown="any_significant", clock=clock, **HERE) as sup:
        await sup.terminate_child("s")
        await settle()
        assert sup.is_alive


async def test_S17_a_child_that_will_not_die_is_fenced_after_its_time() -> None:
    class Deaf(Agent):
        async def handle_cast(self, message: Any) -> None:
            while not message.is_set():
                try:
                    await message.wait()
                except asyncio.CancelledError:
                    pass

    class Slow(Agent):
        async def terminate(self, reason: Any) -> None:
            await asyncio.sleep(0.1)

    let_go = asyncio.Event()
    sup = await Supervisor([child(Slow, id="slow"), child(Deaf, id="deaf", shutdown=1.0)], **HERE).start()
    deaf, slow = sup["deaf"].monitor(), sup["slow"].monitor()
    deaf_ref = sup["deaf"]
    deaf_ref.cast(let_go)
    await settle()

    began = perf_counter()
    await sup.stop()
    took = perf_counter() - began

    assert 1.0 <= took < 1.5 + 1.0  # a second for a busy machine
    assert ((await deaf).reason, (await deaf).zombie) == ("killed", True)
    assert ((await slow).reason, (await slow).zombie) == ("shutdown", False)
    assert deaf_ref.is_zombie
    let_go.set()
    await settle()
    assert not deaf_ref.is_zombie


async def test_S19_shutdown_kill_runs_no_terminate(clock: VirtualClock) -> None:
    said = []

    class Polite(Agent):
        async def terminate(self, reason: Any) -> None:
            said.append(reason)

    sup = await Supervisor([child(Polite, id="p", shutdown="kill")], clock=clock, **HERE).start()
    monitor = sup["p"].monitor()

    await sup.stop()

    assert (await monitor).reason == "killed"
    assert said == []


async def test_S20_the_normal_end_of_a_significant_child_ends_the_supervisor(clock: VirtualClock) -> None:
    specs = [child(Counter, id="a"), child(Counter, id="s", restart="transient", significant=True), child(Counter, id="c")]
    sup = await Supervisor(specs, auto_shutdown="any_significant", clock=clock, name="sup", **HERE).start()
    first = sup["s"]
    await crash(first)
    assert sup.is_alive
    assert sup["s"] is not first

    with Recorder(sup) as seen:
        sup["s"].cast(lambda agent: Stop("normal"))
        await settle()

    assert sup.reason == "shutdown"
    assert order_of(seen) == ["exit s (normal)", "exit c (shutdown)", "exit a (shutdown)", "exit sup (shutdown)"]


async def test_all_significant_waits_for_the_last_one(clock: VirtualClock) -> None:
    specs = [child(Counter, id=name, restart="temporary", significant=True) for name in "ab"]
    sup = await Supervisor(specs, auto_shutdown="all_significant", clock=clock, **HERE).start()

    sup["a"].cast(Boom())
    await settle()
    assert sup.is_alive

    sup["b"].cast(lambda agent: Stop("normal"))
    await settle()
    assert sup.reason == "shutdown"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Supervisor([child(Counter, significant=True)], auto_shutdown="any_significant"), "significant"),
        (lambda: Supervisor([child(Counter, restart="transient", significant=True)]), "auto_shutdown"),
        (lambda: Supervisor([child(Counter, id="x"), child(Counter, id="x")]), "'x'"),
        (lambda: Supervisor([], strategy="one_for_al"), "did you mean 'one_for_all'"),
        (lambda: Supervisor([], auto_shutdown="sometimes"), "auto_shutdown"),
        (lambda: Supervisor([], max_seconds=0), "max_seconds=0"),
        (lambda: Supervisor([], max_seconds=-1), "max_seconds=-1"),
        (lambda: Supervisor([], max_restarts=-1), "max_restarts=-1"),
        (lambda: Supervisor([child(Counter, shutdown=-1)]), "shutdown=-1"),
        (lambda: Supervisor([child(Counter, shutdown="slowly")]), "shutdown='slowly'"),
        (lambda: Supervisor([child(Counter, restart="always")]), "restart='always'"),
        (lambda: Supervisor([42]), "class of an Agent"),
    ],
)
def test_S23_S26_a_bad_spec_is_refused_before_anything_starts(make: Any, told: str) -> None:
    with pytest.raises(BadSpec, match=told):
        make()


async def test_S24_a_nested_supervisor_that_gives_up_is_restarted_by_its_parent(clock: VirtualClock) -> None:
    sup1 = Supervisor([child(Counter, id="x"), child(Counter, id="y")], name="sup1")
    top = Supervisor([sup1, child(Supervisor, [], max_restarts=1, id="sup2")], strategy="one_for_all", clock=clock, name="top", **HERE)
    async with top:
        x, y, sup2 = top["sup1"]["x"], top["sup1"]["y"], top["sup2"]
        p = await sup2.start_child(child(Counter, id="p"))
        await sup2.start_child(child(Counter, id="q"))
        assert sup2.count() == (2, 2, 0, 2)
        assert p.address == "top/sup2/p"

        await crash(sup2["p"])
        await crash(sup2["p"])
        await settle()

        assert top["sup2"] is not sup2
        assert top["sup2"].count() == (0, 0, 0, 0)
        assert {top["sup1"]["x"], top["sup1"]["y"]}.isdisjoint({x, y})
        assert top.count() == (2, 2, 2, 0)
        assert sup1["x"] is top["sup1"]["x"]


async def test_S27_the_body_raises_so_the_children_stop_first(clock: VirtualClock) -> None:
    host_for("inline", clock)
    with pytest.raises(ValueError, match="mine"), Recorder() as seen:
        async with three(clock=clock):
            raise ValueError("mine")

    assert order_of(seen, *"abc")[3:] == ["exit c (shutdown)", "exit b (shutdown)", "exit a (shutdown)"]


async def test_S27_the_supervisor_gives_up_so_the_body_is_cancelled(clock: VirtualClock) -> None:
    was_cancelled = []

    async def body() -> None:
        async with three(clock=clock, max_restarts=0) as sup:
            sup["a"].cast(Boom())
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                was_cancelled.append(True)
                raise

    with pytest.raises(SupervisorExit) as info:
        await body()

    assert was_cancelled
    assert info.value.reason == "shutdown"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_stop_inside_the_body_lets_the_body_go_on(clock: VirtualClock) -> None:
    async with three(clock=clock) as sup:
        await sup.stop()
        await settle()
        went_on = True

    assert went_on
    assert sup.reason == "normal"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_S29_whatever_a_handler_raises_is_a_crash_of_that_child_only(clock: VirtualClock, error: BaseException) -> None:
    async with three(clock=clock) as sup:
        a, b = sup["a"], sup["b"]

        down = await crash(b, error)

        assert isinstance(down.reason, Crash)
        assert down.reason.error is error
        assert sup["a"] is a
        assert sup["b"] is not b
        assert await sup["b"].call("get") == 0


async def test_a_child_that_fails_to_restart_is_retried_between_the_messages(clock: VirtualClock) -> None:
    async with Supervisor([child(Failing, id="f"), child(Counter, id="c")], clock=clock, max_restarts=5, **HERE) as sup:
        Failing.left = 3
        with Recorder(sup) as seen:
            await crash(sup["f"])

        assert [event["attempt"] for event in seen.events if event.kind == "restart"] == [1, 2, 3, 4]
        assert sup["f"].is_alive
        assert sup.children()[0].restarts == 4


async def test_terminate_child_ends_the_retries(clock: VirtualClock) -> None:
    class Gated(Agent):
        is_open = True
        gate: Any = None

        async def init(self) -> None:
            if not Gated.is_open:
                await Gated.gate.wait()
                raise Boom("still shut")

        async def handle_cast(self, message: BaseException) -> None:
            raise message

    Gated.gate = asyncio.Event()
    async with Supervisor([child(Gated, id="g")], clock=clock, max_restarts=100, **HERE) as sup:
        Gated.is_open = False
        sup["g"].cast(Boom())
        await settle()
        ending = asyncio.create_task(sup.terminate_child("g"))
        deleting = pytest.raises(Restarting)
        await settle()
        with deleting:
            sup.delete_child("g")
        assert sup.children()[0].status == "restarting"

        Gated.gate.set()
        await ending

        assert sup.children()[0].status == "stopped"
        await settle()
        assert sup.children()[0].status == "stopped"


async def test_rest_for_one_keeps_the_restarted_and_goes_on_from_the_failed_one(clock: VirtualClock) -> None:
    specs = [child(Counter, id="a"), child(Counter, id="b"), child(Failing, id="f"), child(Counter, id="d")]
    async with Supervisor(specs, strategy="rest_for_one", clock=clock, **HERE) as sup:
        Failing.left = 1
        with Recorder(sup) as seen:
            await crash(sup["b"])

        assert order_of(seen) == [
            "exit b (crash)",
            "exit d (shutdown)",
            "exit f (shutdown)",
            "start b",
            "start f",
            "start d",
        ]


async def test_one_for_all_stops_the_restarted_again_when_one_fails(clock: VirtualClock) -> None:
    specs = [child(Counter, id="a"), child(Failing, id="f"), child(Counter, id="c")]
    async with Supervisor(specs, strategy="one_for_all", clock=clock, **HERE) as sup:
        Failing.left = 1
        with Recorder(sup) as seen:
            await crash(sup["a"])

        assert order_of(seen) == [
            "exit a (crash)",
            "exit c (shutdown)",
            "exit f (shutdown)",
            "start a",
            "exit a (shutdown)",
            "start a",
            "start f",
            "start c",
        ]


async def test_a_trapping_child_handles_what_came_before_the_shutdown(clock: VirtualClock) -> None:
    ends = {}

    class Keeps(Traps):
        async def terminate(self, reason: Any) -> None:
            ends["trapping"] = self.n

    class Drops(Counter):
        async def terminate(self, reason: Any) -> None:
            ends["not trapping"] = self.n

    gate = asyncio.Event()
    sup = await Supervisor([child(Keeps, id="k"), child(Drops, id="d")], clock=clock, **HERE).start()
    for name in "kd":
        sup[name].cast(lambda agent: nothing_after(gate))
        for _ in range(5):
            sup[name].cast(1)
    await settle()

    stopping = asyncio.create_task(sup.stop())
    await settle()
    gate.set()
    await stopping

    assert ends == {"trapping": 5, "not trapping": 0}


async def test_a_killed_supervisor_takes_its_children_along(clock: VirtualClock) -> None:
    sup = await Supervisor([child(Counter, id="a"), child(Supervisor, [child(Counter, id="x")], id="s")], clock=clock, **HERE).start()
    a, inner, x = sup["a"].monitor(), sup["s"].monitor(), sup["s"]["x"].monitor()

    sup.exit("kill")
    await settle()

    assert sup.reason == "killed"
    # the inner supervisor hears the signal and still ends its own children in an orderly way
    assert [(await monitor).reason for monitor in (a, inner, x)] == ["killed", "killed", "shutdown"]


async def test_a_supervisor_as_an_agents_child_of_many_levels_stops_in_order(clock: VirtualClock) -> None:
    inner = Supervisor([child(Counter, id="x"), child(Counter, id="y")], name="inner")
    sup = await Supervisor([child(Counter, id="a"), inner, child(Counter, id="b")], clock=clock, name="sup", **HERE).start()
    with Recorder(sup) as seen:
        await sup.stop()

    assert [text.split(" (")[0] for text in order_of(seen)] == ["exit b", "exit y", "exit x", "exit inner", "exit a", "exit sup"]


async def test_events_are_a_list_and_an_iterator_that_ends_with_the_supervisor(clock: VirtualClock) -> None:
    sup = await three(clock=clock).start()
    heard = []

    async def listen() -> None:
        async for event in sup.events:
            heard.append(f"{event.kind} {event['id']}")

    listening = asyncio.create_task(listen())
    await settle()
    await sup.stop()
    await listening

    assert heard[:4] == ["start a", "start b", "start c", "start sup"]
    assert heard[-1] == "exit sup"
    assert sup.events[-1].kind == "exit"
    assert [event.seq for event in sup.events] == sorted(event.seq for event in sup.events)


async def test_the_supervisor_lives_on_the_engine_thread_unless_told_otherwise() -> None:
    async with Supervisor([child(Counter, id="a")]) as sup:
        first = sup["a"]
        with Recorder(sup) as seen:
            first.cast(Boom())
            await seen.until("start", "a")
        assert sup["a"] is not first
        assert await sup["a"].call(3) == 3
        await sup.terminate_child("a")
        sup.delete_child("a")
        assert sup.count() == (0, 0, 0, 0)


async def test_dynamic_children_can_be_supervisors(clock: VirtualClock) -> None:
    async with DynamicSupervisor(clock=clock, **HERE) as ds:
        ref = await ds.start_child(child(Supervisor, [child(Counter, 4, id="x")]))
        assert await ref["x"].call("get") == 4
        assert ds.count() == (1, 1, 1, 0)
