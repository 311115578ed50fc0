"""Messages are recognised in the usual shapes of the usual libraries, without importing or running anything of theirs."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from pocketflex_nb.core.frozen.freezer import MISSING, Freezer
from pocketflex_nb.views.conversation.message_shapes import AskedCall, CallResult, Spoken, is_conversation_key, read_message


def read(value: Any) -> list[Spoken]:
    return read_message(Freezer().freeze(value, MISSING))


class BaseMessage(BaseModel):  # fields and names as LangChain has them
    content: Any
    additional_kwargs: dict[str, Any] = {}
    name: str | None = None
    id: str | None = None


class HumanMessage(BaseMessage):
    type: str = "human"


class AIMessage(BaseMessage):
    type: str = "ai"
    tool_calls: list[dict[str, Any]] = []
    usage_metadata: dict[str, Any] | None = None


class AIMessageChunk(AIMessage):
    type: str = "AIMessageChunk"


class ToolMessage(BaseMessage):
    type: str = "tool"
    tool_call_id: str
    status: str = "success"


class Function(BaseModel):  # as OpenAI's client has them
    name: str
    arguments: str


class ChatCompletionMessageToolCall(BaseModel):
    id: str
    function: Function
    type: str = "function"


class ChatCompletionMessage(BaseModel):
    role: str = "assistant"
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ChatCompletionMessageToolCall] | None = None


class MessageRole(str, enum.Enum):  # as LlamaIndex has them  # noqa: UP042
    USER = "user"


@dataclass
class TextBlock:
    text: str
    block_type: str = "text"


@dataclass
class ChatMessage:
    role: MessageRole
    blocks: list[TextBlock] = field(default_factory=list)


class Own:
    """A class of a user's own."""

    def __init__(self, role: str, content: str) -> None:
        self.role, self.content = role, content


class Slotted:
    __slots__ = ("content", "role")

    def __init__(self, role: str, content: str) -> None:
        self.role, self.content = role, content


CALL = (AskedCall("1", "search", {"query": "tides"}),)
SHAPES: dict[str, tuple[Any, list[Spoken]]] = {
    "an OpenAI dict": ({"role": "user", "content": "hi"}, [Spoken("user", "hi")]),
    "an OpenAI developer": ({"role": "developer", "content": "be kind"}, [Spoken("system", "be kind")]),
    "OpenAI's content parts": (
        {"role": "user", "content": [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "data:..."}}]},
        [Spoken("user", "what is\n[image]")],
    ),
    "OpenAI's tool calls": (
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "1", "type": "function", "function": {"name": "search", "arguments": '{"query": "tides"}'}}]},
        [Spoken("assistant", calls=CALL)],
    ),
    "OpenAI's arguments cut off": (
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "search", "arguments": '{"query": "ti'}}]},
        [Spoken("assistant", calls=(AskedCall("1", "search", '{"query": "ti'),))],
    ),
    "OpenAI's tool message": (
        {"role": "tool", "tool_call_id": "1", "content": "three pages"}, [Spoken("tool", results=(CallResult("1", "", "three pages"),))],
    ),
    "OpenAI's function of old": (
        {"role": "assistant", "content": None, "function_call": {"name": "search", "arguments": "{}"}},
        [Spoken("assistant", calls=(AskedCall("", "search", {}),))],
    ),
    "an OpenAI refusal": (ChatCompletionMessage(refusal="No."), [Spoken("assistant", "No.")]),
    "an OpenAI object": (
        ChatCompletionMessage(
            tool_calls=[ChatCompletionMessageToolCall(id="1", function=Function(name="search", arguments='{"query": "tides"}'))],
        ),
        [Spoken("assistant", calls=CALL)],
    ),
    "OpenAI's responses": (
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Twice."}]}, [Spoken("assistant", "Twice.")],
    ),
    "a call in OpenAI's responses": (
        {"type": "function_call", "call_id": "1", "name": "search", "arguments": '{"query": "tides"}'}, [Spoken("assistant", calls=CALL)],
    ),
    "a result in OpenAI's responses": (
        {"type": "function_call_output", "call_id": "1", "output": "3"}, [Spoken("tool", results=(CallResult("1", "", "3"),))],
    ),
    "Anthropic's call": (
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "1", "name": "search", "input": {"query": "tides"}},
        ]},
        [Spoken("assistant", "I look.", calls=CALL)],
    ),
    "Anthropic's result": (
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "3"}], "is_error": True},
        ]},
        [Spoken("user", results=(CallResult("1", "", "3", True),))],
    ),
    "Anthropic's thinking": (
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hmm"}, {"type": "text", "text": "Yes."}]},
        [Spoken("assistant", "[thinking, 3 characters]\nYes.")],
    ),
    "Gemini's parts": ({"role": "model", "parts": [{"text": "Twice."}]}, [Spoken("assistant", "Twice.")]),
    "Gemini's call": (
        {"role": "model", "parts": [{"function_call": {"name": "search", "args": {"query": "tides"}}}]},
        [Spoken("assistant", calls=(AskedCall("", "search", {"query": "tides"}),))],
    ),
    "LangChain's human": (HumanMessage(content="hi"), [Spoken("user", "hi")]),
    "LangChain's answer": (
        AIMessage(content="", tool_calls=[{"name": "search", "args": {"query": "tides"}, "id": "1"}],
                  usage_metadata={"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}),
        [Spoken("assistant", calls=CALL, input_tokens=7, output_tokens=2)],
    ),
    "LangChain's chunk": (AIMessageChunk(content="Tw"), [Spoken("assistant", "Tw")]),
    "LangChain's tool": (
        ToolMessage(content="no page", tool_call_id="1", name="read", status="error"),
        [Spoken("tool", author="read", results=(CallResult("1", "read", "no page", True),))],
    ),
    "LangChain as dicts": ({"type": "human", "content": "hi"}, [Spoken("user", "hi")]),
    "LlamaIndex": (ChatMessage(MessageRole.USER, [TextBlock("hi")]), [Spoken("user", "hi")]),
    "pydantic-ai's request": (
        SimpleNamespace(kind="request", parts=[
            SimpleNamespace(part_kind="system-prompt", content="be kind"), SimpleNamespace(part_kind="user-prompt", content="hi"),
        ]),
        [Spoken("system", "be kind"), Spoken("user", "hi")],
    ),
    "pydantic-ai's response": (
        SimpleNamespace(kind="response", parts=[
            SimpleNamespace(part_kind="text", content="I look."),
            SimpleNamespace(part_kind="tool-call", tool_name="search", args='{"query": "tides"}', tool_call_id="1"),
        ]),
        [Spoken("assistant", "I look.", calls=CALL)],
    ),
    "a pair": (("user", "hi"), [Spoken("user", "hi")]),
    "a pair as a list": (["assistant", "hi"], [Spoken("assistant", "hi")]),
    "an object of one's own": (Own("user", "hi"), [Spoken("user", "hi")]),
    "an object with slots": (Slotted("agent", "hi"), [Spoken("assistant", "hi")]),
    "a role of one's own": ({"role": "critic", "content": "too long", "name": "ann"}, [Spoken("critic", "too long", "ann")]),
    "a long text": ({"role": "user", "content": "x" * 10_000}, [Spoken("user", "x" * 10_000)]),
}
NONE: list[Any] = [
    None, 3, "user", "user: hi", [], ["user"], ["a", "b"], ("user", "a", "b"), {}, {"role": "user"}, {"content": "hi"},
    {"role": 3, "content": "hi"}, {"type": "circle", "content": 3}, object(), {"name": "search", "arguments": {}},
    {str(k): k for k in range(100)} | {"role": "user", "content": ""},
    Own, range(3), {"user", "hi"}, {"kind": "request"},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_usual_shape_is_recognised(shape: str) -> None:
    value, spoken = SHAPES[shape]

    assert read(value) == spoken


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_what_is_no_message_is_none(value: Any) -> None:
    assert read(value) == []


def test_no_code_of_a_message_runs_and_nothing_is_imported() -> None:
    class Trap:
        def __init__(self) -> None:
            self.role = "user"

        @property
        def content(self) -> str:
            raise AssertionError("asked")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

        __eq__ = __hash__ = __iter__ = __len__ = __repr__ = __getattr__  # type: ignore[assignment]  # none of them may be called

    before = set(sys.modules)

    assert read(Trap()) == []
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("key", "may"),
    [("messages", True), ("Messages", True), ("chat_history", True), ("planner_messages", True), ("history", True), ("chat", True),
     ("message", False), ("messages_sent", False), ("text", False), (3, False), (None, False)],
)
def test_a_list_counts_by_the_name_of_its_key(key: object, may: bool) -> None:
    assert is_conversation_key(key) is may
