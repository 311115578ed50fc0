"""A model with tools: what it is told, what runs side by side, and what ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from pocketflex_nb import Agent, Flow, Node, Retry, Store, ask, emit, linear, node
from pocketflex_nb.core.errors import BudgetSpent, CannotAsk, StepLimit, StoreError
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.llm import (
    BadTool,
    Chat,
    CutOff,
    Delta,
    EmptyReply,
    ModelBusy,
    Refusal,
    Reply,
    ToolCall,
    WrongShape,
    tool,
    tool_agent,
)
from pocketflex_nb.llm.messages import ToolCallDelta
from tests.llm.models import Scripted, calls, results


@tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@tool
async def shout(text: str) -> str:
    """Say it loudly."""
    await asyncio.sleep(0)
    return text.upper()


@tool
def broken(text: str) -> str:
    """Fail."""
    raise LookupError(f"no {text} here")


def launched(model: Any, *tools: Any, store: Any = None, budget: Any = None, **options: Any) -> Any:
    agent = tool_agent(model, "Be brief.", tools=tools or [add, shout, broken], **options)
    return agent.launch(store or {"question": "What is it?"}, budget=budget).wait(20)


def test_it_thinks_acts_and_thinks_again_until_it_answers() -> None:
    model = Scripted(calls(("add", {"a": 2})), calls(("shout", {"text": "three"}), text="Now louder."), "THREE.")

    run = launched(model)

    assert run.status == "done"
    assert run.store["answer"] == "THREE."
    assert [(message["role"], message["content"]) for message in run.store["messages"]] == [
        ("user", "What is it?"), ("assistant", ""), ("tool", "3"), ("assistant", "Now louder."), ("tool", "THREE"), ("assistant", "THREE.")]
    assert model.heard(0) == [("system", "Be brief."), ("user", "What is it?")]
    assert [each["function"]["name"] for each in model.asked[0]["tools"]] == ["add", "shout", "broken"]
    assert run.state().nodes["think"].visits == 3


@pytest.mark.parametrize("way", ["run", "run_async", "store"])
def test_it_is_a_flow_that_runs_any_way(way: str) -> None:
    agent = tool_agent(Scripted(calls(("add", {"a": 2}), ("shout", {"text": "x"})), "3"), "", tools=[add, shout])
    store: Any = Store({"question": "?"}) if way == "store" else {"question": "?"}

    if way == "run_async":
        asyncio.run(_awaited(agent, store))
    else:
        agent.run(store)

    assert store["answer"] == "3"
    assert results(store["messages"]) == [("add", "3"), ("shout", "X")] or results(store["messages"]) == [("shout", "X"), ("add", "3")]


async def _awaited(flow: Flow, store: Any) -> None:
    await flow.run_async(store)


def test_it_is_drawn_as_one_node_for_thinking_and_one_for_each_tool() -> None:
    graph = graph_of(tool_agent(Scripted(), "", tools=[add, shout]))

    assert [each.id for each in graph.nodes if each.kind != "end"] == ["think", "add", "shout"]
    assert {(edge.source, edge.target, edge.action) for edge in graph.edges} >= {
        ("think", "add", "add"), ("think", "shout", "shout"), ("add", "think", "default")}


def test_calls_made_at_once_run_side_by_side_and_are_answered_in_their_order() -> None:
    both = threading.Barrier(2)

    @tool
    def meet(name: str) -> str:
        """Wait for the other."""
        both.wait(10)
        return name

    model = Scripted(calls(("meet", {"name": "first"}), ("meet", {"name": "second"})), "met")

    run = launched(model, meet)

    assert run.store["answer"] == "met"
    assert model.heard()[2:] == [("assistant", ""), ("tool", "first"), ("tool", "second")]
    assert run.state().nodes["meet"].visits == 2


@pytest.mark.parametrize(("call", "told"), [
    (("serch", {"q": 1}), "Error: there is no tool 'serch'; known: 'add', 'broken', 'shout'"),
    (("ad", {"a": 1}), "Error: there is no tool 'ad'; did you mean 'add'?"),
    (("add", {"a": "two"}), "Error: add: argument 'a' needs int, got 'two'"),
    (("add", {"x": 1}), "Error: add has no parameter 'x'"), (("add", {}), "Error: add needs the argument 'a'"),
    (("add", '{"a": 1'), "Error: the arguments are not valid JSON"), (("add", "[1]"), "Error: the arguments must be a JSON object"),
    (("broken", {"text": "luck"}), "Error: LookupError: no luck here"),
])
@pytest.mark.parametrize("beside", [False, True])
def test_what_goes_wrong_with_a_call_is_told_to_the_model(call: Any, told: str, beside: bool) -> None:
    model = Scripted(calls(*([("add", {"a": 4})] if beside else []), call), "Sorry.")

    run = launched(model)

    assert run.store["answer"] == "Sorry."
    assert any(content.startswith(told) for _, content in results(run.store["messages"]))
    assert [event for event in run.events if event.kind == "tool" and event.get("error")]
    assert (("add", "5") in results(run.store["messages"])) is beside


def test_arguments_cut_off_at_the_limit_are_told_so() -> None:
    model = Scripted(Reply("", [("add", '{"a": 1')], finish="length"), "Sorry.")

    run = launched(model)

    assert "Your reply was cut off at the limit of its length: call it again, with less" in results(run.store["messages"])[0][1]


def test_an_error_without_end_is_cut() -> None:
    @tool
    def burst() -> str:
        """Fail at length."""
        raise ValueError("x" * 100_000)

    run = launched(Scripted(calls(("burst", {})), "Sorry."), burst)

    assert len(results(run.store["messages"])[0][1]) < 2_100


def test_a_tool_is_tried_as_often_as_it_says_before_the_model_is_told() -> None:
    tries = []

    @tool(max_retries=3)
    def flaky() -> str:
        """Fail twice."""
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "got it"

    run = launched(Scripted(calls(("flaky", {})), "Fine."), flaky)

    assert results(run.store["messages"]) == [("flaky", "got it")]


def test_a_tool_that_takes_too_long_is_told_to_the_model() -> None:
    @tool(timeout=0.05)
    async def slow() -> str:
        """Never come back."""
        await asyncio.Event().wait()
        return ""

    run = launched(Scripted(calls(("slow", {})), "Sorry."), slow)

    assert results(run.store["messages"])[0][1].startswith("Error: NodeTimeout")


@pytest.mark.parametrize(("wrong", "said"), [
    (Reply(""), "Your reply was empty. Answer, or call a tool."),
    (Reply("Once upon a", finish="length"), "Your reply was cut off at the limit of its length. Answer again, shorter."),
])
def test_a_reply_that_is_no_answer_is_told_back(wrong: Reply, said: str) -> None:
    model = Scripted(wrong, "Fine.")

    run = launched(model)

    assert run.store["answer"] == "Fine."
    assert model.heard()[-1] == ("user", said)
    assert all("told_by" not in message for asked in model.asked for message in asked["messages"])
    assert wrong.text != run.store["answer"]


@pytest.mark.parametrize(("wrong", "error"), [(Reply(""), EmptyReply), (Reply("Once", finish="length"), CutOff)])
def test_three_replies_in_a_row_that_are_no_answer_end_it(wrong: Reply, error: Any) -> None:
    model = Scripted(wrong, wrong, wrong, wrong)

    run = launched(model)

    assert type(run.error) is error
    assert len(model.asked) == 3
    assert "answer" not in run.store


def test_replies_that_are_no_answer_are_counted_anew_after_a_good_one() -> None:
    model = Scripted(Reply(""), Reply(""), calls(("add", {"a": 1})), Reply(""), Reply(""), "Fine.")

    assert launched(model).store["answer"] == "Fine."


def test_a_refusal_ends_it_at_once() -> None:
    model = Scripted(Reply(refusal="I must not."), "Fine.")

    run = launched(model)

    assert isinstance(run.error, Refusal)
    assert len(model.asked) == 1


def test_it_stops_after_so_many_replies_and_keeps_the_conversation() -> None:
    model = Scripted(*[calls(("add", {"a": n})) for n in range(20)])

    run = launched(model, max_steps=3)

    assert isinstance(run.error, StepLimit)
    assert "max_steps=3" in str(run.error)
    assert len(model.asked) == 3
    assert len(results(run.store["messages"])) == 3


def test_replies_are_counted_for_each_question() -> None:
    model = Scripted(calls(("add", {"a": 1})), "one", calls(("add", {"a": 2})), "two")
    agent = tool_agent(model, "", tools=[add], max_steps=2)
    store = Store({"question": "first"})

    agent.run(store)
    store["question"] = "second"
    agent.run(store)

    assert store["answer"] == "two"
    assert [content for role, content in model.heard() if role == "user"] == ["first", "second"]


@dataclass
class Verdict:
    ok: bool


def test_a_structured_answer_is_checked_and_told_back_with_the_schema() -> None:
    model = Scripted(calls(("add", {"a": 1})), "It is fine.", '{"ok": true}')

    run = launched(model, returns=Verdict)

    assert run.store["answer"] == Verdict(True)
    assert model.asked[-1]["schema"]["title"] == "Verdict"
    assert model.asked[-1]["tools"] is None
    assert "not valid JSON" in model.heard()[-1][1]


def test_a_structured_answer_that_never_fits_ends_it() -> None:
    run = launched(Scripted("no", "no", "no"), returns=Verdict)

    assert isinstance(run.error, WrongShape)


def test_tokens_of_its_replies_spend_the_budget_and_end_it_before_the_tools() -> None:
    ran = []

    @tool
    def act() -> str:
        """Act."""
        ran.append(1)
        return "done"

    model = Scripted(*[calls(("act", {}), usage={"input_tokens": 30, "output_tokens": 20}) for _ in range(9)])

    run = launched(model, act, budget={"tokens": 100})

    assert isinstance(run.error, BudgetSpent)
    assert (len(model.asked), len(ran)) == (2, 1)
    assert run.usage.tokens == 100
    assert run.store["messages"][-1]["tool_calls"]


def test_calls_that_were_never_made_are_answered_before_the_next_question() -> None:
    model = Scripted(calls(("add", {"a": 1}), usage=100), "Fine.")
    agent = tool_agent(model, "", tools=[add])
    store = Store({"question": "first"})
    agent.launch(store, budget={"tokens": 50}).wait(10)
    store["question"] = "second"

    agent.launch(store).wait(10)

    assert store["answer"] == "Fine."
    assert [role for role, _ in model.heard()] == ["user", "assistant", "tool", "user"]
    assert model.heard()[2] == ("tool", "no result: the run ended before")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_asks_a_person(is_async: bool) -> None:
    @tool
    def ask_person(question: str) -> str:
        """Ask a person."""
        return str(ask(question))

    @tool(name="ask_person")
    async def ask_person_async(question: str) -> str:
        """Ask a person."""
        return str(await ask(question))

    asks = ask_person_async if is_async else ask_person
    agent = tool_agent(Scripted(calls(("ask_person", {"question": "Which one?"})), "Fine."), "", tools=[asks])
    run = agent.launch({"question": "?"})

    assert run.asking(timeout=10).text == "Which one?"
    run.answer("the red one")

    assert results(run.wait(10).store["messages"]) == [("ask_person", "the red one")]


def test_a_question_that_nobody_can_answer_is_for_the_user_and_not_for_the_model() -> None:
    @tool
    def ask_person(question: str) -> str:
        """Ask a person."""
        return str(ask(question))

    agent = tool_agent(Scripted(calls(("ask_person", {"question": "Which?"})), "Fine."), "", tools=[ask_person])

    with pytest.raises(CannotAsk):
        agent.run({"question": "?"})


@node
def look(shared: Any) -> None:
    shared["pages"] = [shared["topic"]]


@node
async def sum_up(shared: Any) -> None:
    shared["found"] = f"{len(shared['pages'])} page on {shared['topic']}"


def research(**options: Any) -> Flow:
    return linear(look, sum_up, name="research") if not options else Flow(linear(look, sum_up, name="inner"), name="research", **options)


@pytest.mark.parametrize("given", [
    research(inputs=["topic"], outputs=["found"]), research(inputs={"topic": "topic"}, outputs={"found": "notes"}),
    tool(research(), inputs=["topic"]), tool(research(), inputs={"topic": str}, name="research"),
])
def test_a_flow_is_a_tool_with_a_store_of_its_own(given: Any) -> None:
    run = launched(Scripted(calls(("research", {"topic": "tides"}), ("research", {"topic": "moons"})), "Fine."), given)

    assert run.status == "done"
    told = [content for _, content in results(run.store["messages"])]
    assert sorted("1 page on" in content for content in told) == [True, True]
    assert set(run.store) == {"question", "messages", "answer"}
    assert "research/sum_up" in run.state().nodes or "research/inner/sum_up" in run.state().nodes


def test_a_flow_that_fails_as_a_tool_is_told_to_the_model() -> None:
    @node
    def fail(shared: Any) -> None:
        raise ValueError("no such topic")

    run = launched(Scripted(calls(("look up", {"topic": "tides"}), ("look_up", {"topic": "tides"})), "Sorry."),
                   Flow(fail, name="look up", inputs=["topic"]))

    assert run.store["answer"] == "Sorry."
    assert ("look_up", "Error: ValueError: no such topic") in results(run.store["messages"])


@pytest.mark.parametrize("options", [{"max_steps": 1}, {"timeout": 0.05}, {"budget": {"tokens": 5}}])
def test_a_flow_that_reaches_its_own_limit_is_told_to_the_model(options: Any) -> None:
    @node
    async def work(shared: Any) -> str:
        emit("usage", tokens=9)
        await asyncio.sleep(0.01)
        return "again"

    work - "again" >> work
    endless = Flow(work, name="endless", inputs=["topic"], **options)

    run = launched(Scripted(calls(("endless", {"topic": "tides"})), "Sorry."), endless)

    assert run.store["answer"] == "Sorry."
    assert results(run.store["messages"])[0][1].startswith("Error: ")


def test_a_flow_that_takes_longer_than_its_tool_may_is_told_to_the_model() -> None:
    @node
    async def wait(shared: Any) -> None:
        await asyncio.Event().wait()

    run = launched(Scripted(calls(("slow", {"topic": "tides"})), "Sorry."), tool(Flow(wait, name="slow"), inputs=["topic"], timeout=0.05))

    assert results(run.store["messages"])[0][1].startswith("Error: TimeoutError")


def test_flows_keep_what_they_are_when_they_are_tools() -> None:
    class Careful(Flow):
        def prep(self, shared: Any) -> None:
            shared["prepared"] = True

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["found"] = f"{shared['prepared']} {shared['topic']}"

    careful = tool(Careful(node(lambda shared: None), name="careful"), inputs=["topic"])
    inner = linear(look, sum_up, name="inner")
    inner - "more" >> Node()

    run = launched(Scripted(calls(("careful", {"topic": "tides"})), calls(("inner", {"topic": "moons"})), "Fine."),
                   careful, tool(inner, inputs=["topic"]))

    assert "True tides" in results(run.store["messages"])[0][1]
    assert "1 page on moons" in results(run.store["messages"])[1][1]


def test_cached_replies_are_not_asked_for_again_and_tools_always_run(tmp_path: Any) -> None:
    asked, ran = [], []

    async def model(messages: list[Any], *, tools: Any = None, schema: Any = None) -> Reply:
        asked.append(messages)
        return Reply("Fine.") if tools is None or messages[-1]["role"] == "tool" else calls(("act", {}))

    @tool
    def act() -> str:
        """Act."""
        ran.append(1)
        return "done"

    flow = linear(tool_agent(model, "", tools=[act], name="desk"), Chat(model, "{answer}?", writes="end"))
    for _ in range(2):
        run = flow.launch({"question": "?"}, cache=tmp_path / "cache.sqlite").wait(10)
        assert run.store["end"] == "Fine."

    assert (len(asked), len(ran)) == (3, 2)


def test_an_agent_is_a_tool_of_another_agent() -> None:
    helper = tool_agent(Scripted(calls(("add", {"a": 40, "b": 2})), "It is 42."), "You calculate.", tools=[add], name="helper")
    model = Scripted(calls(("helper", {"question": "40 + 2?"})), "42.")

    run = launched(model, helper)

    assert results(run.store["messages"]) == [("helper", "It is 42.")]
    assert run.store["question"] == "What is it?"
    assert run.store["answer"] == "42."


class Counter(Agent):
    async def init(self) -> None:
        self.seen: list[Any] = []

    async def handle_call(self, message: Any, caller: Any) -> Any:
        self.seen.append(message)
        return f"{message} is number {len(self.seen)}"


def test_a_running_agent_is_a_tool_by_its_ref() -> None:
    ref = Counter.start_sync(name="counter")
    try:
        run = launched(Scripted(calls(("counter", {"message": "one"})), calls(("counter", {"message": "two"})), "Fine."), ref)
    finally:
        ref.stop_sync()

    assert results(run.store["messages"]) == [("counter", "one is number 1"), ("counter", "two is number 2")]


def test_an_agent_that_is_gone_is_told_to_the_model() -> None:
    ref = Counter.start_sync(name="gone")
    ref.stop_sync()

    run = launched(Scripted(calls(("gone", {"message": "one"})), "Sorry."), ref)

    assert results(run.store["messages"])[0][1].startswith("Error: NotRunning")


def test_a_busy_provider_is_asked_again_after_the_time_it_wants() -> None:
    run = launched(Scripted(ModelBusy("later", retry_after=0.01), "Fine."), retry=None)
    assert isinstance(run.error, ModelBusy)

    assert launched(Scripted(ModelBusy("later", retry_after=0.01), "Fine."), retry=Retry(2, on=ModelBusy)).store["answer"] == "Fine."


def test_streamed_calls_are_put_together() -> None:
    turns = iter([
        [Delta("I add."), Delta(tool_calls=[ToolCallDelta(0, "add", '{"a": ', "x1")]),
         Delta(tool_calls=[ToolCallDelta(1, "shout", "", "x2")]),
         Delta(tool_calls=[ToolCallDelta(0, "", "1}"), ToolCallDelta(1, "", '{"text": "a"}')]), Delta(finish="tool_calls", usage=9)],
        [Delta(tool_calls=[ToolCall("add", {"a": 5})])], [Delta("Fi"), Delta("ne.")],
    ])

    async def model(messages: list[Any], *, tools: Any = None, schema: Any = None) -> AsyncIterator[Delta]:
        for piece in next(turns):
            yield piece

    run = launched(model)

    assert run.store["answer"] == "Fine."
    assert sorted(results(run.store["messages"])) == [("add", "2"), ("add", "6"), ("shout", "A")]
    assert run.usage.tokens == 9


@pytest.mark.parametrize("ids", [("", ""), ("a", "a"), ("call_1", "")])
def test_calls_get_ids_of_their_own(ids: tuple[str, str]) -> None:
    model = Scripted(Reply("", [ToolCall("add", {"a": 1}, ids[0]), ToolCall("add", {"a": 2}, ids[1])]),
                     Reply("", [ToolCall("add", {"a": 3}, ids[0])]), "Fine.")

    messages = launched(model).store["messages"]

    asked = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert len(set(asked)) == 3
    assert sorted(message["tool_call_id"] for message in messages if message["role"] == "tool") == sorted(asked)


def test_events_tell_the_conversation() -> None:
    run = launched(Scripted(calls(("add", {"a": 2}), ("broken", {"text": "luck"})), "Fine."))

    assert [message["role"] for message in run.messages] == ["system", "user", "assistant", "assistant"]
    told = {event["name"]: event for event in run.events if event.kind == "tool"}
    assert (told["add"]["result"], told["add"]["arguments"]) == ("3", {"a": 2})
    assert "LookupError" in told["broken"]["error"]
    assert {event["id"] for event in told.values()} == {call["id"] for call in run.messages[2]["tool_calls"]}
    assert all(event["seconds"] >= 0 for event in told.values())


def test_steps_can_be_made_one_by_one_and_in_another_flow() -> None:
    agent = tool_agent(Scripted(calls(("add", {"a": 1})), "Fine."), "", tools=[add], name="desk")
    flow = linear(agent, Chat(Scripted("So be it."), "{answer}?", writes="end"), name="whole")

    run = flow.launch({"question": "?"})
    run.wait(10)

    assert run.store["end"] == "So be it."
    assert run.state().nodes["desk/think"].visits == 2


def test_a_paused_agent_makes_one_step_at_a_time() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def model(messages: list[Any], *, tools: Any = None) -> Reply:
        begun.set()
        go_on.wait(10)
        return Reply("Fine.") if messages[-1]["role"] == "tool" else calls(("add", {"a": 1}))

    run = tool_agent(model, "", tools=[add]).launch({"question": "?"})
    assert begun.wait(10)
    run.pause()
    go_on.set()
    seen = []
    for _ in range(3):
        _until(lambda: (run.status == "paused" and run.hops == len(seen) + 1) or run.done())
        seen.append(len(results(run.store["messages"])))
        run.step()
    run.wait(10)

    assert seen == [0, 1, 1]
    assert run.store["answer"] == "Fine."


def _until(is_so: Any) -> None:
    done = threading.Event()
    for _ in range(2_000):
        if is_so():
            return
        done.wait(0.005)
    raise AssertionError("not in time")


@pytest.mark.parametrize(("make", "error", "told"), [
    (lambda: tool_agent("gpt", "", tools=[]), TypeError, "which cannot be called"),
    (lambda: tool_agent(lambda messages: "", "", tools=[add]), TypeError, "takes no tools; give it the keyword"),
    (lambda: tool_agent(Scripted(), None, tools=[]), TypeError, "the instructions are a text"),
    (lambda: tool_agent(Scripted(), "", tools=[add], max_steps=0), ValueError, "a whole number of at least 1"),
    (lambda: tool_agent(Scripted(), "", tools=[add], reads=3), TypeError, "(reads=3): the name of a key"),
    (lambda: tool_agent(Scripted(), "", tools=[add], returns=str), TypeError, "a dataclass, a TypedDict or a pydantic model"),
    (lambda: tool_agent(Scripted(), "", tools=[tool(add.target, name="default")]), BadTool, "cannot be named 'default'"),
])
def test_what_is_wrong_is_told_before_anything_is_called(make: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        make()

    assert told in str(caught.value)


def test_a_missing_question_is_told_with_the_nearest_name() -> None:
    with pytest.raises(StoreError, match=r"the store has no such key; did you mean 'questions'\?"):
        tool_agent(Scripted(), "", tools=[add]).run({"questions": "?"})


def test_a_tool_may_be_named_as_a_node_is() -> None:
    run = launched(Scripted(calls(("think", {"a": 1})), "Fine."), tool(add.target, name="think"))

    assert results(run.store["messages"]) == [("think", "2")]


def test_the_checks_find_nothing_wrong_with_it() -> None:
    assert tool_agent(Scripted(), "", tools=[add, shout, research(inputs=["topic"], outputs=["found"])]).check() == []


def test_a_hundred_calls_at_once_are_all_answered() -> None:
    run = launched(Scripted(calls(*[("add", {"a": n, "b": 0}) for n in range(100)]), "Fine."))

    assert [content for _, content in results(run.store["messages"])] != []
    assert sorted(int(content) for _, content in results(run.store["messages"])) == list(range(100))
    assert not [event for event in run.events if event.kind == "conflict"]
