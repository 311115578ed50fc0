"""Who hears what happens? Subscribers of one run, and of all."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, ask, current, emit, launch, node, replay, runs
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.lane_text import TOKENS
from pocketflex_nb.core.state import State
from pocketflex_nb.engine.records.frame import KEPT_RECORDS, TRIM_AT, WIDTH
from pocketflex_nb.engine.runs.run import lifecycle_of, subscribe
from tests.engine.conftest import Way


def steps() -> Flow:
    @node
    def one(shared: Any) -> None:
        emit("token", "hello")

    @node
    async def two(shared: Any) -> None:
        emit("usage", tokens=5)

    one >> two
    return Flow(one, name="told")


def test_a_subscriber_of_all_hears_every_event_of_a_run_in_order(walk: Way) -> None:
    heard: list[Event] = []
    stop = subscribe(heard.append)

    try:
        walk(steps(), {})
    finally:
        stop()

    assert [e.seq for e in heard] == list(range(len(heard)))
    assert [e.kind for e in heard] == [
        "run_started", "node_started", "output", "node_finished", "node_started", "usage", "node_finished", "run_finished"
    ]


def test_what_was_heard_replays_to_the_runs_state() -> None:
    heard: list[Event] = []
    stop = subscribe(heard.append)
    run = steps().launch({}, show=False)
    run.result(10)
    stop()

    assert replay(heard) == run.state()


def test_who_stopped_hears_no_more(walk: Way) -> None:
    heard: list[Event] = []
    subscribe(heard.append)()

    walk(steps(), {})

    assert heard == []


def test_a_question_is_heard_while_it_is_open() -> None:
    @node
    def asks(shared: Any) -> Any:
        return ask("go on?", ["yes", "no"])

    run = Flow(asks).launch({}, show=False)
    stop = subscribe(lambda e: None)
    stop()
    open_question = threading.Event()
    run.subscribe(lambda e: open_question.set() if e.kind == "asked" else None)
    if run.state().asking:
        open_question.set()

    assert open_question.wait(10)
    run.answer("yes")
    assert run.result(10) == "yes"


def test_a_subscriber_that_comes_late_hears_from_the_first_event_on() -> None:
    gate, begun = threading.Event(), threading.Event()

    @node
    def first(shared: Any) -> None:
        begun.set()
        gate.wait(10)

    @node
    def second(shared: Any) -> None: ...

    first >> second
    heard: list[str] = []
    run = Flow(first).launch({}, show=False)
    assert begun.wait(10)

    run.subscribe(lambda e: heard.append(f"{e.kind} {e.node}".strip()))
    assert heard == ["run_started"]
    gate.set()
    run.result(10)

    assert heard == ["run_started", "node_finished first", "node_started second", "node_finished second", "run_finished"]


def test_a_subscriber_that_comes_after_the_end_hears_all_of_it(walk: Way) -> None:
    heard: list[Event] = []
    walk(steps(), {})
    run = runs()[-1]

    run.subscribe(heard.append)

    assert heard == run.events
    assert [e.kind for e in heard] == ["run_started", "output", "node_finished", "usage", "node_finished", "run_finished"]


def test_subscribers_that_come_one_after_the_other_hear_the_same() -> None:
    go = threading.Event()

    class Loop(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            go.wait(10)
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 500 else "over"

    loop = Loop()
    loop - "again" >> loop
    loop - "over" >> Node()
    run = Flow(loop).launch({}, show=False)
    heard: list[list[int]] = [[] for _ in range(8)]

    def come(late: list[int]) -> None:
        run.subscribe(lambda event: late.append(event.seq))

    threads = [threading.Thread(target=come, args=(late,)) for late in heard]
    for thread in threads:
        thread.start()
        go.set()
    for thread in threads:
        thread.join(10)
    run.result(20)

    assert all(late == list(range(len(run.events))) for late in heard)


def test_a_subscriber_may_bring_another_that_hears_everything_too() -> None:
    first: list[int] = []
    second: list[int] = []
    run = steps().launch({}, show=False)

    def hear(event: Event) -> None:
        first.append(event.seq)
        if event.seq == 2:
            run.subscribe(lambda later: second.append(later.seq))

    run.subscribe(hear)
    run.result(10)

    assert first == second == list(range(len(run.events)))


def test_a_subscriber_that_raises_is_reported_and_ends_nothing(walk: Way, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def bad(event: Event) -> None:
        raise ValueError("deaf")

    stops = [subscribe(bad), subscribe(heard.append)]
    try:
        walk(steps(), {})
    finally:
        for stop in stops:
            stop()

    assert heard[-1].kind == "run_finished"
    assert "deaf" in caplog.text
    assert sum("hears no more" in record.message for record in caplog.records) == 1


def test_a_subscriber_may_emit_itself(walk: Way) -> None:
    heard: list[str] = []

    def echo(event: Event) -> None:
        heard.append(event.kind)
        if event.kind == "usage":
            emit("log", "seen")

    stop = subscribe(echo)
    try:
        walk(steps(), {})
    finally:
        stop()

    assert heard.count("output") == 2
    assert heard.index("usage") < len(heard) - 1 - heard[::-1].index("output")


def test_a_long_run_is_told_whole_though_old_records_are_dropped() -> None:
    count = [0]
    kinds = {"node_finished": 0}

    class Loop(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            count[0] += 1
            return "again" if count[0] < 25_000 else "over"

    loop = Loop()
    loop - "again" >> loop
    loop - "over" >> Node()

    def hear(event: Event) -> None:
        if event.kind in kinds:
            kinds[event.kind] += 1

    stop = subscribe(hear)
    try:
        Flow(loop).run({})
    finally:
        stop()

    assert kinds["node_finished"] == 25_001


@pytest.mark.parametrize("wrong", ["tokens", "", "Token"])
def test_an_unknown_kind_is_refused_with_the_nearest(wrong: str) -> None:
    with pytest.raises(ValueError, match="token"):
        emit(wrong)


def test_emit_is_silent_outside_of_a_run() -> None:
    emit("token", "nobody hears")


def test_a_state_that_many_threads_ask_for_counts_each_record_once() -> None:
    @node
    async def ticks(shared: Any) -> Any:
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < 3000 else "over"

    ticks - "again" >> ticks
    ticks - "over" >> Node()
    run = Flow(ticks).launch({}, show=False)

    def ask_often() -> None:
        while not run.done():
            run.state()
            assert lifecycle_of(run).root.address

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    run.result(30)

    assert run.state().nodes["ticks"].visits == 3000
    assert run.state().steps == run.hops == 3001


@pytest.mark.parametrize("tell", ["token", "log", "usage", "progress"])
@pytest.mark.parametrize("way", ["run", "launch"])
def test_one_step_that_tells_very_much_keeps_no_more_than_the_log_does(way: str, tell: str) -> None:
    most: list[int] = []

    class Talk(Node):
        def exec(self, prep_res: Any) -> None:
            run = current().run
            for number in range(5 * KEPT_RECORDS):
                emit(tell, f"{number} ", tokens=1)
                most.append(len(lifecycle_of(run).records))

    flow = Flow(Talk())
    flow.run({}) if way == "run" else launch(flow).result(20)

    assert max(most) <= TRIM_AT + WIDTH
    assert len(most) == 5 * KEPT_RECORDS


def test_what_one_step_told_is_numbered_without_gaps_after_old_records_went() -> None:
    class Talk(Node):
        def exec(self, prep_res: Any) -> None:
            for number in range(2 * KEPT_RECORDS):
                emit("log", str(number))

    run = launch(Flow(Talk())).wait(20)

    told = [event for event in run.events if event.kind == "output"]
    assert [event.seq for event in told] == list(range(told[0].seq, told[0].seq + len(told)))
    assert told[-1].data["text"] == str(2 * KEPT_RECORDS - 1)
    assert told[-1].seq == 2 * KEPT_RECORDS
    assert len(told) >= KEPT_RECORDS


def test_a_million_tokens_are_joined_into_lines_that_stay_short() -> None:
    state = State()
    for number in range(TOKENS):
        state.add(Event(number, 0, "output", "r", "f/a", "a", {"stream": "token", "text": "abc"}, None, 0.0))

    assert max(len(text) for _, _, text, _ in state.lines) <= TOKENS + 3
    assert "".join(text for _, _, text, _ in state.lines) == "abc" * TOKENS
