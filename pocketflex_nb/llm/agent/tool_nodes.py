"""The nodes of a `tool_agent` that run its tools: one a tool, visited once for each call."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import CannotAsk
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode, Node
from pocketflex_nb.core.flow.private_store import declared
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.engine.records.emit import emit
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.llm.agent.think import tool_message
from pocketflex_nb.llm.conversation import append_messages
from pocketflex_nb.llm.tools.tool import Tool, result_text

__all__ = ["AsyncToolNode", "FlowToolNode", "Outcome", "ToolNode", "failure", "finish", "node_of"]

#: what a flow may have of its own
_HOOKS = frozenset((
    "prep", "post", "get_next_node", "_run", "_orch", "_orch_async", "_pfx_max_steps", "_pfx_timeout", "_pfx_budget",
))
_OPTIONS = frozenset(("_pfx_strict", "_pfx_fork_limit", "_pfx_on_branch_error"))
#: characters of an error that the model gets
_ERROR_LIMIT = 2_000
#: characters of a result that its event keeps
_EVENT_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call gave.

    Attributes
    ----------
    text : str
        For the model.
    error : str
        The class of what failed, ``""`` when it went well.
    """

    text: str
    error: str = ""


class ToolNode(Node):
    """Runs a plain function, in the thread pool."""

    cacheable = False  # a tool may do something outside

    def __init__(self, made_of: Tool, messages: str) -> None:
        super().__init__(made_of.max_retries, timeout=made_of.timeout, name=made_of.name)
        self.tool, self.messages = made_of, messages
        self._pfx_code = _code_of(made_of.target)
        self.__doc__ = made_of.description

    def prep(self, shared: Any) -> dict[str, Any]:
        """The call: its id, name and arguments, and when it began."""
        return {**self.params["call"], "begin": perf_counter()}

    def exec(self, prep_res: dict[str, Any]) -> Outcome:
        """Call the function."""
        return Outcome(result_text(self.tool(**self.tool.converted(prep_res["arguments"]))))

    def exec_fallback(self, prep_res: dict[str, Any], exc: Exception) -> Outcome:
        """What the model is told of a failure; questions that nobody can answer, and a run that is to end, are not its business."""
        return failure(exc)

    def post(self, shared: Any, prep_res: dict[str, Any], exec_res: Outcome) -> None:
        """Append the result to the conversation."""
        finish(shared, self.messages, prep_res, exec_res)


class AsyncToolNode(ToolNode):
    """Awaits an async function, or an agent's reply."""

    async def exec(self, prep_res: dict[str, Any]) -> Outcome:  # type: ignore[override]  # awaited, as any async step
        """Await the function."""
        return Outcome(result_text(await self.tool(**self.tool.converted(prep_res["arguments"]))))


class FlowToolNode(Flow):
    """Walks a flow on a store of its own, which begins with the arguments of the call."""

    _pfx_has_own_inputs = True

    def __init__(self, made_of: Tool, flow: Flow, messages: str) -> None:
        is_plain = _is_plain(flow)
        super().__init__(flow.start_node if is_plain else _inner(flow), name=made_of.name)
        if is_plain:
            self.__dict__ |= {option: flow.__dict__[option] for option in _OPTIONS & set(flow.__dict__)}
        self.tool, self.messages = made_of, messages
        self.inputs = list(made_of.schema["properties"])
        self.gives = _gives(flow, is_plain)
        self.takes = dict(flow._pfx_private.takes) if is_plain and flow._pfx_private is not None else {}
        self.__doc__ = made_of.description
        self._outcome = Outcome("done")
        self._pfx_private = declared("tool", self.takes or self.inputs, [], None)

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the arguments of the call: they are what the private store begins with."""
        super().set_params(params)
        call = params.get("call")
        given = self.tool.converted(call["arguments"]) if call is not None else {}
        self.params = {**params, **given}
        self._pfx_private = declared("tool", {key: self.takes.get(key, key) for key in given}, [], None)

    def prep(self, shared: Any) -> dict[str, Any]:
        """The call, and when it began."""
        return {**self.params["call"], "begin": perf_counter()}

    async def _orch_async(self, shared: Any, params: dict[str, Any] | None = None) -> object:
        try:
            async with asyncio.timeout(self.tool.timeout):
                action = await super()._orch_async(shared, params)
        except Exception as exc:
            self._outcome = failure(exc)
            return None
        self._outcome = Outcome(result_text(self._result(shared)))
        return action

    def _result(self, store: Mapping[str, Any]) -> object:
        """What the flow gives: its declared outputs, else what it wrote."""
        taken = {*self.inputs, *self.takes.values()}
        found = {key: store[key] for key in self.gives if key in store} if self.gives else {
            key: value for key, value in store.items() if key not in taken
        }
        return next(iter(found.values())) if len(found) == 1 else found

    def post(self, shared: Any, prep_res: dict[str, Any], exec_res: Any) -> None:
        """Append the result to the conversation."""
        finish(shared, self.messages, prep_res, self._outcome)


def _inner(flow: Flow) -> BaseNode:
    """What is walked: the flow, without the arrows that lead on from it elsewhere."""
    return flow.copy() if flow.successors else flow


def _is_plain(flow: Flow) -> bool:
    """Whether a flow is nothing but its walk, so that the tool's node may stand for it: no box inside of a box."""
    rules = {} if flow._pfx_private is None else flow._pfx_private.rules
    return type(flow) is Flow and not rules and flow.start_node is not None and _HOOKS.isdisjoint(flow.__dict__)


def _gives(flow: Flow, is_plain: bool) -> list[Any]:
    """The keys that hold the result, in the store that the tool's node sees."""
    if flow._pfx_private is not None and flow._pfx_private.gives:
        return list(flow._pfx_private.gives if is_plain else flow._pfx_private.gives.values())
    writes = getattr(flow, "writes", None)
    return [writes] if isinstance(writes, str) else []


def _code_of(target: Any) -> Any:
    """The function behind a tool, for those who show it or notice that it has changed; None where there is none."""
    while isinstance(target, functools.partial):
        target = target.func
    found = inspect.unwrap(target) if callable(target) else target
    found = getattr(found, "__func__", found)
    return found if inspect.isfunction(found) else None


def node_of(made_of: Tool, messages: str) -> BaseNode:
    """The node that runs a tool."""
    if isinstance(made_of.target, Flow):
        return FlowToolNode(made_of, made_of.target, messages)
    kind = AsyncToolNode if made_of.is_async or isinstance(made_of.target, AgentRef) else ToolNode
    return kind(made_of, messages)


def failure(exc: Exception) -> Outcome:
    """What the model is told of an error; raises it again when it is not for the model."""
    frame = CURRENT_FRAME.get()
    if isinstance(exc, CannotAsk) or (isinstance(frame, Frame) and frame.lifecycle.ending is not None):
        raise exc
    name = type(exc).__name__
    return Outcome(f"Error: {cut_text(f'{name}: {exc}', _ERROR_LIMIT)}", name)


def finish(shared: Any, key: str, call: dict[str, Any], outcome: Outcome) -> None:
    """Tell what a call gave: as an event, and in the conversation."""
    told = cut_text(outcome.text, _EVENT_LIMIT)
    emit(
        "tool", name=call["name"], arguments=call["arguments"], **{"error" if outcome.error else "result": told},
        seconds=perf_counter() - call["begin"], id=call["id"],
    )
    append_messages(shared, key, [tool_message(call["id"], call["name"], outcome.text)])
