"""Models for tests: what they say stands in a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pocketflex_nb.llm import Reply
from pocketflex_nb.llm.messages import Message

Asked = dict[str, Any]


class Scripted:
    """A plain model that says one entry after the other: a text, a `Reply`, an exception, or a function of the messages."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)
        self.asked: list[Asked] = []

    def __call__(self, messages: list[Message], *, tools: Sequence[Any] | None = None, schema: Any = None) -> Any:
        self.asked.append({"messages": messages, "tools": tools, "schema": schema})
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said(messages) if callable(said) else said

    def heard(self, number: int = -1) -> list[tuple[str, str]]:
        """Role and content of what it was sent in one call."""
        return [(message["role"], message["content"]) for message in self.asked[number]["messages"]]


def calls(*wanted: tuple[str, Any], text: str = "", **more: Any) -> Reply:
    """A reply that calls tools: pairs of name and arguments."""
    return Reply(text, [*wanted], **more)


def results(messages: Iterable[Message]) -> list[tuple[str, str]]:
    """Name and content of the results of tools."""
    return [(message["name"], message["content"]) for message in messages if message["role"] == "tool"]
