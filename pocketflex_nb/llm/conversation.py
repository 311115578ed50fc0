"""A conversation in a store: a list of messages under one key, appended to by nodes that may run side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.messages import Message
from pocketflex_nb.llm.model_call import TOLD_BY

__all__ = ["append_messages", "conversation_of", "model_steps", "open_calls", "ordered"]


def conversation_of(shared: Any, key: str, what: str) -> list[Message]:
    """The messages under `key`, none if there is no such key.

    Raises
    ------
    TypeError
        It holds something else.
    """
    # a store's own `get` would have the whole conversation looked through for changes, and here it is only read
    read = dict.get if type(shared) is Store else type(shared).get if isinstance(shared, Mapping) else None
    found: Any = (read(shared, key) or []) if read is not None else []
    if isinstance(found, str) or not isinstance(found, Sequence) or not all(isinstance(one, Mapping) and "role" in one for one in found):
        raise TypeError(
            f"{what}(messages={key!r}): the store holds {value_text(found, 60)} there, and not a list of messages such as "
            "{'role': 'user', 'content': 'hello'}"
        )
    return [dict(one) for one in found]


def append_messages(shared: Any, key: str, new: Iterable[Message]) -> None:
    """Append to the conversation under `key`; nothing that a parallel branch appends is lost."""
    more = list(new)
    if isinstance(shared, Store):
        shared.update(key, lambda old: [*(old or ()), *more])
    else:
        shared[key] = [*(shared.get(key) or ()), *more]


def open_calls(messages: Sequence[Message]) -> list[str]:
    """The ids of calls that have no result yet: a run may have ended between the two."""
    asked = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    answered = {message.get("tool_call_id") for message in messages if message["role"] == "tool"}
    return [number for number in asked if number not in answered]


def ordered(messages: Sequence[Message]) -> list[Message]:
    """The messages with the results of parallel calls in the order of the calls, whichever came first."""
    found: list[Message] = []
    at = 0
    while at < len(messages):
        message = messages[at]
        found.append(message)
        at += 1
        place = {call["id"]: number for number, call in enumerate(message.get("tool_calls") or ())}
        end = at
        while place and end < len(messages) and messages[end]["role"] == "tool":
            end += 1
        found += sorted(messages[at:end], key=lambda result: place.get(result.get("tool_call_id"), len(place)))
        at = max(at, end)
    return found


def model_steps(messages: Sequence[Message]) -> tuple[int, int]:
    """How often the model has replied since the question, and how many replies in a row were sent back to it just now."""
    steps, sent_back, in_a_row = 0, 0, True
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        is_told = message["role"] == "user" and TOLD_BY in message
        if message["role"] == "user" and not is_told:
            break
        if is_told:
            sent_back += in_a_row
            steps += at == 0 or messages[at - 1]["role"] != "assistant" or "tool_calls" in messages[at - 1]
        elif message["role"] == "assistant":
            steps += 1
            in_a_row = in_a_row and at + 1 < len(messages) and TOLD_BY in messages[at + 1]
        else:
            in_a_row = False
    return steps, sent_back
