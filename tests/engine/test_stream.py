"""One follows a run, or many, from the first event to the last, however late one comes; what was spent and said is at hand."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Run, emit, launch, node, replay, runs
from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.runs.run import lifecycle_of, rows_of
from tests.engine.conftest import Way


class Says(Node):
    def exec(self, prep_res: Any) -> None:
        for word in ("one", "two", "three"):
            emit("token", word)


def told(run: Any, *kinds: Any, **options: Any) -> list[Event]:
    """What a stream of `run` gives, to its end."""

    async def follow() -> list[Event]:
        async with asyncio.timeout(60):
            return [event async for event in run.stream(*kinds, **options)]

    return asyncio.run(follow())


def gated() -> tuple[Flow, threading.Event, threading.Event]:
    """A flow that says a word, waits for a gate, and says another."""
    begun, go = threading.Event(), threading.Event()

    @node
    async def waits(shared: Any) -> None:
        emit("token", "before")
        begun.set()
        await asyncio.to_thread(go.wait, 20)
        emit("token", "after")

    return Flow(waits), begun, go


# from the first to the last ------------------------------------------------------------------------------------------
def test_a_stream_tells_every_event_in_order_and_ends() -> None:
    run = Flow(Says()).launch({}, show=False)

    events = told(run)

    assert [e.seq for e in events] == list(range(len(events)))
    assert (events[0].kind, events[-1].kind) == ("run_started", "run_finished")
    assert [e["text"] for e in events if e.kind == "output"] == ["one", "two", "three"]
    assert replay(events) == run.state()


def test_a_stream_that_begins_in_the_middle_tells_the_beginning_too() -> None:
    flow, begun, go = gated()
    run = flow.launch({}, show=False)
    assert begun.wait(20)

    async def follow() -> list[str]:
        words = []
        async for event in run.stream("token"):
            words.append(event["text"])
            go.set()
        return words

    assert asyncio.run(follow()) == ["before", "after"]


def test_a_stream_after_the_end_tells_all_of_it(walk: Way) -> None:
    walk(Flow(Says()), {})

    events = told(runs()[-1])

    assert events == runs()[-1].events
    assert events[-1].kind == "run_finished"


@pytest.mark.parametrize("ends", ["failed", "cancelled", "cancelled before it began"])
def test_a_stream_ends_however_the_run_ends(ends: str) -> None:
    @node
    async def fails(shared: Any) -> None:
        emit("token", "0")
        if ends == "failed":
            raise ValueError("boom")
        await asyncio.Event().wait()

    run = Flow(fails).launch({}, show=False)
    if ends == "cancelled before it began":
        run.cancel()

    async def follow() -> list[Event]:
        events = []
        async with asyncio.timeout(20):
            async for event in run.stream():
                events.append(event)
                if event.kind == "output" and ends == "cancelled":
                    run.cancel()
        return events

    events = asyncio.run(follow())
    assert (events[-1].kind, events[-1]["status"]) == ("run_finished", ends.split()[0])


def test_several_streams_of_one_run_tell_the_same() -> None:
    flow, begun, go = gated()
    run = flow.launch({}, show=False)

    async def follow() -> list[list[int]]:
        async def one(delay: bool) -> list[int]:
            if delay:
                await asyncio.to_thread(begun.wait, 20)
                go.set()
            return [event.seq async for event in run.stream()]

        return await asyncio.gather(*(one(n % 2 == 1) for n in range(6)))

    first, *others = asyncio.run(follow())
    assert first == list(range(len(run.events)))
    assert all(other == first for other in others)


def test_a_long_run_is_streamed_whole() -> None:
    class Loop(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 15_000 else "over"

    loop = Loop()
    loop - "again" >> loop
    loop - "over" >> Node()
    begun = threading.Event()

    @node
    async def first(shared: Any) -> None:
        await asyncio.to_thread(begun.wait, 20)

    first >> loop
    run = Flow(first).launch({}, show=False)

    async def follow() -> int:
        stream = run.stream("node_finished")
        begun.set()
        return sum([1 async for _ in stream])

    assert asyncio.run(follow()) == 15_002


def test_nothing_is_lost_in_ten_thousand_quick_runs() -> None:
    class Quick(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            emit("token", "x")

    group = Flow(Quick()).launch_each("n", range(10_000), show=False)

    events = told(group)

    seen: dict[str, list[Event]] = {}
    for event in events:
        seen.setdefault(event.run, []).append(event)
    assert len(seen) == 10_000
    for of_run in seen.values():
        assert [e.seq for e in of_run] == list(range(len(of_run)))
        assert [e.kind for e in of_run if e.kind != "node_started"] == ["run_started", "output", "node_finished", "run_finished"]


def test_an_empty_groups_stream_ends_at_once() -> None:
    assert told(launch([], show=False)) == []


def test_a_groups_stream_tells_of_runs_that_wait_for_their_turn_and_of_those_that_never_get_one() -> None:
    @node
    async def fails(shared: Any) -> None:
        raise ValueError("boom")

    group = Flow(fails).launch_each("n", range(5), max_concurrency=1, on_error="stop", show=False)

    ends = [e["status"] for e in told(group, "run_finished")]

    assert sorted(ends) == ["cancelled"] * 4 + ["failed"]


# which events --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kinds", "right"), [
    (("token",), ["one", "two", "three"]), (("output",), ["one", "two", "three"]), ((["token", "usage"],), ["one", "two", "three"]),
    (("token", "usage"), ["one", "two", "three"]), (("print",), []), (("nothing",), []),
])
def test_a_stream_is_filtered_by_kind(kinds: Any, right: list[str]) -> None:
    events = told(Flow(Says()).launch({}, show=False), *kinds)

    assert [e["text"] for e in events] == right


def test_a_stream_goes_on_behind_an_event_or_from_a_number() -> None:
    run = Flow(Says()).launch({}, show=False)
    run.result(20)
    events = run.events

    assert told(run, since=3) == events[3:]
    assert told(run, since=events[3]) == events[4:]
    assert told(run, since=1_000) == []


@pytest.mark.parametrize("nested", [True, False])
def test_runs_inside_are_told_unless_they_are_not_wanted(nested: bool) -> None:
    class Survey(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            await launch(Flow(Flow(Says(), name="deep"), name="reader"), show=False)
            await Flow(Says(), name="other").run_async({})

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None: ...

    run = Flow(Survey(), name="outer").launch({}, show=False)

    tokens = told(run, "token", nested=nested)

    assert [e["text"] for e in tokens] == (["one", "two", "three"] * 2 if nested else [])
    assert {e.address for e in tokens} == ({"outer/Survey#1/reader#1/deep#1/Says#1", "outer/Survey#1/other#1/Says#1"} if nested else set())


# who leaves ----------------------------------------------------------------------------------------------------------
def test_who_breaks_off_follows_no_longer_and_the_run_goes_on() -> None:
    flow, _, go = gated()
    run = flow.launch({}, show=False)

    async def follow() -> None:
        async for _ in run.stream("token"):
            break
        gc.collect()
        assert not lifecycle_of(run).ensure_controller().subscribers.fns
        stream = run.stream()
        await stream.aclose()
        assert [event async for event in stream] == []
        assert not lifecycle_of(run).ensure_controller().subscribers.fns

    asyncio.run(follow())
    go.set()
    assert run.wait(20).status == "done"


@pytest.mark.parametrize("in_cell", [False, True])
def test_a_cancelled_reader_ends_the_run_in_a_cell_only(in_cell: bool) -> None:
    flow, begun, go = gated()
    run = flow.launch({}, show=False)

    async def follow() -> None:
        if in_cell:
            CURRENT_CELL.set("a cell")
        reader = asyncio.ensure_future(_exhaust(run))
        await asyncio.to_thread(begun.wait, 20)
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(follow())
    go.set()
    assert run.wait(20).status == ("cancelled" if in_cell else "done")


async def _exhaust(run: Run) -> None:
    async for _ in run.stream():
        pass


def test_a_stream_tells_at_once_what_has_happened() -> None:
    flow, _, go = gated()
    run = flow.launch({}, show=False)

    async def follow() -> float:
        async for event in run.stream("token"):
            if event["text"] == "after":
                return time.time() - event.time
            go.set()
        raise AssertionError("the word was never told")

    assert asyncio.run(follow()) < 2


# what was spent and said ---------------------------------------------------------------------------------------------
def spending() -> Flow:
    @node
    async def spends(shared: Any) -> None:
        emit("usage", tokens=100, cost=0.25)
        emit("usage", tokens=20)
        emit("message", "hello", role="user")
        emit("message", "hi", role="assistant", calls=[{"name": "search"}])

    return Flow(spends)


def test_usage_and_messages_are_at_hand(walk: Way) -> None:
    walk(spending(), {})
    run = runs()[-1]

    assert (run.usage.tokens, run.usage.cost) == (120, 0.25)
    assert (run.usage["tokens"], run.usage["cost"]) == (120, 0.25)
    with pytest.raises(KeyError):
        run.usage["tokenz"]
    assert run.messages == [{"role": "user", "text": "hello"}, {"role": "assistant", "text": "hi", "calls": [{"name": "search"}]}]


def test_a_run_that_told_nothing_spent_and_said_nothing() -> None:
    run = Flow(Says()).launch({}, show=False)
    run.result(20)

    assert (run.usage.tokens, run.usage.cost, run.messages) == (0, 0.0, [])


def test_usage_counts_runs_inside_and_stays_exact_when_old_events_are_dropped() -> None:
    class Many(Node):
        def exec(self, prep_res: Any) -> None:
            for _ in range(30_000):
                emit("usage", tokens=1)
            spending().run({})

    group = launch([Flow(Many()), spending()], show=False).wait(60)

    assert [run.usage.tokens for run in group] == [30_120, 120]
    assert (group.usage.tokens, group.usage.cost) == (30_240, 0.5)
    assert [message["text"] for message in group[0].messages] == ["hello", "hi"]


# kinds of one's own --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["custom", "score", "shop.order", "my:tokens", "plan/step", "message", "tool", "info", "blog", "über"])
def test_a_kind_of_ones_own_is_an_event_with_its_fields(kind: str, walk: Way) -> None:
    @node
    def tells(shared: Any) -> None:
        emit(kind, "text", value=3, cause="none", run="mine", node="n", stream="s")

    walk(Flow(tells), {})
    run = runs()[-1]

    (event,) = [e for e in run.events if e.kind == kind]
    assert event.data == {"text": "text", "value": 3, "cause": "none", "run": "mine", "node": "n", "stream": "s"}
    assert event.node == "tells"
    assert run.state().status == "done"
    (row,) = [row for row in rows_of(run) if row["kind"] == kind]
    assert (row["run"], row["value"]) == (run.name, 3)
    assert told(run, kind) == [event]


@pytest.mark.parametrize("kind", ["run_finished", "node_started", "child_started", "output", "asked", "store_changed", "run_mine"])
def test_a_kind_of_the_engines_is_refused_with_the_mend(kind: str) -> None:
    with pytest.raises(ValueError, match=f"'my\\.{kind}'"):
        emit(kind)


@pytest.mark.parametrize("kind", ["tokens", "tokn", "Token", "usages", "progres", "logs", "LOG", ""])
def test_a_misspelt_kind_is_refused_with_the_nearest(kind: str) -> None:
    with pytest.raises(ValueError, match=r"token|usage|progress|log"):
        emit(kind)


@pytest.mark.parametrize("kind", [None, 3, b"token"])
def test_a_kind_that_is_no_text_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="the kind is a text"):
        emit(kind)
