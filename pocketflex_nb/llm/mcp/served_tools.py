"""What `serve_mcp` serves: tools made of flows by the keys that they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.errors import BadTool
from pocketflex_nb.llm.tools.tool import Tool, tool

__all__ = ["served_tools"]


def served_tools(flows: object) -> dict[str, Tool]:
    """Tools by name.

    Raises
    ------
    BadTool
        It is no mapping of names to flows, or one cannot be a tool.
    """
    if not isinstance(flows, Mapping) or not flows:
        raise BadTool(f"serve_mcp({value_text(flows, 60)}): names and flows are needed, such as {{'research': flow}}")
    return {str(name): _served(str(name), each) for name, each in flows.items()}


def _served(name: str, target: Any) -> Tool:
    if not isinstance(target, Flow):
        made = tool(target, name=name)
        return made if made.name == name else Tool(
            made.target, name, made.description, made.schema, timeout=made.timeout, max_retries=made.max_retries)
    try:
        return tool(target, name=name)
    except BadTool:  # it declares no inputs, and its nodes read none: a tool without parameters
        return tool(target, name=name, inputs={})
