"""Models and tools: agents as flows.

The rule of this room: it imports `core`, `concurrency`, `engine` and `agents`, and no provider. A model is any callable
``(messages, *, tools=None, schema=None)`` that returns a `Reply` or yields `Delta`s; OpenAI's SDK is imported in one file, when
`openai_model` is first asked. The package root imports nothing of this room: ``from pocketflex_nb.llm import Chat``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pocketflex_nb.llm.agent.tool_agent import tool_agent
from pocketflex_nb.llm.chat import Chat
from pocketflex_nb.llm.errors import (
    BadTool,
    CutOff,
    EmptyReply,
    ModelBusy,
    ModelError,
    ModelSetup,
    ModelUnreachable,
    NoAnswer,
    Refusal,
    WrongShape,
)
from pocketflex_nb.llm.messages import Delta, Reply, TokenUsage, ToolCall
from pocketflex_nb.llm.tools.tool import Tool, tool

if _TYPE_CHECKING:
    from pocketflex_nb.llm.providers.local_model import local_model
    from pocketflex_nb.llm.providers.openai_model import openai_model

__all__ = [
    "BadTool", "Chat", "CutOff", "Delta", "EmptyReply", "ModelBusy", "ModelError", "ModelSetup", "ModelUnreachable", "NoAnswer",
    "Refusal", "Reply", "TokenUsage", "Tool", "ToolCall", "WrongShape", "local_model", "openai_model", "tool", "tool_agent",
]


def __getattr__(name: str) -> _Any:
    """The models of providers are imported when they are first asked for."""
    if name == "openai_model":
        from pocketflex_nb.llm.providers.openai_model import openai_model

        return openai_model
    if name == "local_model":
        from pocketflex_nb.llm.providers.local_model import local_model

        return local_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
