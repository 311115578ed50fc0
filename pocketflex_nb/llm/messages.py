"""What passes between flows and models: `Reply`, `Delta` and their parts.

A conversation is a list of plain dicts in the form of OpenAI's chat completions, so that it can be stored, printed and sent as it is:
``{"role": "user", "content": "…"}``; an assistant's message may have ``tool_calls``, and each is answered by a message with the role
``tool`` and its ``tool_call_id``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Delta", "Message", "Model", "Reply", "ReplyBuilder", "TokenUsage", "ToolCall", "ToolCallDelta", "assistant_message", "usage_of"]

#: one message of a conversation
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What one reply used.

    Parameters
    ----------
    input_tokens, output_tokens : int
        Tokens that were sent, and that came back.
    cost : float
        In whatever currency the prices are; 0 where none are known.

    Attributes
    ----------
    tokens : int
        Both together: what budgets count.

    Examples
    --------
    >>> TokenUsage(120, 30).tokens
    150
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in both directions."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for.

    Parameters
    ----------
    name : str
        Of the tool.
    arguments : str or mapping
        JSON as the model wrote it, which may be broken; a mapping is written as JSON.
    id : str
        By which the result is matched; numbered when it is empty.

    Examples
    --------
    >>> ToolCall("search", {"query": "tides"})
    ToolCall(name='search', arguments='{"query": "tides"}', id='')
    """

    name: str
    arguments: str = "{}"
    id: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.arguments, str):
            object.__setattr__(self, "arguments", json.dumps(self.arguments, ensure_ascii=False, default=str))


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; pieces with the same `index` belong together.

    Parameters
    ----------
    index : int
        Number of the call in its reply, from 0.
    name, arguments, id : str
        Appended to what came before.
    """

    index: int = 0
    name: str = ""
    arguments: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply of a model.

    Parameters
    ----------
    text : str
        What it says.
    tool_calls : sequence of ToolCall
        What it asks for; dicts in OpenAI's form and pairs (name, arguments) are taken too.
    usage : TokenUsage, mapping or int, optional
        A mapping has ``input_tokens`` and ``output_tokens``, or ``prompt_tokens`` and ``completion_tokens``; a number is all tokens.
    finish : str
        Why it ended: ``"stop"``, ``"tool_calls"``, ``"length"`` when it was cut off, ``"content_filter"``.
    refusal : str
        Why it refuses, if it does.

    Examples
    --------
    >>> reply = Reply("I will look.", [("search", {"query": "tides"})], {"input_tokens": 20, "output_tokens": 9})
    >>> reply.tool_calls[0].name, reply.usage.tokens
    ('search', 29)
    """

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    usage: TokenUsage | None = None
    finish: str = "stop"
    refusal: str = ""

    def __post_init__(self) -> None:
        if type(self.tool_calls) is not tuple or any(type(call) is not ToolCall for call in self.tool_calls):
            object.__setattr__(self, "tool_calls", tuple(map(_call_of, self.tool_calls or ())))
        if self.usage is not None and type(self.usage) is not TokenUsage:
            object.__setattr__(self, "usage", usage_of(self.usage))
        if self.text is None:
            object.__setattr__(self, "text", "")


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply that is streamed; every part may be left out.

    Parameters
    ----------
    text : str
        Appended to the text so far.
    tool_calls : sequence of ToolCallDelta or ToolCall
        Pieces of calls, or whole calls.
    usage : TokenUsage, mapping or int, optional
        As for `Reply`; the last one counts.
    finish : str
        Why the reply ended, with the last piece.
    refusal : str
        Appended to the refusal so far.

    Examples
    --------
    >>> async def parrot(messages, *, tools=None, schema=None):
    ...     for word in messages[-1]["content"].split():
    ...         yield Delta(f"{word} ")
    ...     yield Delta(usage={"input_tokens": 4, "output_tokens": 4})
    """

    text: str = ""
    tool_calls: Sequence[ToolCallDelta | ToolCall] = ()
    usage: TokenUsage | None = None
    finish: str = ""
    refusal: str = ""

    def __post_init__(self) -> None:
        if self.usage is not None and type(self.usage) is not TokenUsage:
            object.__setattr__(self, "usage", usage_of(self.usage))


class Model(Protocol):
    """A model: any callable of this form. Keywords that a flow does not need are not passed.

    It returns a `Reply` or a text, or yields `Delta`s or texts; it may be plain or async, a generator or not. With an attribute
    `limiter` it is entered for each call, and told the tokens.
    """

    def __call__(
        self, messages: list[Message], *, tools: Sequence[Mapping[str, object]] | None = None, schema: Mapping[str, object] | None = None
    ) -> Reply | str | Iterator[Delta | str] | AsyncIterator[Delta | str] | Awaitable[Reply | str | AsyncIterator[Delta | str]]:
        """Reply to the last of `messages`, with calls of `tools`, or with JSON that fits `schema`."""
        ...


class ReplyBuilder:
    """Puts the pieces of a stream together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._usage: TokenUsage | None = None
        self._finish = ""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    @property
    def has_begun(self) -> bool:
        """Whether anything of a reply has come."""
        return bool(self._texts or self._calls or self._refusals)

    def add(self, piece: Delta | str) -> str:
        """Add a piece; its text."""
        if isinstance(piece, str):
            self._texts.append(piece)
            return piece
        if piece.text:
            self._texts.append(piece.text)
        if piece.refusal:
            self._refusals.append(piece.refusal)
        for call in piece.tool_calls:
            self._add_call(call)
        if piece.usage is not None:
            self._usage = piece.usage
        if piece.finish:
            self._finish = piece.finish
        return piece.text

    def _add_call(self, call: ToolCallDelta | ToolCall) -> None:
        if isinstance(call, ToolCall):
            self._calls[max(self._calls, default=-1) + 1] = [call.name, call.arguments, call.id]
            return
        parts = self._calls.setdefault(call.index, ["", "", ""])
        parts[0] += call.name
        parts[1] += call.arguments
        parts[2] = parts[2] or call.id

    def reply(self) -> Reply:
        """The reply, as far as it has come."""
        calls = tuple(ToolCall(name, arguments, number) for _, (name, arguments, number) in sorted(self._calls.items()))
        return Reply(self.text, calls, self._usage, self._finish or ("tool_calls" if calls else "stop"), "".join(self._refusals))


def usage_of(given: Any) -> TokenUsage:
    """The usage that a model reports as a number, a mapping or an object."""
    if isinstance(given, TokenUsage):
        return given
    if isinstance(given, (int, float)):
        return TokenUsage(0, int(given))
    if not isinstance(given, Mapping):
        given = {name: getattr(given, name, None) for names in _COUNTS.values() for name in names}
    counts = {what: next((given[name] for name in names if given.get(name) is not None), 0) for what, names in _COUNTS.items()}
    if not counts["input_tokens"] and not counts["output_tokens"]:
        counts["output_tokens"] = counts["tokens"]
    return TokenUsage(int(counts["input_tokens"]), int(counts["output_tokens"]), float(counts["cost"]))


_COUNTS = {
    "input_tokens": ("input_tokens", "prompt_tokens", "input"),
    "output_tokens": ("output_tokens", "completion_tokens", "output"),
    "tokens": ("tokens", "total_tokens"),
    "cost": ("cost",),
}


def _call_of(given: Any) -> ToolCall:
    """A tool call in any of its forms."""
    if isinstance(given, ToolCall):
        return given
    if isinstance(given, Mapping):
        inner = given.get("function", given)
        return ToolCall(str(inner["name"]), inner.get("arguments", "{}"), str(given.get("id", "") or ""))
    if isinstance(given, Iterable):
        return ToolCall(*given)
    return ToolCall(given.name, given.arguments, getattr(given, "id", "") or "")


def assistant_message(reply: Reply) -> Message:
    """A reply as a message of the conversation."""
    message: Message = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in reply.tool_calls
        ]
    return message
