"""What a trace shows of messages and lives."""

from __future__ import annotations

from typing import Any

import pytest

from pocketflex_nb.agents import Agent, AgentDown, Supervisor, child, handles, poll_many, spawn, trace
from pocketflex_nb.agents.host import agent_host
from pocketflex_nb.agents.protocol.tree_position import AGENT_INFOS
from pocketflex_nb.core import ports
from pocketflex_nb.testing import VirtualClock, settle
from pocketflex_nb.views.diagrams.sequence import sequence_svg, steps_of
from tests.agents import fakes
from tests.agents.fakes import HERE, Boom, Counter, crash


class Asks(Agent):
    """Asks a counter."""

    async def init(self, other: str) -> None:
        self.other = other

    @handles.call
    async def ask(self, n: int) -> Any:
        from pocketflex_nb.agents import call, cast

        cast(self.other, 1)
        return await call(self.other, n)


async def test_a_trace_holds_the_messages_of_its_tree_with_causes(clock: VirtualClock) -> None:
    async with Supervisor([child(Counter, id="c", name="c"), child(Asks, "c", id="a")], name="sup", clock=clock, **HERE) as sup:
        outsider = await Counter.start(name="outsider", **HERE)
        with trace(sup) as t:
            assert await sup["a"].ask(5) == 6
            await outsider.call(1)
            await crash(sup["c"])
        await sup["a"].ask(1)
        await outsider.stop()

    told = [(event.kind, event.get("from"), event.get("to")) for event in t.events if event.kind in ("call", "cast", "reply")]
    assert told == [
        ("call", "", "sup/a"),
        ("cast", "sup/a", "sup/c"),
        ("call", "sup/a", "sup/c"),
        ("reply", "sup/c", "sup/a"),
        ("reply", "sup/a", ""),
        ("cast", "", "sup/c"),
    ]
    by_seq = {event.seq: event for event in t.events}
    first = t.events[0]
    assert first["what"] == "ask(5)"
    assert first.run == "sup"
    for event in t.events[1:5]:
        assert event.cause in by_seq
    assert by_seq[t.events[3].cause].kind == "call"  # the reply's cause is its call
    assert t.events[4]["seconds"] >= 0
    exit_event = next(event for event in t.events if event.kind == "exit")
    restart = next(event for event in t.events if event.kind == "restart")
    start = next(event for event in t.events if event.kind == "start")
    assert by_seq[exit_event.cause].kind == "cast"  # who sent it
    assert restart.cause == exit_event.seq
    assert start.cause == restart.seq
    assert exit_event["error"] == "Boom: crashed on purpose"
    assert exit_event["where"].startswith(fakes.__file__)
    assert all(event.time > 1.7e9 for event in t.events)
    assert [event.seq for event in t.events] == sorted(by_seq)


async def test_messages_are_only_labelled_when_nobody_traces(clock: VirtualClock) -> None:
    async with Supervisor([child(Counter, id="c")], clock=clock, **HERE) as sup:
        big = [0] * 100_000
        with pytest.raises(AgentDown):
            await sup["c"].call(big)
        await settle()
        event = next(event for event in sup.events if event.kind == "call")
        assert event["what"] == "list"
        with trace() as t:
            sup["c"].cast({"a": 1})
            await settle()
        assert any(event.get("what") == "{'a': 1}" for event in t.events)


async def test_the_agents_own_trace_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    ref = await Counter.start(name="c", **HERE)
    with caplog.at_level("INFO", "pocketflex_nb"):
        ref.trace(True)
        await ref.call(1)
        ref.trace(False)
        await ref.call(1)
    assert len(caplog.records) == 2
    assert "call c" in caplog.text
    await ref.stop()


async def test_to_mermaid_goes_through_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = await Counter.start(**HERE)
    with trace(ref) as t:
        await ref.call(1)
    await ref.stop()
    monkeypatch.setattr(ports, "export", None)
    with pytest.raises(RuntimeError, match="import pocketflex_nb"):
        t.to_mermaid()
    monkeypatch.setattr(ports, "export", lambda thing, form, **options: f"{form} of {len(thing.events)}")
    assert t.to_mermaid() == "mermaid of 2"


async def test_the_rings_are_bounded_and_a_flood_of_messages_keeps_the_lives(clock: VirtualClock) -> None:
    from pocketflex_nb.agents.host.agent_log import TRAFFIC

    async with Supervisor([child(Counter, id="c")], clock=clock, **HERE) as sup:
        await crash(sup["c"], Boom())
        ref = sup["c"]
        for _ in range(TRAFFIC + 1000):
            ref.cast(1)
        await ref.call("get", timeout=None)
        kinds = [event.kind for event in sup.events]
        assert len(kinds) <= TRAFFIC + 20
        assert kinds.count("restart") == 1
        assert kinds[0] == "start"


async def test_the_log_keeps_nothing_of_a_dead_agent_alive(clock: VirtualClock) -> None:
    import gc
    import weakref

    class Data:
        pass

    class Holder(Counter):
        async def init(self, n: int = 0) -> None:
            self.data = Data()
            alive.append(weakref.ref(self.data))

    alive: list[Any] = []
    async with Supervisor([child(Holder, id="h", restart="temporary")], clock=clock, **HERE) as sup:
        await crash(sup["h"])
        await settle()
        gc.collect()
        assert alive[0]() is None
        assert [event["error"] for event in sup.events if event.kind == "exit"] == ["Boom: crashed on purpose"]


async def test_the_snapshot_tells_the_whole_tree(clock: VirtualClock) -> None:
    inner = Supervisor([child(Counter, id="x")], name="inner", strategy="one_for_all")
    async with Supervisor([child(Counter, id="a"), inner], name="sup", clock=clock, **HERE) as sup:
        await crash(sup["a"])
        tree = sup.tree()
        assert (tree["id"], tree["strategy"], [c["id"] for c in tree["children"]]) == ("sup", "one_for_one", ["a", "inner"])
        a, nested = tree["children"]
        assert (a["restarts"], a["error"], a["status"]) == (1, "crash: Boom: crashed on purpose", "running")
        assert nested["children"][0]["address"] == "sup/inner/x"
        assert nested["strategy"] == "one_for_all"


async def test_messages_to_the_dead_keep_their_names_while_the_log_holds_them(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_host, "INFO_LIMIT", 10)
    monkeypatch.setattr(agent_host, "_info_limit", 10)
    async with Supervisor([], name="sup", clock=clock, **HERE) as sup:
        for number in range(50):
            ref = await sup.start_child(child(Counter, id=f"c{number}", restart="temporary"))
            await ref.call(1)
            await sup.terminate_child(f"c{number}")
        told = [event["to"] for event in sup.events if event.kind == "call" and event["to"] != "sup"]
        assert told == [f"sup/c{number}" for number in range(50)]

        ref._incarnation.log.traffic.clear()
        before = len(AGENT_INFOS)
        for number in range(before + 20):
            await sup.start_child(child(Counter, id=f"d{number}", restart="temporary"))
            await sup.terminate_child(f"d{number}")
        assert len(AGENT_INFOS) < before + 20  # nothing names them any more


async def test_a_trace_of_tasks_shows_who_owns_them_and_what_they_give() -> None:
    class Boss(Agent):
        async def handle_call(self, message: Any, caller: Any) -> Any:
            tasks = [spawn(double, message), spawn(fail, link=False)]
            await tasks[0]
            await poll_many(tasks)
            return None

    async def double(n: int) -> dict[str, int]:
        return {"twice": 2 * n}

    async def fail() -> None:
        raise ValueError("no")

    boss = await Boss.start(name="boss", engine="inline")
    with trace(boss) as seen:
        await boss.call(3)
    await spawn(double, 4, engine="inline")
    await boss.stop()

    told = {(e.kind, e["id"].rpartition("-")[0]): e for e in seen.events if e.kind in ("start", "exit")}
    assert {e["owner"] for e in told.values()} == {"boss"}
    assert told["exit", "double"]["value"] == "{'twice': 6}"
    assert "value" not in told["exit", "fail"].data
    rows = [(s.source.split("-")[0], s.target.split("-")[0], s.text) for s in steps_of(seen.events) if s.kind in ("start", "exit")]
    name = "test_a_trace_of_tasks_shows_who_owns_them_and_what_they_give.<locals>."
    assert ("boss", "boss/double", f"spawn {name}double") in rows
    assert ("boss/double", "boss", "value {'twice': 6}") in rows
    assert ("boss/fail", "boss", "ends ValueError: no") in rows
    drawn = seen.to_mermaid()
    assert "value" in drawn
    assert "-)" in drawn
    assert "value" in sequence_svg(seen.events)
