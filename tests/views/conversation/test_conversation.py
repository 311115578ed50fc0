"""A run's events become one conversation: each message once, calls with their results, streams that end in their message."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pocketflex_nb import END, Flow, Node, Run, Store, emit, launch, linear, node
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.core.frozen.frozen_tree import LEAF_WIDTH, FrozenList, Inner, thaw
from pocketflex_nb.views.conversation.conversation import Conversation, Turn, conversation_of, has_messages


def ran(*nodes: Any, store: Any = None, **options: Any) -> Run:
    return linear(*nodes).launch({} if store is None else store, show=False, **options).wait(30)


def said(run: Run) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in conversation_of(run.events).turns]


def calls(run: Run) -> list[tuple[str, str]]:
    return [(call.name, call.status) for turn in conversation_of(run.events).turns for call in turn.calls]


def only(run: Run) -> Turn:
    (turn,) = conversation_of(run.events).turns
    return turn


# from the store --------------------------------------------------------------------------------------------------------
@node
def asks(shared: Any) -> None:
    shared["messages"] = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]


@node
def answers(shared: Any) -> None:
    shared["messages"].append({"role": "assistant", "content": "hello"})


def test_what_steps_append_is_told_once_with_who_said_it() -> None:
    run = ran(asks, answers)

    assert said(run) == [("system", "be kind"), ("user", "hi"), ("assistant", "hello")]
    assert [turn.address for turn in conversation_of(run.events).turns] == ["Flow/asks#1", "Flow/asks#1", "Flow/answers#1"]


def test_what_stood_in_the_store_before_stands_in_front_and_has_no_node() -> None:
    run = ran(answers, store={"messages": [("user", "hi")]})

    assert said(run) == [("user", "hi"), ("assistant", "hello")]
    assert conversation_of(run.events).turns[0].address == ""


@pytest.mark.parametrize("how", ["window", "copy", "summary", "reversed", "removed", "same again"])
def test_a_list_that_is_written_anew_tells_only_what_is_new(how: str) -> None:
    ways: dict[str, Any] = {
        "window": lambda old: old[-1:], "copy": lambda old: [dict(each) for each in old], "summary": lambda old: [*old[:1], *old[-1:]],
        "reversed": lambda old: old[::-1], "removed": lambda old: [], "same again": lambda old: old,
    }

    @node
    def rewrites(shared: Any) -> None:
        shared["messages"] = ways[how](shared["messages"])

    @node
    def ends(shared: Any) -> None:
        shared["messages"] = [*shared["messages"], {"role": "assistant", "content": "bye"}]

    run = ran(asks, answers, rewrites, ends)

    assert said(run) == [("system", "be kind"), ("user", "hi"), ("assistant", "hello"), ("assistant", "bye")]


def test_the_same_words_said_twice_are_told_twice() -> None:
    @node
    def answers_again(shared: Any) -> None:
        shared["messages"].append({"role": "assistant", "content": "hello"})

    run = ran(asks, answers, answers_again)

    assert said(run)[-2:] == [("assistant", "hello"), ("assistant", "hello")]


def test_lists_below_a_key_and_in_private_stores_count() -> None:
    @node
    def thinks(shared: Any) -> None:
        shared["state"] = {"messages": [("user", "hi")], "n": 1}

    @node
    def goes_on(shared: Any) -> None:
        shared["state"]["messages"].append(("assistant", "hello"))

    inner = Flow(asks, name="inner", inputs=[], outputs=["messages"])
    run = ran(thinks, goes_on)
    private = linear(inner).launch({}, show=False).wait(30)

    assert said(run) == [("user", "hi"), ("assistant", "hello")]
    assert said(private)[:2] == [("system", "be kind"), ("user", "hi")]


def test_a_list_too_large_to_compare_is_read_from_its_present_value() -> None:
    class Talks(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["messages"].append({"role": "user", "content": f"say {len(shared['messages'])}"})
            return "on" if len(shared["messages"]) < 4_020 else "end"

    talks = Talks()
    talks - "on" >> talks - "end" >> END
    run = Flow(talks).launch({"messages": [{"role": "user", "content": f"old {k}"} for k in range(4_000)]}, show=False).wait(60)

    conversation = conversation_of(run.events, lambda run_name, place, key: run.store[key])

    assert [turn.text for turn in conversation.turns[-3:]] == ["say 4017", "say 4018", "say 4019"]
    assert any(change["op"] == "maybe" for event in run.events if event.kind == "store_changed" for change in event["changes"])


def appended(number: int) -> list[Event]:
    """The events of a run that appended so many messages, one a step; versions share their leaves, as a store's do."""
    leaves: list[tuple[Any, ...]] = [()]
    events, old = [], FrozenList(list, 0, ())
    for seq in range(number):
        if len(leaves[-1]) == LEAF_WIDTH:
            leaves.append(())
        leaves[-1] = (*leaves[-1], freeze({"role": "user", "content": f"say {seq}"}))
        new = FrozenList(list, seq + 1, Inner(leaves))
        change = {"key": "messages", "version": seq + 1, "op": "set", "old": old, "new": new}
        events.append(Event(seq, seq, "store_changed", "talk", f"talk/talks#{seq}", "talks", {"changes": [change]}))
        old = new
    return events


def test_the_cost_of_reading_grows_with_the_messages_and_not_with_their_square() -> None:
    def took(events: list[Event]) -> float:
        begin = time.process_time()
        assert len(conversation_of(events)) == len(events)
        return time.process_time() - begin

    few, many = appended(500), appended(4_000)

    assert min(took(many) for _ in range(3)) < 24 * max(min(took(few) for _ in range(3)), 0.004)


@pytest.mark.parametrize(
    ("store", "has"),
    [({"messages": [("user", "hi")]}, True), ({"messages": []}, False), ({"messages": ["a"]}, False), ({"notes": [("user", "hi")]}, False),
     ({"state": {"chat_history": [{"role": "user", "content": ""}]}}, True), ([("user", "hi")], False), (None, False)],
)
def test_a_store_says_whether_it_holds_messages(store: Any, has: bool) -> None:
    assert has_messages(store) is has
    if isinstance(store, dict):
        assert has_messages(Store(store)) is has


# from events -----------------------------------------------------------------------------------------------------------
def test_a_message_that_is_told_and_kept_stands_there_once() -> None:
    class Thinks(Node):
        def exec(self, prep_res: Any) -> str:
            emit("message", "hi", role="user")
            emit("token", "hel")
            emit("token", "lo")
            emit("message", "hello", role="assistant", input_tokens=7, output_tokens=2, cost=0.5, model="small")
            return "hello"

        def post(self, shared: Any, prep_res: Any, exec_res: str) -> None:
            shared["messages"] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": exec_res}]

    conversation = conversation_of(ran(Thinks()).events)

    assert [(turn.role, turn.text) for turn in conversation.turns] == [("user", "hi"), ("assistant", "hello")]
    assert (conversation.turns[1].output_tokens, conversation.turns[1].cost, conversation.turns[1].model) == (2, 0.5, "small")
    totals = conversation.totals()
    assert (totals.messages, totals.input_tokens, totals.output_tokens, totals.tokens, totals.cost) == (2, 7, 2, 9, 0.5)


def test_a_reply_that_is_kept_without_its_calls_stands_there_once() -> None:
    class Thinks(Node):
        def exec(self, prep_res: Any) -> None:
            emit("message", "I look.", role="assistant", tool_calls=ASKED[:1])

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["messages"] = [{"role": "assistant", "content": "I look."}]

    assert said(ran(Thinks())) == [("assistant", "I look.")]


def test_two_agents_that_say_the_same_are_two() -> None:
    first, second = (Node(name=name) for name in ("first", "second"))
    for each in (first, second):
        each.exec = lambda prep_res: emit("message", "hi", role="assistant")  # type: ignore[method-assign]

    assert said(ran(first, second)) == [("assistant", "hi"), ("assistant", "hi")]


def test_a_stream_becomes_the_message_it_ends_in() -> None:
    @node
    def streams(shared: Any) -> None:
        emit("token", "Twice ")
        emit("token", "a day")
        emit("message", "Twice a day.", role="assistant")
        emit("token", "And ")
        emit("message", "And more.", role="assistant")

    run = ran(streams)

    assert said(run) == [("assistant", "Twice a day."), ("assistant", "And more.")]
    assert all(turn.status == "" for turn in conversation_of(run.events).turns)


def test_a_stream_is_told_while_it_grows_and_stays_without_a_message() -> None:
    @node
    def streams(shared: Any) -> None:
        emit("token", "Twice ")
        emit("token", "a day")

    conversation, seen = Conversation(), []
    for event in ran(streams).events:
        conversation.add(event)
        seen.append([(turn.text, turn.status) for turn in conversation.turns])

    assert [("Twice ", "streaming")] in seen
    assert seen[-1] == [("Twice a day", "")]


def test_what_a_failed_try_streamed_is_cut_off_and_the_next_try_is_another_turn() -> None:
    class Streams(Node):
        def exec(self, prep_res: Any) -> None:
            emit("token", f"try {self.cur_retry}")
            if not self.cur_retry:
                raise ConnectionError

    turns = conversation_of(ran(Streams(max_retries=2)).events).turns

    assert [(turn.text, turn.status) for turn in turns] == [("try 0", "partial"), ("try 1", "")]


def test_a_half_answer_is_marked() -> None:
    assert only(ran(node(lambda shared: emit("message", "Twi", role="assistant", partial=True)))).status == "partial"


def test_nodes_that_stream_side_by_side_are_turns_of_their_own() -> None:
    begin, left, right = Node(name="begin"), Node(name="left"), Node(name="right")
    for each, words in ((left, "one two three"), (right, "four five six")):
        each.exec = lambda prep_res, words=words: [emit("token", f"{word} ") for word in words.split()]  # type: ignore[method-assign]
    begin >> [left, right]

    run = Flow(begin).launch({}, show=False).wait(30)

    assert sorted(text for _, text in said(run)) == ["four five six ", "one two three "]


def test_a_stream_whose_message_is_kept_behind_its_question_stands_behind_it() -> None:
    class Chats(Node):
        def exec(self, prep_res: Any) -> str:
            emit("token", "hello")
            return "hello"

        def post(self, shared: Any, prep_res: Any, exec_res: str) -> None:
            shared["messages"] = [("user", "hi"), ("assistant", exec_res)]

    assert said(ran(Chats())) == [("user", "hi"), ("assistant", "hello")]


# usage -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", ["usage", "message"])
def test_usage_that_is_told_apart_belongs_to_the_reply_of_its_visit(first: str) -> None:
    @node
    def thinks(shared: Any) -> None:
        tell = [lambda: emit("usage", input_tokens=5, output_tokens=3, cost=0.25), lambda: emit("message", "hello", role="assistant")]
        for one in tell if first == "usage" else tell[::-1]:
            one()
        emit("usage", tokens=100)

    turn = only(ran(thinks))

    assert (turn.input_tokens, turn.output_tokens, turn.cost, turn.tokens) == (5, 3, 0.25, None)


def test_a_single_reply_took_as_long_as_its_visit_unless_it_says_otherwise() -> None:
    @node
    def thinks(shared: Any) -> None:
        emit("message", "hi", role="user")
        emit("message", "hello", role="assistant")

    @node
    def knows(shared: Any) -> None:
        emit("message", "bye", role="assistant", seconds=2.5)

    turns = conversation_of(ran(thinks, knows).events).turns

    assert turns[0].seconds is None
    assert turns[1].seconds is not None
    assert 0 < turns[1].seconds < 2
    assert turns[2].seconds == 2.5


# calls of tools ----------------------------------------------------------------------------------------------------------
ASKED = [{"id": "1", "name": "search", "arguments": {"q": "tides"}}, {"id": "2", "name": "search", "arguments": {"q": "moon"}}]


def test_results_stand_below_the_message_that_asked_by_id() -> None:
    @node
    def thinks(shared: Any) -> None:
        emit("message", role="assistant", tool_calls=ASKED)
        emit("tool", id="2", name="search", result=["b"], seconds=0.5)
        emit("tool", id="1", name="search", error=LookupError("gone"))

    turn = only(ran(thinks))

    told = [(thaw(call.arguments)["q"], call.status, call.seconds) for call in turn.calls]
    assert told == [("tides", "failed", None), ("moon", "done", 0.5)]
    assert isinstance(turn.calls[0].error, LookupError)


def test_without_an_id_results_answer_the_oldest_open_call_of_that_name() -> None:
    @node
    def thinks(shared: Any) -> None:
        emit("message", role="assistant", tool_calls=[{"name": "search", "arguments": {"q": q}} for q in ("tides", "moon")])
        emit("tool", name="search", result="first")
        emit("tool", name="read", result="other")
        emit("tool", name="search", result="second")

    asked, other = conversation_of(ran(thinks).events).turns

    assert [call.result for call in asked.calls] == ["first", "second"]
    assert (other.role, other.calls[0].name) == ("tool", "read")


def test_a_call_nobody_asked_for_is_a_turn_and_its_neighbours_of_the_visit_join_it() -> None:
    @node
    def works(shared: Any) -> None:
        emit("tool", name="search", arguments={"q": "tides"}, result=[1, 2])
        emit("tool", name="read", error="no page")
        emit("tool", name="write")

    turn = only(ran(works))

    assert turn.role == "tool"
    assert [(call.name, call.status) for call in turn.calls] == [("search", "done"), ("read", "failed"), ("write", "open")]


def test_numbers_of_calls_that_begin_anew_do_not_answer_older_calls() -> None:
    @node
    def thinks(shared: Any) -> None:
        for number in (1, 2):
            emit("message", f"look {number}", role="assistant", tool_calls=ASKED[:1])
            emit("tool", id="1", name="search", result=number)

    assert [turn.calls[0].result for turn in conversation_of(ran(thinks).events).turns] == [1, 2]


@pytest.mark.parametrize("told", ["kept", "both", "event"])
def test_a_result_is_told_once_whether_it_is_kept_told_or_both(told: str) -> None:
    class Thinks(Node):
        def exec(self, prep_res: Any) -> None:
            emit("message", "I look.", role="assistant", tool_calls=ASKED[:1])
            if told != "kept":
                emit("tool", id="1", name="search", result="three", seconds=1.0)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if told != "event":
                asked = {"id": "1", "type": "function", "function": {"name": "search", "arguments": '{"q": "tides"}'}}
                result = {"role": "tool", "tool_call_id": "1", "content": "three"}
                shared["messages"] = [{"role": "assistant", "content": "I look.", "tool_calls": [asked]}, result]

    run = ran(Thinks())

    assert said(run) == [("assistant", "I look.")]
    assert calls(run) == [("search", "done")]
    assert only(run).calls[0].result == "three"


def test_what_inner_runs_say_stands_in_the_outer_conversation() -> None:
    @node
    def says(shared: Any) -> None:
        emit("message", "from inside", role="assistant")

    @node
    def outer(shared: Any) -> None:
        linear(says).run({})

    turn = only(ran(outer))

    assert turn.text == "from inside"
    assert turn.address.startswith("Flow/outer#1/")


def test_a_group_that_shares_a_store_has_a_conversation_for_each_run() -> None:
    @node
    def says(shared: Any) -> None:
        shared["messages"].append(("assistant", "mine"))

    group = launch([Flow(says), Flow(says)], share=Store({"messages": []}), show=False).wait(30)

    assert all(said(run)[-1] == ("assistant", "mine") for run in group)


@pytest.mark.parametrize("strange", [None, 3, object(), b"x", ["a"], {"a": 1}, "x" * 100_000], ids=lambda value: type(value).__name__)
def test_strange_fields_do_no_harm(strange: Any) -> None:
    @node
    def says(shared: Any) -> None:
        emit("message", strange, role=strange, tool_calls=strange, seconds=strange, model=strange, name=strange)
        emit("tool", strange, name=strange, arguments=strange, result=strange, error=strange, id=strange, seconds=strange)
        shared["messages"] = strange
        shared["history"] = [strange, ("user", strange), {"role": strange, "content": strange, "tool_calls": strange}]

    run = ran(says)

    assert run.status == "done"
    assert len(conversation_of(run.events)) > 0
