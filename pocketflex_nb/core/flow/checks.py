"""The checks of a flow before it runs: errors and warnings about its nodes and arrows.

Errors are what cannot be meant: a target that is not a node, an action that `post` declares without an arrow, an arrow that no declared
action takes, a node or a join that cannot be reached, a step with ``yield`` whose body would never run, a flow without a start. A flow
that never ends is only a warning: a chat loop is a flow. ``flow.check()``, Mermaid cells and ``strict=True`` raise; `launch` warns;
plain `run` does not check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow.declared_actions import declared_actions
from pocketflex_nb.core.flow.flow_exits import Exits, exits_of
from pocketflex_nb.core.flow.generator_steps import unrun_steps
from pocketflex_nb.core.flow.joins import join_of
from pocketflex_nb.core.flow.node_ids import action_text, base_name, branches, first_nodes, ids_of
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork, _ConditionalTransition

__all__ = ["Problem", "check_flow", "problems_of"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning about a flow.

    Attributes
    ----------
    level : {"error", "warning"}
        Whether `check_flow` raises.
    kind : str
        ``"no start"``, ``"unknown target"``, ``"missing arrow"``, ``"dead arrow"``, ``"unreachable node"``,
        ``"unreachable join"``, ``"unrun body"`` or ``"no end"``.
    message : str
        What, where, and how to mend it.
    node : str
        Graph path of the node, ``""`` for the flow itself.
    action : str
        The action it is about, or ``""``.
    """

    level: str
    kind: str
    message: str
    node: str = ""
    action: str = ""

    def __str__(self) -> str:
        return self.message


def check_flow(flow: BaseNode) -> list[Problem]:
    """Check `flow`, nested flows included.

    Returns
    -------
    list of Problem
        The warnings.

    Raises
    ------
    CheckError
        When there are errors; `problems` holds them, then the warnings.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node
    >>> ask, answer = Node(), Node()
    >>> _ = ask >> answer >> ask
    >>> [problem.kind for problem in check_flow(Flow(ask))]
    ['no end']
    """
    found = problems_of(flow)
    errors = [p for p in found if p.level == "error"]
    warnings = [p for p in found if p.level != "error"]
    if not errors:
        return warnings
    if len(errors) == 1:
        raise CheckError(errors[0].message, found)
    shown = "".join(f"\n  {p.message}" for p in errors[:5])
    more = f"\n  and {len(errors) - 5} more" if len(errors) > 5 else ""
    raise CheckError(f"flow {base_name(flow)!r} has {len(errors)} errors:{shown}{more}", errors + warnings)


def problems_of(flow: BaseNode) -> list[Problem]:
    """Every finding, errors first; nothing is raised."""
    found: list[Problem] = []
    todo: list[tuple[BaseNode, str]] = [(flow, "")]
    seen = {id(flow)}
    for here, path in todo:  # grows while it is walked
        look = _Look(here, path)
        found += look.problems()
        for node, short in look.ids.items():
            if hasattr(node, "start_node") and id(node) not in seen:
                seen.add(id(node))
                todo.append((node, f"{path}/{short}" if path else short))
    return sorted(found, key=lambda p: p.level != "error")


class _Look:
    """The checks of one flow, without those nested in it."""

    def __init__(self, flow: BaseNode, path: str) -> None:
        self.flow, self.path = flow, path
        self.ids: dict[BaseNode, str] = ids_of(flow) if _is_drawable(flow) else {}
        self.exits: dict[int, Exits] = {}
        self.declared = {id(node): self.actions_of(node) for node in self.ids} if not _chooses_itself(flow) else {}

    def problems(self) -> Iterator[Problem]:
        start = getattr(self.flow, "start_node", None)
        if start is None:
            yield self.problem("no start", "", f"{self.where()} has no start: give it one, Flow(start=node)")
            return
        if not isinstance(start, BaseNode) or not _is_drawable(self.flow):
            yield self.problem("unknown target", "", f"{self.where()} starts with {_shown(start)}")
            return
        if not self.path:
            yield from self.bodies(self.flow, "")
        for node, name in self.ids.items():
            yield from self.bodies(node, name)
            yield from self.targets(node)
            yield from self.actions(node)
        yield from self.reach()
        yield from self.joins()
        yield from self.ends()

    def actions_of(self, node: BaseNode) -> list[str | None] | None:
        """What `node` may return, None where that is not known; of a nested flow, what it may end with."""
        declared = declared_actions(node)
        if declared is not None or not hasattr(node, "start_node"):
            return declared
        self.exits[id(node)] = found = exits_of(node, (self.flow,))
        return list(found.known) if found.is_all and found.known else None

    def problem(self, kind: str, node: str, message: str, *, action: str = "", level: str = "error") -> Problem:
        return Problem(level, kind, message, f"{self.path}/{node}" if self.path and node else node or self.path, action)

    def where(self, node: str = "") -> str:
        return f"flow {base_name(self.flow)!r}" + (f", node {node!r}" if node else "")

    # -- one node

    def bodies(self, node: BaseNode, name: str) -> Iterator[Problem]:
        for step, mend in unrun_steps(node):
            text = f"{self.where(name)}: {step} is written with yield, and nobody would run its body: {mend}"
            yield self.problem("unrun body", name, text)

    def targets(self, node: BaseNode) -> Iterator[Problem]:
        name = self.ids[node]
        for action, target in node.successors.items():
            if target is not None and not isinstance(target, BaseNode):
                text = f"{self.where(name)}: the arrow {action_text(action)!r} leads to {_shown(target)}"
                yield self.problem("unknown target", name, text, action=action_text(action))
        handler = getattr(node, "_pfx_on_error", None)
        if handler is not None and not isinstance(handler, BaseNode):
            yield self.problem("unknown target", name, f"{self.where(name)}: its error arrow leads to {_shown(handler)}")

    def actions(self, node: BaseNode) -> Iterator[Problem]:
        declared = self.declared.get(id(node))
        drawn = [action_text(a) for a in node.successors]
        name = self.ids[node]
        if drawn and id(node) in self.exits:
            yield from self.exit_arrows(name, drawn, self.exits[id(node)])
            return
        if declared is None or not drawn:
            return
        for action in declared:
            if action is not None and action not in drawn:  # None without a default arrow is a way to end
                text = (
                    f"{self.where(name)}: post declares the action {action!r}, and no arrow has that name: "
                    f"draw it, or end there with {name} - {action!r} >> END{nearest(action, drawn)}"
                )
                yield self.problem("missing arrow", name, text, action=action)
        taken = {a or "default" for a in declared}
        for action in drawn:
            if action not in taken:
                text = (
                    f"{self.where(name)}: the arrow {action!r} is never taken, post does not declare that action: "
                    f"add it to the annotation of post, or take the arrow away{nearest(action, taken)}"
                )
                yield self.problem("dead arrow", name, text, action=action)

    def exit_arrows(self, name: str, drawn: list[str], exits: Exits) -> Iterator[Problem]:
        """The problems of a nested flow's arrows: actions that it may end with and that have none, and arrows that are never taken."""
        for action, last in exits.known.items():
            if action not in (None, "default", *drawn):
                text = (
                    f"{self.where(name)}: this nested flow ends with the action {action!r} at its node {last!r}, and no arrow of that name "
                    f"leaves it: draw it, or end there with {name} - {action!r} >> END{nearest(str(action), drawn)}"
                )
                yield self.problem("missing arrow", name, text, action=str(action))
        taken = {a or "default" for a in exits.known}
        for action in drawn if exits.is_all and taken else ():
            if action not in taken:
                text = (
                    f"{self.where(name)}: the arrow {action!r} is never taken, this nested flow ends with "
                    f"{', '.join(map(repr, sorted(taken)))} only: take the arrow away{nearest(action, taken)}"
                )
                yield self.problem("dead arrow", name, text, action=action)

    # -- the whole

    def live(self, node: BaseNode) -> Iterator[BaseNode]:
        """The targets of the arrows of `node` that may be taken, detached ones included."""
        targets: list[BaseNode | None] = [t for a, t in node.successors.items() if self.is_taken(node, a)]
        targets.append(getattr(node, "_pfx_on_error", None))
        for target in targets:
            if isinstance(target, Fork):
                heads, detached = branches(target)
                yield from heads
                yield from detached
            elif isinstance(target, BaseNode):
                yield target

    def is_taken(self, node: BaseNode, action: object) -> bool:
        declared = self.declared.get(id(node))
        text = action_text(action)
        return declared is None or text in declared or (text == "default" and None in declared)

    def reached(self, roots: list[BaseNode]) -> set[int]:
        found = {id(n) for n in roots}
        stack = list(roots)
        while stack:
            node = stack.pop()
            for target in self.live(node) if node is not END else ():
                if id(target) not in found:
                    found.add(id(target))
                    stack.append(target)
        return found

    def reach(self) -> Iterator[Problem]:
        start = getattr(self.flow, "start_node", None)
        roots = first_nodes(self.flow) + (branches(start)[1] if isinstance(start, Fork) else [])
        found = self.reached(roots)
        for node, name in self.ids.items():
            if id(node) not in found:
                text = f"{self.where(name)}: it cannot be reached, no declared action leads to it: draw an arrow that is taken"
                yield self.problem("unreachable node", name, text)

    def joins(self) -> Iterator[Problem]:
        for node, name in self.ids.items():
            for action, target in node.successors.items():
                if not isinstance(target, Fork):
                    continue
                join = join_of(target)
                if join is None or join not in self.ids or id(join) in self.reached(branches(target)[0]):
                    continue
                text = (
                    f"{self.where(self.ids[join])}: no branch of {name!r} can reach this join: "
                    f"no action that the branches return leads to it"
                )
                yield self.problem("unreachable join", self.ids[join], text, action=action_text(action))

    def ends(self) -> Iterator[Problem]:
        if not self.ids or any(self.may_end(node) for node in self.ids):
            return
        text = f"{self.where()} has no way to an end: it runs until it is stopped, or until max_steps; END is an end"
        yield self.problem("no end", "", text, level="warning")

    def may_end(self, node: BaseNode) -> bool:
        declared, arrows = self.declared.get(id(node)), node.successors
        for action, target in arrows.items():
            ways = branches(target)[0] if isinstance(target, Fork) else [target]
            if any(way is END or way is None for way in ways) and self.is_taken(node, action):
                return True
        return not arrows or ("default" not in arrows and (declared is None or None in declared))


def _is_drawable(flow: BaseNode) -> bool:
    """Whether the wiring can be walked at all: every head of a fan-out is a node."""
    start = getattr(flow, "start_node", None)
    return start is None or isinstance(start, BaseNode)


def _chooses_itself(flow: BaseNode) -> bool:
    """Whether the flow overrides how the next node is found, so that its arrows say nothing about actions."""
    chooser = getattr(type(flow), "get_next_node", None)
    return "get_next_node" in flow.__dict__ or not getattr(chooser, "__module__", "").startswith("pocketflex_nb.")


def _shown(target: object) -> str:
    if isinstance(target, type):
        return f"the class {target.__name__}: a node is needed, {target.__name__}()"
    if isinstance(target, str):
        return f"{target!r:.60}: a node is needed, not its name"
    if isinstance(target, _ConditionalTransition):
        return f"{target!r}, an arrow without a target: the node alone is needed, {base_name(target.src)}"
    if callable(target) and hasattr(target, "__name__"):
        return f"the function {target.__name__}: a node is needed, node({target.__name__})"
    return f"something of type {type(target).__name__}: a node is needed"
