"""A node that asks a model: what it sends, what it writes, what it tells, and what it does with replies that are no answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import pydantic
import pytest

from pocketflex_nb import Flow, Node, Retry, Store, linear
from pocketflex_nb.core.errors import BudgetSpent, StoreError
from pocketflex_nb.llm import Chat, CutOff, Delta, EmptyReply, ModelBusy, Refusal, Reply, TokenUsage, WrongShape
from tests.llm.models import Scripted, calls

USED = {"input_tokens": 7, "output_tokens": 4}


def plain(messages: list[Any], *, tools: Any = None, schema: Any = None) -> Reply:
    return Reply("The moon.", usage=USED)


def texts(messages: list[Any]) -> str:
    return "The moon."


def generator(messages: list[Any]) -> Iterator[Delta]:
    yield Delta("The ")
    yield Delta("moon.", usage=USED)


async def awaited(messages: list[Any], *, tools: Any = None, schema: Any = None) -> Reply:
    await asyncio.sleep(0)
    return Reply("The moon.", usage=USED)


async def stream(messages: list[Any], **more: Any) -> AsyncIterator[Delta | str]:
    yield "The "
    yield Delta("moon.")
    yield Delta(usage=USED)


async def gives_stream(messages: list[Any]) -> AsyncIterator[Delta | str]:
    return stream(messages)


class Callable:
    async def __call__(self, messages: list[Any], *, tools: Any = None, schema: Any = None) -> Reply:
        return Reply("The moon.", usage=USED)


MODELS = [plain, texts, generator, awaited, stream, gives_stream, Callable(), partial(plain), partial(stream, temperature=0),
          lambda messages: stream(messages)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", ["run", "run_async", "launch", "node"])
def test_any_callable_is_a_model_whichever_way_the_flow_runs(model: Any, way: str) -> None:
    chat = Chat(model, "What makes {what}?")
    store: Any = {"what": "tides"}

    if way == "run":
        Flow(chat).run(store)
    elif way == "node":
        chat.run(store)
    elif way == "run_async":
        asyncio.run(_awaited(Flow(chat), store))
    else:
        run = Flow(chat).launch(store).wait(10)
        store = run.store
        assert run.usage.tokens == (0 if model is texts else 11)
        assert "".join(event["text"] for event in run.events if event.get("stream") == "token") == "The moon."
        assert [(message["role"], message["text"]) for message in run.messages] == [
            ("user", "What makes tides?"), ("assistant", "The moon.")]

    assert store["answer"] == "The moon."


async def _awaited(flow: Flow, store: Any) -> None:
    await flow.run_async(store)


def test_a_plain_model_blocks_nobody() -> None:
    both = threading.Barrier(2)

    def slow(messages: list[Any]) -> str:
        both.wait(10)
        return "done"

    runs = [Flow(Chat(slow, "x")).launch() for _ in range(2)]

    assert [run.wait(10).store["answer"] for run in runs] == ["done", "done"]


def test_prompt_and_system_are_filled_from_store_and_params() -> None:
    model = Scripted("yes")
    chat = Chat(model, "{n:03d} {topic!r} {style[tone]} {notes[0]} {{kept}}", system="You are {role}.")
    chat.set_params({"topic": "mine"})

    chat.run({"n": 7, "topic": "theirs", "style": {"tone": "dry"}, "notes": ["a"], "role": "a poet"})

    assert model.heard() == [("system", "You are a poet."), ("user", "007 'mine' dry a {kept}")]


def test_a_missing_key_is_told_with_the_nearest_name() -> None:
    run = Flow(Chat(Scripted(), "About {topics}", name="write")).launch({"topic": "tides"}).wait(10)

    assert isinstance(run.error, StoreError)
    assert str(run.error) == "Chat 'write': the prompt fills {topics}, and the store has no such key; did you mean 'topic'?"


@pytest.mark.parametrize(("make", "error", "told"), [
    (lambda: Chat("gpt", "x"), TypeError, "the model is 'gpt', which cannot be called; a model is a callable, such as openai_model()"),
    (lambda: Chat(Scripted, "x"), TypeError, "which cannot be called"),
    (lambda: Chat(plain, 7), TypeError, "the prompt is a text with store keys in braces"),
    (lambda: Chat(plain, "write {"), ValueError, "write braces that are meant as {{ and }}"),
    (lambda: Chat(plain, "write {}"), ValueError, "names no key of the store; write {topic}"),
    (lambda: Chat(plain, 'like {"a": 1}', writes="d"), ValueError, "names no key of the store"),
    (lambda: Chat(plain, "x", returns={"ok": bool}), TypeError, "a dataclass, a TypedDict or a pydantic model is needed"),
    (lambda: Chat(plain, "x", returns=str), TypeError, "a dataclass, a TypedDict or a pydantic model is needed"),
    (lambda: Chat(plain, "x", returns=Odd), TypeError, "Odd): JSON has no form for Node"),
    (lambda: Chat(plain, "x", write="d"), TypeError, "Chat() has no option 'write'; did you mean 'writes'?"),
    (lambda: Chat(plain, "x", writes=3), TypeError, "(writes=3): the name of a key of the store is needed"),
    (lambda: Chat(plain, "x", messages=True), TypeError, "(messages=True): the name of a key"),
])
def test_what_is_wrong_is_told_when_the_node_is_made(make: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        make()

    assert told in str(caught.value)


@dataclass
class Odd:
    node: Node


@pytest.mark.parametrize("say", [None, 42, ["text"], {"text": "x"}])
def test_what_is_no_reply_is_told_with_the_mend(say: Any) -> None:
    run = Flow(Chat(lambda messages: say, "x")).launch().wait(10)

    assert isinstance(run.error, TypeError)
    assert "return a Reply or a text, or yield Deltas" in str(run.error)


def test_a_conversation_is_kept_and_gone_on_with() -> None:
    model = Scripted("Hello Ada.", "Ada.")
    chat = Chat(model, "{line}", system="Be brief.", messages="talk")
    store = Store({"line": "I am Ada."})

    chat.run(store)
    store["line"] = "Who am I?"
    chat.run(store)

    assert model.heard() == [("system", "Be brief."), ("user", "I am Ada."), ("assistant", "Hello Ada."), ("user", "Who am I?")]
    assert [message["content"] for message in store["talk"]] == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]


def test_nodes_side_by_side_lose_nothing_of_one_conversation() -> None:
    start = Node()
    start >> [Chat(awaited, f"question {n}", messages="talk", writes=f"answer {n}") for n in range(10)]

    run = Flow(start).launch().wait(10)

    assert sorted(message["content"] for message in run.store["talk"] if message["role"] == "user") == [f"question {n}" for n in range(10)]
    assert not [event for event in run.events if event.kind == "conflict"]


@pytest.mark.parametrize("held", ["text", 7, [1], {"role": "user"}])
def test_what_is_no_conversation_is_told(held: Any) -> None:
    run = Flow(Chat(Scripted(), "x", messages="talk")).launch({"talk": held}).wait(10)

    assert "and not a list of messages" in str(run.error)


@dataclass
class Verdict:
    ok: bool
    why: str = ""


class Judged(TypedDict):
    ok: bool


class Graded(pydantic.BaseModel):
    ok: bool
    grade: int = pydantic.Field(default=3, le=5)


SHAPES = [(Verdict, '{"ok": true, "why": "short"}', Verdict(True, "short")), (Judged, '{"ok": false}', {"ok": False}),
          (Graded, '{"ok": true, "grade": 2}', Graded(ok=True, grade=2)), (Verdict, '```json\n{"ok": true}\n```', Verdict(True))]


@pytest.mark.parametrize(("kind", "text", "value"), SHAPES)
def test_a_structured_answer_is_a_value_of_its_type(kind: Any, text: str, value: Any) -> None:
    model = Scripted(text)
    store: dict[str, Any] = {}

    Chat(model, "Is it?", returns=kind, writes="verdict").run(store)

    assert store["verdict"] == value
    assert model.asked[0]["schema"]["title"] == kind.__name__
    assert "ok" in model.asked[0]["schema"]["properties"]


@pytest.mark.parametrize(("wrong", "told"), [
    ("maybe", "not valid JSON"), ('{"ok": "perhaps"}', "field 'ok' needs bool"), ("{}", "the field 'ok' is missing"),
    ('{"ok": true, "extra": 1}', "no field 'extra'"), ("[true]", "must be a JSON object"), ('{"ok": tr', "not valid JSON"),
])
def test_a_reply_that_does_not_fit_is_told_back_and_asked_again(wrong: str, told: str) -> None:
    model = Scripted(wrong, '{"ok": true}')

    run = Flow(Chat(model, "Is it?", returns=Verdict, messages="talk")).launch().wait(10)

    assert run.store["answer"] == Verdict(True)
    assert model.heard()[1] == ("assistant", wrong)
    assert told in model.heard()[2][1]
    assert len(run.store["talk"]) == 2
    assert [message["role"] for message in run.messages] == ["user", "assistant", "user", "assistant"]


def test_after_three_replies_that_do_not_fit_it_fails() -> None:
    model = Scripted("no", "no", "no", '{"ok": true}')

    run = Flow(Chat(model, "Is it?", returns=Verdict)).launch().wait(10)

    assert isinstance(run.error, WrongShape)
    assert run.error.text == "no"
    assert "after 3 tries" in str(run.error)


def test_a_model_that_takes_no_schema_is_asked_in_words() -> None:
    heard = []

    def model(messages: list[Any]) -> str:
        heard.append(messages[-1]["content"])
        return '{"ok": true}'

    Chat(model, "Is it?", returns=Verdict).run({})

    assert heard[0].startswith("Is it?\n\nAnswer with JSON only, which fits this schema: {")


@pytest.mark.parametrize(("reply", "error", "text"), [
    (Reply(""), EmptyReply, ""), (Reply(" \n"), EmptyReply, " \n"), (Reply(refusal="I must not."), Refusal, "I must not."),
    (Reply("Bad wo", finish="content_filter"), Refusal, "Bad wo"), (Reply("Once upon", finish="length"), CutOff, "Once upon"),
])
@pytest.mark.parametrize("returns", [None, Verdict])
def test_a_reply_that_is_no_answer_is_an_error_and_writes_nothing(reply: Reply, error: Any, text: str, returns: Any) -> None:
    run = Flow(Chat(Scripted(reply), "Tell.", returns=returns, messages="talk")).launch().wait(10)

    assert type(run.error) is error
    assert (error is EmptyReply) or run.error.text == text
    assert not dict(run.store)


def test_a_reply_that_calls_tools_is_told_to_the_reader() -> None:
    run = Flow(Chat(Scripted(calls(("search", {}))), "Tell.")).launch().wait(10)

    assert "the model called the tool 'search', and a Chat has none; use tool_agent" in str(run.error)


def test_no_answer_is_taken_by_an_error_edge_or_asked_again() -> None:
    chat, apology = Chat(Scripted("", "Fine."), "x", max_retries=2), Node()
    refused = Chat(Scripted(Reply(refusal="no")), "x", writes="other")
    refused.on_error(apology)
    chat >> refused

    run = Flow(chat).launch().wait(10)

    assert run.status == "done"
    assert dict(run.store) == {"answer": "Fine."}


def test_the_wait_between_tries_is_what_the_provider_asks_for() -> None:
    for options in ({"retry": Retry(3, wait=0.01, on=ModelBusy)}, {"max_retries": 2, "wait": 0.01}):
        run = Flow(Chat(Scripted(ModelBusy("later", retry_after=0.3), "Fine."), "x", **options)).launch().wait(10)

        assert run.store["answer"] == "Fine."
        assert run.seconds >= 0.3


@pytest.mark.parametrize(("asked", "wait"), [(None, 1.0), (0.5, 1.0), (20, 20.0), (500, 60.0), ("soon", 1.0), (-3, 1.0)])
def test_a_retry_waits_as_long_as_asked_within_its_bound(asked: Any, wait: float) -> None:
    from pocketflex_nb.core.flow.retry_policy import asked_delay

    error = ModelBusy("later", retry_after=asked)

    assert Retry(3, wait=1, max_wait=60).delay(0, after=asked_delay(error)) == wait


def test_what_a_reply_used_counts_against_a_budget_that_keeps_the_store() -> None:
    used = TokenUsage(60, 60, cost=0.5)
    flow = linear(Chat(Scripted(Reply("One.", usage=used)), "x", writes="one"), Chat(Scripted("Two."), "x", writes="two"))

    for budget, what in (({"tokens": 100}, "tokens"), ({"cost": 0.4}, "cost")):
        flow.start_node.model.says = [Reply("One.", usage=used)]
        run = flow.launch(budget=budget).wait(10)

        assert isinstance(run.error, BudgetSpent)
        assert (run.error.what, dict(run.store)) == (what, {"one": "One."})


@pytest.mark.parametrize("used", [
    {"prompt_tokens": 3, "completion_tokens": 4}, {"input_tokens": 3, "output_tokens": 4}, {"total_tokens": 7}, {"tokens": 7}, 7,
    TokenUsage(3, 4),
])
def test_usage_is_counted_however_it_is_told(used: Any) -> None:
    run = Flow(Chat(Scripted(Reply("x", usage=used)), "x")).launch().wait(10)

    assert run.usage.tokens == 7


def test_streams_side_by_side_stay_apart() -> None:
    async def count(messages: list[Any]) -> AsyncIterator[str]:
        for n in range(5):
            yield f"{messages[-1]['content']}{n} "
            await asyncio.sleep(0)

    start = Node()
    start >> [Chat(count, "a", writes="a", name="one"), Chat(count, "b", writes="b", name="two")]

    run = Flow(start).launch().wait(10)

    assert run.store["a"] == "a0 a1 a2 a3 a4 "
    said = {name: "".join(event["text"] for event in run.events if event.get("stream") == "token" and event.node == name)
            for name in ("one", "two")}
    assert said == {"one": run.store["a"], "two": run.store["b"]}


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_cancelled_stream_is_closed_and_its_half_is_no_answer(is_plain: bool) -> None:
    begun, closed, go_on = threading.Event(), threading.Event(), threading.Event()

    async def stream(messages: list[Any]) -> AsyncIterator[str]:
        try:
            yield "Half an "
            begun.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    def generator(messages: list[Any]) -> Iterator[str]:
        try:
            yield "Half an "
            begun.set()
            go_on.wait(10)
            yield "answer"
            yield "that nobody reads"
        finally:
            closed.set()

    run = Flow(Chat(generator if is_plain else stream, "x", messages="talk")).launch()
    assert begun.wait(10)
    run.cancel()
    run.wait(10)
    go_on.set()

    assert run.status == "cancelled"
    assert closed.wait(10)
    assert [(message["text"], message["partial"]) for message in run.messages if message["role"] == "assistant"] == [("Half an ", True)]
    assert not dict(run.store)


def test_a_stream_that_breaks_is_kept_as_an_event_and_tried_again() -> None:
    tries = []

    async def breaks(messages: list[Any]) -> AsyncIterator[str]:
        tries.append(1)
        yield "Half "
        if len(tries) < 2:
            raise ConnectionError("gone")
        yield "and half."

    run = Flow(Chat(breaks, "x", max_retries=2)).launch().wait(10)

    assert run.store["answer"] == "Half and half."
    assert [(message["text"], message.get("partial")) for message in run.messages] == [
        ("x", None), ("Half ", True), ("Half and half.", None)]


def test_a_copied_flow_asks_the_same_model() -> None:
    model = Scripted("one", "two")
    flow = Flow(Chat(model, "x"), name="f")

    flow.run({})
    flow.copy("g").run({})

    assert len(model.asked) == 2
