"""`graph_of` gives a flow as data: nodes, edges and groups with stable ids; no layout, no colour.

`graph_of(flow)` reads the wiring; :mod:`pocketflex_nb.core.flow.node_ids` names the nodes. A nested flow is a group; ids inside it are
paths (``research/search``).
"""

from __future__ import annotations

from dataclasses import dataclass

from pocketflex_nb.core.flow.node_ids import (
    action_text,
    arrows,
    base_id,
    base_name,
    branches,
    first_nodes,
    ids_of,
    label_of,
    members,
    nodes_by_path,
)
from pocketflex_nb.core.flow.nodes import END, BaseNode, BatchNode
from pocketflex_nb.core.flow.private_store import names_setting, names_text
from pocketflex_nb.core.units import count_text

__all__ = [
    "Cluster", "Edge", "Graph", "GraphNode", "Group", "action_text", "arrows", "base_id", "base_name", "branches", "first_nodes",
    "graph_of", "ids_of", "label_of", "members", "nodes_by_path",
]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node of a graph.

    Attributes
    ----------
    id : str
        Path of ids through nested flows, unique in the graph.
    label : str
        What is written in it.
    kind : str
        ``"node"``, ``"batch"``, ``"flow"`` (a nested flow drawn as one node, when it is empty), ``"router"`` (several actions).
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

    `target` is a node id, or ``"END"``. `parallel` is the number of arrows that leave together (a fork), or 1. An arrow to a
    nested flow points at the flow's group id; so does one from it.
    """

    source: str
    target: str
    action: str = "default"
    kind: str = "action"
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """A nested flow: a box around the nodes whose `group` is this id. `parent` is the enclosing group, or ``""``.

    `start` is the id of its first node (or group), `starts` all of them when the flow begins with a fan-out. `store` tells of a flow with a
    store of its own what that takes and gives: ``"topic, style -> draft"``; it is ``""`` for others.
    """

    id: str
    label: str
    parent: str = ""
    start: str = ""
    starts: tuple[str, ...] = ()
    store: str = ""

    @property
    def title(self) -> str:
        """The caption of the box: its label, and the inputs and outputs of its private store."""
        return f"{self.label} ({self.store})" if self.store else self.label


@dataclass(frozen=True, slots=True)
class Cluster:
    """A box that only decorates: a Mermaid ``subgraph`` that no arrow names, so that it is not a flow.

    `group` is the nested flow that it stands in, ``""`` for the outermost; `parent` the id of the box around it, or ``""``. `members` are
    the ids of the nodes and groups that stand in it, and in no box within it.
    """

    id: str
    label: str
    group: str = ""
    parent: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A flow as data. `start` is the id of the first node, or of the group it is, or ``""`` for an empty flow.

    `starts` holds every first node: more than one when the flow begins with a fan-out. `settings` are those that a diagram gave, as written
    there: (id, setting, value), the id ``""`` for the flow itself. `clusters` are the boxes that only decorate,
    each after the one around it.
    """

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...] = ()
    start: str = ""
    direction: str = "LR"
    starts: tuple[str, ...] = ()
    settings: tuple[tuple[str, str, str], ...] = ()
    clusters: tuple[Cluster, ...] = ()

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}, {count_text(len(self.nodes), 'node')}, {count_text(len(self.edges), 'edge')}>"

    def ids(self) -> list[str]:
        """Every id that an edge may name: nodes and groups."""
        return [n.id for n in self.nodes] + [g.id for g in self.groups]


def graph_of(flow: BaseNode, name: str | None = None) -> Graph:
    """Read the wiring of `flow`, nested flows included, into a `Graph`. A flow nested in itself is drawn once, as one node."""
    nodes: list[GraphNode] = []
    edges: list[Edge] = []
    groups: list[Group] = []
    settings = _drawn(flow, "")
    clusters: list[Cluster] = []
    _read(flow, "", nodes, edges, groups, settings, clusters, (flow,))
    starts = _starts(flow, "")
    return Graph(
        name=name or base_name(flow), nodes=tuple(nodes), edges=tuple(edges), groups=tuple(groups),
        start=starts[0] if starts else "", direction=getattr(flow, "_pfx_direction", "LR"), starts=starts,
        settings=tuple(settings), clusters=tuple(clusters),
    )


def _drawn(thing: object, path: str) -> list[tuple[str, str, str]]:
    settings = dict(getattr(thing, "_pfx_drawn", {}))
    private = getattr(thing, "_pfx_private", None)
    if private is not None:
        given = {"inputs": names_setting(private.takes), "outputs": names_setting(private.gives)}
        settings = {name: text for name, text in given.items() if text} | settings
    return [(path, setting, value) for setting, value in settings.items()]


def _store_of(flow: BaseNode) -> str:
    private = getattr(flow, "_pfx_private", None)
    if private is None:
        return ""
    takes, gives = names_text(private.takes), names_text(private.gives)
    return f"{takes} -> {gives}".strip() if gives or not takes else takes


def _starts(flow: BaseNode, group: str) -> tuple[str, ...]:
    ids = ids_of(flow)
    return tuple(f"{group}/{ids[n]}" if group else ids[n] for n in dict.fromkeys(first_nodes(flow)))


def _read(
    flow: BaseNode, group: str, nodes: list[GraphNode], edges: list[Edge], groups: list[Group], settings: list[tuple[str, str, str]],
    clusters: list[Cluster], inside: tuple[object, ...],
) -> None:
    ids = {node: f"{group}/{short}" if group else short for node, short in ids_of(flow).items()}
    clusters += _clusters(flow, group, list(ids.values()))
    for node, path in ids.items():
        label = label_of(node)
        settings += _drawn(node, path)
        if first_nodes(node) and not any(node is outer for outer in inside):
            starts = _starts(node, path)
            groups.append(Group(path, label, group, starts[0], starts, _store_of(node)))
            _read(node, path, nodes, edges, groups, settings, clusters, (*inside, node))
        else:
            nodes.append(GraphNode(path, label, _kind(node), group, getattr(node, "_pfx_shape", None) or "rect"))
        for kind, action, target, together in arrows(node):
            edges.append(Edge(path, "END" if target is END else ids.get(target, "END"), action_text(action), kind, together))


def _clusters(flow: BaseNode, group: str, known: list[str]) -> list[Cluster]:
    """The boxes of `flow` itself that hold anything, by graph path; in the order of their first nodes, a box before those in it."""
    lead = f"{group}/" if group else ""
    place = {path: at for at, path in enumerate(known)}
    found: dict[str, Cluster] = {}
    for name, label, parent, inside in getattr(flow, "_pfx_clusters", ()):
        held = sorted((lead + m for m in inside if lead + m in place), key=place.__getitem__)
        found[lead + name] = Cluster(lead + name, label, group, lead + parent if parent else "", tuple(held))
    keys: dict[str, tuple[int, int]] = {}
    for cluster in found.values():
        around = [cluster.id]
        while (outer := found[around[-1]].parent) in found:
            around.append(outer)
        for depth, name in enumerate(reversed(around)):
            if cluster.members:
                keys[name] = min(keys.get(name, (len(known), 0)), (place[cluster.members[0]], depth))
    return [found[name] for name in sorted(keys, key=keys.__getitem__)]


def _kind(node: BaseNode) -> str:
    if hasattr(node, "start_node"):
        return "flow"
    if isinstance(node, BatchNode):
        return "batch"
    if len(node.successors) > 1:
        return "router"
    return "node"
