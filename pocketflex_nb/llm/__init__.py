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
    ToolServerError,
    ToolServerLost,
    WrongShape,
)
from pocketflex_nb.llm.messages import Delta, Reply, TokenUsage, ToolCall
from pocketflex_nb.llm.tools.tool import Tool, tool

if _TYPE_CHECKING:
    from pocketflex_nb.llm.mcp.mcp_tools import mcp_tools
    from pocketflex_nb.llm.mcp.serve_mcp import serve_mcp
    from pocketflex_nb.llm.providers.local_model import local_model
    from pocketflex_nb.llm.providers.openai_model import openai_model

__all__ = [
    "BadTool", "Chat", "CutOff", "Delta", "EmptyReply", "ModelBusy", "ModelError", "ModelSetup", "ModelUnreachable", "NoAnswer",
    "Refusal", "Reply", "TokenUsage", "Tool", "ToolCall", "ToolServerError", "ToolServerLost", "WrongShape", "local_model", "mcp_tools",
    "openai_model", "serve_mcp", "tool", "tool_agent",
]


#: what brings a package of somebody else's is imported when it is first asked for
_LATER = {
    "local_model": "providers.local_model", "mcp_tools": "mcp.mcp_tools", "openai_model": "providers.openai_model",
    "serve_mcp": "mcp.serve_mcp",
}


def __getattr__(name: str) -> _Any:
    """The models of providers are imported when they are first asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"pocketflex_nb.llm.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
