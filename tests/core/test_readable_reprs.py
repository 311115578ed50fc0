"""What things say of themselves: one short line each, with units."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pocketflex_nb import Flow, Run, RunGroup, Store, ask, emit, launch, linear, node
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import NodeState, Span, State

_TIME = r"[0-9.]+ (µs|ms|s)"


def _report() -> Run:
    @node
    def draft(shared: Any) -> None:
        emit("usage", tokens=1234, cost=0.5)
        shared["text"] = "x" * 5_000

    return launch(linear(draft, node(lambda shared: None)), {"text": ""}, name="report", show=False).wait(20)


_RUN = _report()
_GROUP = launch([Flow(node(lambda shared: None))] * 2, name="many", show=False).wait(20)
_FAILED = launch(Flow(node(lambda shared: 1 / 0)), name="bad", show=False).wait(20)
_THINGS: dict[str, tuple[Any, str]] = {
    "run": (_RUN, rf"<Run 'report[^']*' done, 2 steps, {_TIME}>"),
    "failed run": (_FAILED, rf"<Run 'bad[^']*' failed, 1 step, {_TIME}: ZeroDivisionError>"),
    "group": (_GROUP, rf"<RunGroup 'many', 2 runs: 2 done, {_TIME}>"),
    "state": (_RUN.state(), rf"<State of 'report[^']*' done, 2 steps, 2 nodes, {_TIME}, 1,234 tokens, cost 0.5>"),
    "failed state": (_FAILED.state(), rf"<State of 'bad[^']*' failed, 1 step, 1 node, {_TIME}: .*division by zero.*>"),
    "node state": (_RUN.state().nodes["draft"], rf"<NodeState done, 1 visit, {_TIME}>"),
    "span": (_RUN.state().spans[0], rf"<Span \S+/draft#1 {_TIME} -> default>"),
    "event": (_RUN.events[0], r"<Event 0 run_started \S+: .*name='report.*>"),
    "store event": (next(e for e in _RUN.events if e.kind == "store_changed"), r"<Event \d+ store_changed \S+/draft#1: 1 change: 'text'>"),
    "change": (_RUN.store.history("text")[-1], r"<Change 'text' version 1: '' -> 'x+….*, by report\S*/draft step 1, \d\d:\d\d:\d\d UTC>"),
    "written": (_RUN.store.who("text"), r"<Written version 1 by report\S*/draft step 1, \d\d:\d\d:\d\d UTC>"),
    "usage": (_RUN.usage, r"<Usage 1,234 tokens, cost 0.5>"),
    "graph": (_RUN.graph, r"<Graph 'report[^']*', 2 nodes, 1 edge>"),
    "difference": (_RUN.store.diff(0, 1)[0], r"<Difference text \w+: '' -> 'x+….*>"),
    "watch": (Store().watch("a"), r"<Watch of 'a', 0 changes unread>"),
    "lock": (Store().lock("a"), r"<Lock 'a', free>"),
    "stream": (_RUN.stream(), r"<EventStream of 1 run, \d not over>"),
}


@pytest.mark.parametrize("kind", _THINGS)
def test_a_thing_says_in_one_short_line_what_it_is(kind: str) -> None:
    thing, form = _THINGS[kind]

    said = repr(thing)

    assert re.fullmatch(form, said), said
    assert len(said) < 300


@pytest.mark.parametrize("error", ["", "\n", "first\nsecond"])
def test_an_error_in_a_short_line_is_its_first_line(error: str) -> None:
    for thing in (NodeState("failed", error=error), State(run="a", error=error)):
        assert "\n" not in repr(thing) and "second" not in repr(thing)


def test_spans_that_failed_or_were_cancelled_say_so() -> None:
    assert repr(Span(0, "a", "f/a#1", 0, 2_000_000_000, failed=True)) == "<Span f/a#1 2 s failed>"
    assert repr(Span(0, "a", "f/a#1", 0, 75_000_000_000, cancelled=True)) == "<Span f/a#1 1 min 15 s cancelled>"


def test_an_event_with_a_large_or_broken_value_stays_short() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    event = Event(3, 0, "mine", "run", data={"big": "x" * 100_000, "broken": Broken(), "nothing": None})

    assert len(repr(event)) < 300 and "nothing" not in repr(event)


def test_a_run_under_way_says_where_it_is_and_its_question_is_readable() -> None:
    @node
    async def publish(shared: Any) -> None:
        await ask("Publish?", choices=["yes", "no"])

    run = launch(Flow(publish), name="asking", show=False)
    try:
        question = run.asking()
        assert re.fullmatch(rf"<Run 'asking[^']*' asking at publish, 0 steps, {_TIME}>", repr(run)), repr(run)
        assert re.fullmatch(r"<Question 1 'Publish\?' of 'asking[^']*', choices 'yes', 'no'>", repr(question)), repr(question)
    finally:
        run.cancel()
        run.wait(20)


def test_a_group_that_is_empty_says_so() -> None:
    assert repr(RunGroup([], name="none")) == "<RunGroup 'none', 0 runs>"
