"""Copies of flows with arrows of their own; what the nodes hold (a client, a lock) is shared with the original."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pocketflex_nb.core.flow.node_ids import ids_of
from pocketflex_nb.core.flow.nodes import BaseNode, Fork

__all__ = ["copied_flow", "rewired"]

_NestedT = TypeVar("_NestedT", bound=BaseNode)


def rewired(twins: dict[BaseNode, BaseNode], nodes: Iterable[BaseNode]) -> Callable[[BaseNode], BaseNode]:
    """Give the copy of each of `nodes` the arrows of its original, with copies as targets where there are any.

    Parameters
    ----------
    twins : dict
        Node to its copy; the forks between them are copied into it too.
    nodes : iterable
        Those whose arrows are to be copied.

    Returns
    -------
    callable
        Gives the twin of a target, or the target itself.
    """

    def twin_of(target: BaseNode) -> BaseNode:
        if isinstance(target, Fork) and target not in twins:
            fork = twins[target] = copy.copy(target)  # before its heads, since it may be among those behind it
            fork.heads, fork.detached = [twin_of(head) for head in target.heads], [twin_of(head) for head in target.detached]
        return twins.get(target, target) if getattr(type(target), "__hash__", None) is not None else target

    for node in nodes:
        twin = twins[node]
        twin.successors = {action: twin_of(target) for action, target in node.successors.items()}
        if "_pfx_on_error" in node.__dict__:
            twin._pfx_on_error = twin_of(node._pfx_on_error)
    return twin_of


def copied_flow(flow: _NestedT, made: Mapping[int, BaseNode] | None = None) -> _NestedT:
    """A copy of `flow` with nodes of its own, those of nested flows too, and without the arrows that leave it."""
    whole = copy.copy(flow)
    whole.successors = {}
    whole.__dict__.pop("_pfx_on_error", None)
    made = {**(made or {}), id(flow): whole}  # a flow nested in itself is nested in its copy
    nodes = list(ids_of(flow))
    twins: dict[BaseNode, BaseNode] = {
        node: made.get(id(node)) or (copied_flow(node, made) if hasattr(node, "start_node") else copy.copy(node)) for node in nodes
    }
    twin_of = rewired(twins, nodes)
    whole.start_node = twin_of(flow.start_node)  # type: ignore[attr-defined]  # of a flow, whose class stands above this module
    return whole
