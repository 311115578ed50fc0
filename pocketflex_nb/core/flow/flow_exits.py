"""The actions that a flow may end with, as its drawing says: those that an outer flow needs arrows for."""

from __future__ import annotations

from dataclasses import dataclass, field

from pocketflex_nb.core.flow.declared_actions import declared_actions
from pocketflex_nb.core.flow.joins import join_of
from pocketflex_nb.core.flow.node_ids import action_text, branches, ids_of
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork

__all__ = ["Exits", "exits_of"]


_HOOKS = frozenset(("post", "post_async", "get_next_node", "_run", "_run_async", "_orch", "_orch_async"))


@dataclass(slots=True)
class Exits:
    """The actions that a flow may end with.

    Attributes
    ----------
    known : dict of (str or None) to str
        Action to the id of the node that ends the flow with it; None for the default.
    is_all : bool
        Whether there can be no other.
    """

    known: dict[str | None, str] = field(default_factory=dict)
    is_all: bool = True


def exits_of(flow: BaseNode, inside: tuple[object, ...] = ()) -> Exits:
    """The exits of `flow`: the actions that its own `post` declares, else those of its last nodes.

    Parameters
    ----------
    flow : Flow
        Whose exits are asked for.
    inside : tuple
        The flows around it that are being looked at.

    Notes
    -----
    A node's own exits are its actions drawn to END and, where it has no arrows, those that it declares. Of a fan-out that joins
    nowhere the last branch gives the action; what happens inside of one that joins is not looked at.
    """
    declared = declared_actions(flow)
    if declared is not None:
        return Exits(dict.fromkeys(declared, ""))
    if any(flow is outer for outer in inside) or not _passes_on(flow):
        return Exits(is_all=False)
    found, ids = Exits(), ids_of(flow)
    seen: set[int] = set()
    todo = [_ahead(getattr(flow, "start_node", None), found)]
    while todo:
        node = todo.pop()
        if node is None or node is END or id(node) in seen or not isinstance(node, BaseNode):
            continue
        seen.add(id(node))
        _of_node(node, ids.get(node, ""), found, (*inside, flow))
        handler = getattr(node, "_pfx_on_error", None)
        todo += [_ahead(target, found) for target in (*node.successors.values(), handler)]
    return found


def _of_node(node: BaseNode, name: str, found: Exits, inside: tuple[object, ...]) -> None:
    """Add the actions with which the flow ends after `node`."""
    if hasattr(node, "start_node"):
        nested = exits_of(node, inside)
        actions, is_all = list(nested.known), nested.is_all
    else:
        declared = declared_actions(node)
        actions, is_all = declared or [], declared is not None
    found.is_all = found.is_all and is_all
    if not node.successors:
        ends = actions
    else:
        drawn = [None if a == "default" else action_text(a) for a, target in node.successors.items() if target is END or target is None]
        ends = [a for a in drawn if not is_all or a in actions or (a is None and "default" in actions)]
        if None in actions and "default" not in node.successors:
            ends.append(None)
    for action in ends:
        found.known.setdefault(action, name)


def _ahead(target: BaseNode | None, found: Exits) -> BaseNode | None:
    """The node with which the flow continues behind an arrow; of a fan-out, the one that gives the last action."""
    for _ in range(1_000):
        if not isinstance(target, Fork):
            return target
        found.is_all = False
        join = join_of(target)
        target = join if join is not None else branches(target)[0][-1] if branches(target)[0] else None
    return None


def _passes_on(flow: BaseNode) -> bool:
    """Whether the flow's last action is that of its last node."""
    if hasattr(flow, "_pfx_items_at_once") or not _HOOKS.isdisjoint(flow.__dict__):
        return False
    return all(cls.__module__.startswith("pocketflex_nb.") or _HOOKS.isdisjoint(vars(cls)) for cls in type(flow).__mro__)
