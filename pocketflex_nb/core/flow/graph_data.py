"""A graph as plain data, for a journal: a run is drawn as it was wired when it began, also where its code is not loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from pocketflex_nb.core.flow.flow_graph import Cluster, Edge, Graph, GraphNode, Group

__all__ = ["graph_data", "graph_of_data", "graph_of_wiring"]

_PARTS: dict[str, Any] = {"nodes": GraphNode, "edges": Edge, "groups": Group, "clusters": Cluster}
#: an arrow as `code_marks.wiring` writes it
_ARROW = re.compile(r"(?P<source>.+?) -(?P<action>.*)> (?P<target>\S+)(?: \((?P<kind>\w+)\))?(?P<many> &)?$")


def graph_data(graph: Graph) -> dict[str, Any]:
    """A graph as lists, numbers and texts; what is as it is by default is left out."""
    data: dict[str, Any] = {}
    for field in fields(graph):
        value = getattr(graph, field.name)
        if field.name in _PARTS:
            value = [_short(one) for one in value]
        if value and value != field.default:
            data[field.name] = value
    return data


def _short(part: Any) -> dict[str, Any]:
    found = {field.name: getattr(part, field.name) for field in fields(part) if getattr(part, field.name) != field.default}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def graph_of_data(data: Mapping[str, Any], name: str) -> Graph:
    """The graph that `graph_data` wrote, under another name. What is missing in it is as it is by default.

    Examples
    --------
    >>> from pocketflex_nb import Flow, linear, node
    >>> from pocketflex_nb.core.flow.flow_graph import graph_of
    >>> graph = graph_of(linear(node(len), node(max)), name="sizes")
    >>> graph_of_data(graph_data(graph), "sizes") == graph
    True
    """
    given: dict[str, Any] = {"name": name, "nodes": (), "edges": ()}
    for field in fields(Graph):
        value = data.get(field.name)
        if field.name == "name" or value is None:
            continue
        if field.name in _PARTS:
            value = tuple(_made(_PARTS[field.name], one) for one in value if isinstance(one, Mapping))
        elif isinstance(value, list):
            value = tuple(tuple(one) if isinstance(one, list) else one for one in value)
        given[field.name] = value
    return Graph(**given)


def _made(part: Any, data: Mapping[str, Any]) -> Any:
    given = {}
    for field in fields(part):
        value = data.get(field.name, "" if field.default is MISSING else field.default)
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return part(**given)


def graph_of_wiring(paths: Iterable[str], wiring: Iterable[str], name: str) -> Graph:
    """The graph that a header of an older journal tells by its nodes and arrows.

    Examples
    --------
    >>> graph_of_wiring(["plan", "write"], ["plan -default> write", "write -default> END"], "report").ids()
    ['plan', 'write']
    """
    known = list(paths)
    outer = {path.rpartition("/")[0] for path in known} - {""}
    nodes = tuple(GraphNode(path, path.rpartition("/")[2], group=path.rpartition("/")[0]) for path in known if path not in outer)
    first = {group: next(path for path in known if path.rpartition("/")[0] == group) for group in outer}
    parts = [(path, *path.rpartition("/")[::2]) for path in known if path in outer]
    groups = tuple(Group(path, label, parent, first[path], (first[path],)) for path, parent, label in parts)
    edges = []
    for text in wiring:
        if (found := _ARROW.match(text)) is not None:
            group = found["source"].rpartition("/")[0]
            target = found["target"] if found["target"] == "END" or not group else f"{group}/{found['target']}"
            edges.append(Edge(found["source"], target, found["action"], found["kind"] or "action", 2 if found["many"] else 1))
    start = next((path for path in known if "/" not in path), "")
    return Graph(name, nodes, tuple(edges), groups, start=start, starts=(start,) if start else ())
