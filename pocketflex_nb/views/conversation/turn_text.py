"""The parts of a turn as short, masked texts: who speaks, what a call was and gave, what it took."""

from __future__ import annotations

from collections.abc import Mapping

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.frozen_tree import MISSING, FrozenDict, FrozenText
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.core.value_text import class_name, cut_text
from pocketflex_nb.views.conversation.conversation import ToolCall, Totals, Turn
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.summary_text import summary_text
from pocketflex_nb.views.values.json_text import json_text
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = [
    "arguments_page", "call_head", "call_outcome", "cost_text", "error_text", "event_line", "place_of", "result_page", "role_word",
    "spent_text", "totals_text",
]

#: characters of a call's head, of one argument, and of an outcome
_HEAD, _ARGUMENT, _OUTCOME = 160, 60, 100
#: characters of arguments and results in full
_FULL = 20_000


def role_word(turn: Turn) -> str:
    """Who speaks, as a word: an ``assistant`` is the agent."""
    word = "agent" if turn.role == "assistant" else turn.role
    return clean(f"{word} {turn.author}" if turn.author and turn.role != "tool" else word, 60).replace("\n", " ")


def place_of(turn: Turn) -> str:
    """Node and visit, as ``think#2``; ``""`` for what was said before the run."""
    return clean(turn.address.rpartition("/")[2], 80)


def call_head(call: ToolCall) -> str:
    """A call as one types it: ``search(query='tides', k=3)``."""
    given = call.arguments
    if isinstance(given, (FrozenDict, Mapping)):
        inside = ", ".join(f"{clean(str(key), 40)}={preview(value, _ARGUMENT, key=key)}" for key, value in list(given.items())[:8])
    else:
        inside = "" if given is None or given is MISSING else preview(given, _ARGUMENT)
    return cut_text(f"{clean(call.name, 80)}({inside})", _HEAD)


def call_outcome(call: ToolCall) -> str:
    """What a call gave, in a few words: a short text itself, anything large by its type and size; its error when it failed."""
    if call.status == "open":
        return "no result yet"
    if call.status == "failed":
        return cut_text(summary_text(error_text(call.error), _OUTCOME), _OUTCOME) or "failed"
    value = call.result
    if value is MISSING or value is None:
        return "done"
    if isinstance(value, (str, FrozenText)):
        text = str(value)
        return summary_text(text, _OUTCOME) if len(text) <= _OUTCOME and "\n" not in text.strip() else type_label(text)
    return preview(value, 40) if isinstance(value, (bool, int, float)) else type_label(value)


def error_text(error: object) -> str:
    """An error as text, whatever was given for it."""
    if isinstance(error, BaseException):
        try:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        except Exception:  # a __str__ of the user's
            return class_name(error)
    return str(error) if isinstance(error, (str, FrozenText)) else preview(error, 400)


def arguments_page(call: ToolCall) -> str:
    """The arguments in full, bounded."""
    return "" if call.arguments is None or call.arguments is MISSING else json_text(call.arguments, limit=_FULL)


def result_page(call: ToolCall) -> str:
    """The result or error in full, bounded."""
    if call.status == "failed":
        return clean(error_text(call.error), _FULL)
    if call.result is MISSING or call.result is None:
        return ""
    return clean(str(call.result), _FULL) if isinstance(call.result, (str, FrozenText)) else json_text(call.result, limit=_FULL)


def cost_text(cost: float) -> str:
    """A cost, in whatever currency the program counts."""
    return f"cost {cost:.4g}"


def spent_text(turn: Turn) -> list[str]:
    """What a turn took: seconds, tokens, cost, as far as they are known."""
    told = [duration_text(turn.seconds)] if turn.seconds is not None else []
    tokens = turn.output_tokens if turn.output_tokens is not None else turn.tokens
    told += [f"{tokens:,.10g} tok"] if tokens is not None else []
    return told + ([cost_text(turn.cost)] if turn.cost else [])


def totals_text(totals: Totals) -> str:
    """The sums in one line: ``12 messages, 5 tool calls (1 failed), 8,100 tokens in, 1,200 out, cost 0.04``."""
    told = [count_text(totals.messages, "message")]
    if totals.calls:
        told.append(count_text(totals.calls, "tool call") + (f" ({totals.failed:,} failed)" if totals.failed else ""))
    if totals.input_tokens or totals.output_tokens:
        told += [f"{count_text(totals.input_tokens, 'token')} in", f"{totals.output_tokens:,.10g} out"]
    elif totals.tokens:
        told.append(count_text(totals.tokens, "token"))
    return ", ".join([*told, *([cost_text(totals.cost)] if totals.cost else [])])


def event_line(event: Event) -> str:
    """An event of kind ``message`` or ``tool`` in one line; ``""`` for any other."""
    data = event.data
    if event.kind == "tool":
        status = "failed" if data.get("error") is not None else "done" if "result" in data else "open"
        name = str(data.get("name") or data.get("text") or "tool")
        call = ToolCall(name, data.get("arguments"), "", status, data.get("result", MISSING), data.get("error"))
        return f"{call_head(call)} → {'✗ ' if status == 'failed' else ''}{call_outcome(call)}"
    if event.kind == "message":
        asked = data.get("tool_calls")
        calls = f"  [{count_text(len(asked), 'tool call')}]" if isinstance(asked, (list, tuple)) and asked else ""
        return f"{clean(str(data.get('role') or 'assistant'), 40)}: {summary_text(str(data.get('text') or ''), 200)}{calls}"
    return ""
