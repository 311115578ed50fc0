"""What does a flow look like as data? Nodes, edges and groups, with stable ids; no layout, no colour.

`graph_of(flow)` reads the wiring and is the only place that names nodes: a node's id is its Mermaid id, else its given name, else
its class (or function) name, numbered in wiring order when several share it. A nested flow is a group; ids inside it are paths
(``research/search``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core.nodes import END, BaseNode, BatchNode, Fork

__all__ = ["Edge", "Graph", "GraphNode", "Group", "arrows", "graph_of", "ids_of", "members", "nodes_by_path"]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node of the picture.

    Attributes
    ----------
    id : str
        Path of ids through nested flows, unique in the graph.
    label : str
        What is written in it.
    kind : str
        ``"node"``, ``"batch"``, ``"flow"`` (a nested flow drawn as one node, when it is empty), ``"router"`` (more than one action).
    group : str
        Id of the group (nested flow) it stands in; ``""`` for the outermost.
    shape : str
        Mermaid shape it was written with: ``"rect"``, ``"round"``, ``"stadium"``, ``"diamond"``, ``"circle"``, ``"hexagon"``,
        ``"subroutine"``, ``"cylinder"``, ...
    """

    id: str
    label: str
    kind: str = "node"
    group: str = ""
    shape: str = "rect"


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow. `kind` is ``"action"``, ``"error"`` (taken when a node fails) or ``"detached"`` (started, not waited for).

    `target` is a node id, or ``"END"``. `parallel` is the number of arrows that leave together (a fork), or 1. An arrow to a nested
    flow points at the flow's group id; so does one from it.
    """

    source: str
    target: str
    action: str = "default"
    kind: str = "action"
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """A nested flow: a box around the nodes whose `group` is this id. `parent` is the group it stands in, or ``""``."""

    id: str
    label: str
    parent: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A flow as data. `start` is the id of the first node, or of the group it is, or ``""`` for an empty flow."""

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...] = ()
    start: str = ""
    direction: str = "LR"

    def ids(self) -> list[str]:
        """Every id that an edge may name: nodes and groups."""
        return [n.id for n in self.nodes] + [g.id for g in self.groups]


def arrows(node: Any) -> Iterator[tuple[str, str, Any, int]]:
    """The arrows that leave `node`: (kind, action, target, how many leave together), forks opened, None left out."""
    for action, target in list(node.successors.items()):
        if isinstance(target, Fork):
            yield from (("action", action, head, len(target.heads)) for head in target.heads)
            yield from (("detached", action, head, 1) for head in target.detached)
        elif target is not None:
            yield "action", action, target, 1
    handler = getattr(node, "_pfx_on_error", None)
    if isinstance(handler, Fork):
        yield from (("error", "default", head, len(handler.heads)) for head in handler.heads)
    elif handler is not None:
        yield "error", "default", handler, 1


def members(flow: Any) -> list[Any]:
    """The nodes of `flow` itself, nested flows as one, in wiring order (breadth first from the start)."""
    start = getattr(flow, "start_node", None)
    queue: list[Any] = list(start.heads) if isinstance(start, Fork) else [] if start is None else [start]
    seen: dict[int, Any] = {id(n): n for n in queue}
    for node in queue:  # grows while it is walked
        for _, _, target, _ in arrows(node):
            if target is not END and isinstance(target, BaseNode) and id(target) not in seen:
                seen[id(target)] = target
                queue.append(target)
    return queue


def base_name(node: Any) -> str:
    """What a node is called before numbering: its given name, else its class name."""
    given = getattr(node, "name", None)
    return given if isinstance(given, str) and given else type(node).__name__


def base_id(node: Any) -> str:
    """The id of a node before numbering: its Mermaid id, else its name with blanks and signs made ``_``."""
    given = node.__dict__.get("_pfx_id")
    return given if given else re.sub(r"[^\w.-]", "_", base_name(node)) or "node"


def ids_of(flow: Any) -> dict[Any, str]:
    """The id of each node of `flow` itself: unique there, in wiring order."""
    ids: dict[Any, str] = {}
    taken: set[str] = set()
    nodes = members(flow)
    for node in sorted(nodes, key=lambda n: "_pfx_id" not in n.__dict__):  # ids that were written win over made ones
        wanted = name = base_id(node)
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        ids[node] = name
    return {node: ids[node] for node in nodes}


def graph_of(flow: Any, name: str | None = None) -> Graph:
    """Read the wiring of `flow`, nested flows included, into a `Graph`. A flow nested in itself is drawn once, as one node."""
    nodes: list[GraphNode] = []
    edges: list[Edge] = []
    groups: list[Group] = []
    _read(flow, "", nodes, edges, groups, (flow,))
    start = getattr(flow, "start_node", None)
    first = start.heads[0] if isinstance(start, Fork) and start.heads else start
    ids = ids_of(flow)
    return Graph(
        name=name or base_name(flow), nodes=tuple(nodes), edges=tuple(edges), groups=tuple(groups),
        start=ids.get(first, "") if first is not None else "", direction=getattr(flow, "_pfx_direction", "LR"),
    )


def _read(flow: Any, group: str, nodes: list[GraphNode], edges: list[Edge], groups: list[Group], inside: tuple[Any, ...]) -> None:
    ids = {node: f"{group}/{short}" if group else short for node, short in ids_of(flow).items()}
    for node, path in ids.items():
        label = getattr(node, "_pfx_label", None) or base_name(node)
        nested = getattr(node, "start_node", None)
        if nested is not None and node not in inside:
            inner = nested.heads[0] if isinstance(nested, Fork) and nested.heads else nested
            groups.append(Group(path, label, group, f"{path}/{ids_of(node).get(inner, '')}"))
            _read(node, path, nodes, edges, groups, (*inside, node))
        else:
            nodes.append(GraphNode(path, label, _kind(node), group, getattr(node, "_pfx_shape", "rect")))
        for kind, action, target, together in arrows(node):
            edges.append(Edge(path, "END" if target is END else ids.get(target, "END"), action, kind, together))


def _kind(node: Any) -> str:
    if hasattr(node, "start_node"):
        return "flow"
    if isinstance(node, BatchNode):
        return "batch"
    if len(node.successors) > 1:
        return "router"
    return "node"


def nodes_by_path(flow: Any, group: str = "", inside: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Every node of `flow` and of the flows nested in it, by graph path."""
    found: dict[str, Any] = {}
    for node, short in ids_of(flow).items():
        path = f"{group}/{short}" if group else short
        found[path] = node
        if getattr(node, "start_node", None) is not None and node not in inside:
            found.update(nodes_by_path(node, path, (*inside, node)))
    return found
