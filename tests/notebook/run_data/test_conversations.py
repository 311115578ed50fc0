"""The conversations that views read: as they grow, at the time cursor, of plain dicts, of lists too large to compare."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import END, Flow, Node, Run, emit, linear, node, open_journal, runs
from pocketflex_nb.notebook.run_data.conversations import Conversations, has_conversation, run_conversation
from pocketflex_nb.notebook.run_data.detail_tabs import tab_content
from pocketflex_nb.notebook.run_data.playback import Replay, ViewedRun
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel


@node
def asks(shared: Any) -> None:
    emit("message", "hi", role="user")


@node
def answers(shared: Any) -> None:
    emit("tool", name="look", arguments={"password": "hunter2"}, error=LookupError("gone"))
    emit("message", "hello", role="assistant")


def texts(conversations: Conversations, run: Run, moment: int | None = None) -> list[str]:
    return [turn.text for turn in conversations.of(run, moment).turns]


def test_a_conversation_is_read_on_as_it_grows() -> None:
    go, told = threading.Event(), threading.Event()

    class Waits(Node):
        def exec(self, prep_res: Any) -> None:
            emit("token", "he")
            told.set()
            go.wait(20)
            emit("token", "llo")
            emit("message", "hello", role="assistant")

    run = linear(asks, Waits()).launch({}, show=False)
    conversations = Conversations(TimeTravel())
    assert told.wait(20)

    before = [(turn.text, turn.status) for turn in conversations.of(run).turns]
    go.set()
    run.wait(20)
    after = [(turn.text, turn.status) for turn in conversations.of(run).turns]

    assert before == [("hi", ""), ("he", "streaming")]
    assert after == [("hi", ""), ("hello", "")]


def test_the_time_cursor_shows_what_was_said_by_then() -> None:
    run = linear(asks, answers).launch({}, show=False).wait(20)
    conversations = Conversations(TimeTravel())
    ends = [span.end for span in run.state().spans]

    assert texts(conversations, run) == ["hi", "", "hello"]
    assert texts(conversations, run, ends[0]) == ["hi"]
    assert texts(conversations, run, ends[1]) == ["hi", "", "hello"]
    assert texts(conversations, run, run.events[0].ns) == []


def test_the_messages_of_a_plain_dict_are_read_from_it() -> None:
    @node
    def says(shared: Any) -> None:
        shared["messages"].append(("assistant", "hello"))

    Flow(says).run(shared := {"messages": [("user", "hi")]})
    run = runs()[-1]
    conversations = Conversations(TimeTravel())

    assert texts(conversations, run) == ["hi", "hello"]
    shared["messages"].append({"role": "user", "content": "more"})
    assert texts(conversations, run) == ["hi", "hello", "more"]
    assert texts(conversations, run) == ["hi", "hello", "more"]


def test_a_list_too_large_to_compare_goes_on_from_the_store() -> None:
    class Talks(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["messages"].append({"role": "user", "content": f"say {len(shared['messages'])}"})
            return "on" if len(shared["messages"]) < 4_005 else "end"

    talks = Talks()
    talks - "on" >> talks - "end" >> END
    run = Flow(talks).launch({"messages": [{"role": "user", "content": f"old {k}"} for k in range(4_000)]}, show=False).wait(60)

    assert [turn.text for turn in run_conversation(run).turns[-2:]] == ["say 4003", "say 4004"]


@pytest.mark.parametrize(
    ("steps", "store", "has"),
    [((asks,), {}, True), ((answers,), {}, True), ((), {"messages": [("user", "hi")]}, True), ((), {"notes": ["hi"]}, False)],
    ids=["message", "tool", "store", "none"],
)
def test_runs_say_whether_there_is_a_conversation(steps: tuple[Any, ...], store: Any, has: bool) -> None:
    run = linear(Node(), *steps).launch(store, show=False).wait(20)

    assert has_conversation([run]) is has


def test_a_replay_and_a_journal_tell_the_same_conversation(tmp_path: Path) -> None:
    @node
    def keeps(shared: Any) -> None:
        shared["messages"] = [("user", "and more?")]

    run = linear(asks, answers, keeps).launch({}, show=False, name="night", journal=tmp_path / "runs.sqlite").wait(20)
    again = Replay(run, speed=1e9)
    kept = open_journal(tmp_path / "runs.sqlite").run("night")

    def told(one: ViewedRun) -> list[Any]:
        turns = run_conversation(one).turns
        return [(turn.role, turn.text, turn.node, [(call.name, call.status) for call in turn.calls]) for turn in turns]

    assert again.done()
    assert told(run) == told(again) == told(kept)
    assert [role for role, *_ in told(run)] == ["user", "tool", "assistant", "user"]
    assert has_conversation([kept])


def test_the_tab_of_events_tells_messages_and_calls_in_a_line_with_secrets_masked() -> None:
    run = linear(asks, answers).launch({}, show=False).wait(20)

    rows = {row[1]: row[3] for row in tab_content("events", [run], None, None, TimeTravel())["rows"]}

    assert rows["message"] in ("user: hi", "assistant: hello")
    assert rows["tool"] == "look(password=••••••••) → ✗ LookupError: gone"
