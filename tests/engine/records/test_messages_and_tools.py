"""The event kinds ``message`` and ``tool``: what `emit` takes, what counts against budgets, and what state makes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, emit, launch, node, replay
from pocketflex_nb.core.errors import BudgetSpent
from pocketflex_nb.core.events import Event, spent_in
from pocketflex_nb.engine.runs.run import rows_of


def talk(shared: Any) -> None:
    emit("message", "What changed?", role="user")
    calls = [{"id": "1", "name": "search", "arguments": {"query": "changes"}}]
    emit("message", role="assistant", tool_calls=calls, input_tokens=12, output_tokens=8, cost=0.25)
    emit("tool", id="1", name="search", arguments={"query": "changes"}, result=["TaskGroup"], seconds=0.5)
    emit("tool", name="read", arguments={"page": 3}, error=LookupError("page 3"))


def test_each_field_is_kept_as_it_was_given() -> None:
    run = launch(Flow(node(talk)), show=False).wait(20)

    asked, called = run.messages
    assert asked == {"role": "user", "text": "What changed?"}
    assert called["tool_calls"][0]["arguments"] == {"query": "changes"}
    found, failed = (event for event in run.events if event.kind == "tool")
    assert (found["id"], found["result"], found["seconds"]) == ("1", ["TaskGroup"], 0.5)
    assert isinstance(failed["error"], LookupError)
    assert found.node == failed.node == "talk"


def test_state_counts_messages_and_calls_and_says_so() -> None:
    run = launch(Flow(node(talk)), show=False).wait(20)
    state = run.state()

    assert (state.messages, state.tool_calls, state.tokens, state.cost) == (2, 2, 20, 0.25)
    assert "2 messages, 2 tool calls" in repr(state)
    assert replay(run.events) == state


def test_what_a_reply_spent_counts_against_the_budget_once() -> None:
    @node
    def spends(shared: Any) -> None:
        emit("message", "a", input_tokens=30, output_tokens=20)
        emit("usage", input_tokens=4, output_tokens=1)
        emit("message", "b", tokens=5, input_tokens=30, output_tokens=20)
        emit("message", "c", cost=Decimal("0.5"))

    run = launch(Flow(spends), show=False).wait(20)

    assert (run.usage.tokens, run.usage.cost) == (60, 0.5)
    assert (run.state().tokens, run.state().cost) == (60, 0.5)


def test_a_reply_that_spends_the_budget_ends_the_run() -> None:
    class Spends(Node):
        def exec(self, prep_res: Any) -> None:
            emit("message", "long", output_tokens=200)

    first = Spends()
    first >> Spends()
    run = launch(Flow(first), budget={"tokens": 100}, show=False).wait(20)

    assert run.status == "failed"
    assert isinstance(run.error, BudgetSpent)
    assert run.hops == 1


def test_messages_of_runs_inside_count_in_the_outer_state_once() -> None:
    @node
    def outer(shared: Any) -> None:
        Flow(node(talk)).run({})

    run = launch(Flow(outer), show=False).wait(20)

    assert (run.state().messages, run.state().tool_calls, run.usage.tokens) == (2, 2, 20)
    assert [message["role"] for message in run.messages] == ["user", "assistant"]


def test_tokens_after_a_message_begin_another_line() -> None:
    @node
    def streams(shared: Any) -> None:
        emit("token", "one ")
        emit("token", "two")
        emit("message", "one two", role="assistant")
        emit("token", "three")

    state = launch(Flow(streams), show=False).wait(20).state()

    assert [text for _, _, text, _ in state.lines] == ["one two", "three"]


@pytest.mark.parametrize("field", ["tokens", "input_tokens", "output_tokens", "cost"])
@pytest.mark.parametrize("kind", ["message", "usage"])
def test_an_amount_that_is_no_number_is_refused_before_it_is_kept(kind: str, field: str) -> None:
    @node
    def tells(shared: Any) -> None:
        emit(kind, **{field: "many"})

    run = launch(Flow(tells), show=False).wait(20)

    assert isinstance(run.error, TypeError)
    assert f"{field}='many'" in str(run.error)
    assert run.state().tokens == 0
    assert not any(event.kind == kind for event in run.events)


@pytest.mark.parametrize("kind", ["messages", "Message", "tools", "Tool", "mesage"])
def test_a_misspelt_kind_of_a_conversation_is_refused_with_the_nearest(kind: str) -> None:
    with pytest.raises(ValueError, match=r"message|tool"):
        emit(kind)


def test_outside_of_a_run_nothing_happens() -> None:
    emit("message", "hello", role="user", tokens=3)
    emit("tool", name="search")


def test_a_table_of_events_has_a_column_for_each_fact() -> None:
    run = launch(Flow(node(talk)), show=False).wait(20)

    roles = [row.get("role") for row in rows_of(run) if row["kind"] == "message"]
    assert roles == ["user", "assistant"]


def test_the_facts_of_an_event_are_one_short_line() -> None:
    event = Event(3, 0, "message", node="think", data={"text": "x" * 1_000, "role": "user"})

    assert len(event.facts()) <= 160
    assert "role='user'" in Event(3, 0, "message", data={"role": "user"}).facts()


@pytest.mark.parametrize(
    ("facts", "spent"),
    [({}, (0, 0.0)), ({"tokens": None, "input_tokens": 3}, (3, 0.0)), ({"tokens": 0, "input_tokens": 3}, (0, 0.0)),
     ({"output_tokens": 2, "cost": None}, (2, 0.0)), ({"cost": 1}, (0, 1))],
)
def test_tokens_in_and_out_are_summed_where_the_sum_is_not_told(facts: dict[str, Any], spent: tuple[float, float]) -> None:
    assert spent_in(facts) == spent
