"""The shapes in which programs keep the messages of a conversation, read from frozen values.

Known are the dicts of OpenAI's two interfaces, Anthropic's and Gemini's content blocks, messages of LangChain, LlamaIndex and
pydantic-ai, pairs ``("user", "hello")``, and any record with a role and a content. Nothing is imported, and no code of theirs runs:
values are frozen (:mod:`pocketflex_nb.core.frozen.freezer`) when they are read.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pocketflex_nb.core.frozen.frozen_tree import Frozen, FrozenDict, FrozenList, FrozenObject, FrozenText, Opaque

__all__ = ["ROLES", "AskedCall", "CallResult", "Spoken", "is_conversation_key", "read_message"]

#: the names of roles, as they are told here
ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant", "ai": "assistant",
    "model": "assistant", "agent": "assistant", "bot": "assistant", "tool": "tool", "function": "tool",
}
#: LangChain's kinds of messages, by `type` or by class
_KINDS = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool", "chat": ""}
_CLASSES = {f"{name}Message": role for name, role in (
    ("Human", "user"), ("AI", "assistant"), ("System", "system"), ("Tool", "tool"), ("Function", "tool"), ("Chat", ""),
)}
#: keys of a store below which a list of messages is looked for
_KEYS = ("messages", "history", "conversation", "chat", "dialog", "dialogue")
#: fields of one record that are read; characters of arguments that are parsed
_FIELDS, _PARSED = 64, 100_000


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call of a tool that a message asks for."""

    id: str
    name: str
    arguments: object = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call of a tool gave, as a message tells it."""

    id: str
    name: str
    result: object = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message, whatever its shape was."""

    role: str
    text: str = ""
    author: str = ""
    calls: tuple[AskedCall, ...] = ()
    results: tuple[CallResult, ...] = ()
    input_tokens: float | None = None
    output_tokens: float | None = None


def is_conversation_key(key: object) -> bool:
    """Whether a list under this key of a store may be a conversation: ``messages``, ``chat_history``, and the like."""
    return isinstance(key, str) and key.lower().rpartition("_")[2] in _KEYS


def read_message(value: object) -> list[Spoken]:
    """What a frozen value says as a message: nothing when it has none of the known shapes, several when it holds several turns.

    Examples
    --------
    >>> from pocketflex_nb.core.frozen.freezer import Freezer, MISSING
    >>> read_message(Freezer().freeze({"role": "user", "content": [{"type": "text", "text": "hello"}]}, MISSING))
    [Spoken(role='user', text='hello', author='', calls=(), results=(), input_tokens=None, output_tokens=None)]
    >>> read_message(("human", "hello"))[0].role, read_message(["no", "message"])
    ('user', [])
    """
    pair = _items(value)
    if pair is not None:
        return _from_pair(pair)
    record = _record(value)
    if record is None:
        return []
    if record.get("kind") in ("request", "response") and (parts := _items(record.get("parts"))) is not None:
        return _from_parts(parts, record)
    kind = _word(record.get("type"))
    if kind in ("function_call", "function_call_output"):
        return [_from_item(record, kind)]
    role = _role(record, kind, value)
    if not role or not any(name in record for name in ("content", "text", "parts", "blocks", "tool_calls", "function_call")):
        return []
    return [_from_record(record, role)]


def _from_pair(pair: list[object]) -> list[Spoken]:
    if len(pair) != 2 or (role := ROLES.get((_word(pair[0]) or "").lower(), "")) == "":
        return []
    text, calls, results = _content(pair[1])
    return [Spoken(role, text, calls=calls, results=results)]


def _role(record: Mapping[str, object], kind: str | None, value: object) -> str:
    role = _word(record.get("role"))
    if role is not None:
        return ROLES.get(role.lower(), role)
    cls = value.cls.__name__.removesuffix("Chunk") if isinstance(value, Frozen) else ""
    if cls in _CLASSES or (kind in _KINDS and "content" in record):
        return _CLASSES.get(cls) or _KINDS.get(kind or "") or "assistant"
    return ""


def _from_record(record: Mapping[str, object], role: str) -> Spoken:
    body = next((record[name] for name in ("content", "blocks", "parts", "text") if record.get(name) is not None), None)
    text, calls, results = _content(body)
    if not text and record.get("text") is not None:
        text = _text(record["text"]) or ""
    text = text or _text(record.get("refusal")) or ""
    more = _record(record.get("additional_kwargs")) or {}
    asked = [_call(item) for item in _items(record.get("tool_calls") or more.get("tool_calls")) or ()]
    if (single := _record(record.get("function_call"))) is not None:
        asked.append(_call(single))
    known = {call.id for call in calls if call.id}
    calls += tuple(call for call in asked if call is not None and call.id not in known)
    author = _text(record.get("name")) or ""
    if role == "tool" and not results:
        failed = _word(record.get("status")) == "error" or record.get("is_error") is True
        id_ = _text(record.get("tool_call_id")) or _text(more.get("tool_call_id")) or ""
        return Spoken(role, "", author, calls, (CallResult(id_, author, text if isinstance(body, str | FrozenText) else body, failed),))
    spent = _record(record.get("usage_metadata")) or _record(record.get("usage")) or {}
    taken, given = (_number(spent.get(f"{way}_tokens")) for way in ("input", "output"))
    return Spoken(role, text, author if author != role else "", calls, results, taken, given)


def _from_item(record: Mapping[str, object], kind: str) -> Spoken:
    """An item of OpenAI's responses that is a call or its result."""
    id_ = _text(record.get("call_id")) or _text(record.get("id")) or ""
    if kind == "function_call":
        return Spoken("assistant", calls=(AskedCall(id_, _text(record.get("name")) or "", _parsed(record.get("arguments"))),))
    return Spoken("tool", results=(CallResult(id_, "", record.get("output")),))


def _from_parts(parts: Iterable[object], message: Mapping[str, object]) -> list[Spoken]:
    """A message of pydantic-ai, whose parts may be of several roles."""
    told: list[Spoken] = []
    for part in map(_record, parts):
        kind, content = (None, None) if part is None else (_word(part.get("part_kind")), part.get("content"))
        if part is None or kind is None:
            continue
        id_, name = _text(part.get("tool_call_id")) or "", _text(part.get("tool_name")) or ""
        if kind in _SPEAKERS:
            told.append(Spoken(_SPEAKERS[kind], _content(content)[0]))
        elif kind == "tool-call":
            told.append(Spoken("assistant", calls=(AskedCall(id_, name, _parsed(part.get("args"))),)))
        elif kind in ("tool-return", "retry-prompt"):
            told.append(Spoken("tool", results=(CallResult(id_, name, content, kind == "retry-prompt"),)))
    return _joined(told, message)


_SPEAKERS = {"system-prompt": "system", "user-prompt": "user", "text": "assistant"}


def _joined(told: list[Spoken], message: Mapping[str, object]) -> list[Spoken]:
    """The parts of one answer as one message."""
    if message.get("kind") != "response":
        return told
    spent = _record(message.get("usage")) or {}
    text, calls = "\n".join(one.text for one in told if one.text), tuple(call for one in told for call in one.calls)
    return [Spoken("assistant", text, "", calls, (), _number(spent.get("input_tokens")), _number(spent.get("output_tokens")))]


def _content(body: object) -> tuple[str, tuple[AskedCall, ...], tuple[CallResult, ...]]:
    """Text, calls and results of a content: a text, one block, or a list of blocks."""
    text = _text(body)
    if text is not None:
        return text, (), ()
    texts: list[str] = []
    calls: list[AskedCall] = []
    results: list[CallResult] = []
    found = _items(body)
    for block in found if found is not None else [body]:
        if (text := _text(block)) is not None:
            texts.append(text)
        elif (record := _record(block)) is not None:
            _take_block(record, texts, calls, results)
    return "\n".join(texts), tuple(calls), tuple(results)


def _take_block(block: Mapping[str, object], texts: list[str], calls: list[AskedCall], results: list[CallResult]) -> None:
    kind = _word(block.get("type")) or _word(block.get("block_type")) or ""
    if kind in ("tool_use", "tool_call") or "function_call" in block:
        call = _call(block.get("function_call") or block)
        calls += [] if call is None else [call]
    elif kind == "tool_result" or "function_response" in block:
        given = _record(block.get("function_response")) or block
        content = given.get("content", given.get("response"))
        result = (_content(content)[0] if _items(content) is not None else "") or content
        id_ = _text(given.get("tool_use_id")) or _text(given.get("id")) or ""
        results.append(CallResult(id_, _text(given.get("name")) or "", result, given.get("is_error") is True))
    elif (text := _text(block.get("text"))) is not None:
        texts.append(text)
    elif (thought := _text(block.get("thinking"))) is not None:
        texts.append(f"[thinking, {len(thought):,} characters]")
    elif kind:
        texts.append(f"[{kind.removeprefix('input_').removesuffix('_url')}]")


def _call(value: object) -> AskedCall | None:
    record = _record(value)
    if record is None:
        return None
    inner = _record(record.get("function")) or record
    name = _text(inner.get("name")) or _text(inner.get("tool_name"))
    if not name:
        return None
    given = next((inner[key] for key in ("arguments", "args", "input", "tool_kwargs") if inner.get(key) is not None), None)
    return AskedCall(_text(record.get("id")) or _text(record.get("tool_id")) or "", name, _parsed(given))


def _parsed(arguments: object) -> object:
    """Arguments that came as JSON, read; what is no JSON stays a text."""
    text = _text(arguments)
    if text is None or len(text) > _PARSED:
        return arguments if text is None else text
    try:
        return json.loads(text)
    except ValueError:  # cut off, or made up by a model
        return text


# frozen values ---------------------------------------------------------------------------------------------------------
def _record(value: object) -> dict[str, object] | None:
    """The fields of a dict or an object by name; None for anything else."""
    fields = value.fields if isinstance(value, (FrozenObject, Opaque)) else value
    if isinstance(fields, (FrozenDict, Mapping)) and len(fields) <= _FIELDS:
        return {key: item for key, item in fields.items() if isinstance(key, str)}
    return None


def _items(value: object) -> list[object] | None:
    """The items of a list or tuple; None for anything else."""
    if isinstance(value, FrozenList):
        return list(value) if issubclass(value.cls, (list, tuple)) else None
    return list(value) if isinstance(value, (list, tuple)) else None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, (str, FrozenText)) else None


def _word(value: object) -> str | None:
    """A text, or the one that a member of an enumeration stands for."""
    found = value.value if isinstance(value, enum.Enum) else value
    return str.__str__(found) if isinstance(found, str) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
