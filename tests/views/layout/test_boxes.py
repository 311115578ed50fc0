"""Decorative subgraphs keep their box, in every form that a flow is drawn in."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import Cluster, graph_of
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.core.mermaid.builder import build
from pocketflex_nb.core.mermaid.parser import parse
from pocketflex_nb.core.state import State
from pocketflex_nb.views.diagrams.flow_text import text as text_of
from pocketflex_nb.views.layout.flow_layout import Box, layout

TEAM = """flowchart LR
    plan --> search & fix
    subgraph gather [Gather "it" all]
        search --> rank
        subgraph deep
            read
        end
        rank --> read
    end
    read & fix --> write
    subgraph out
        write --> review
    end
"""
NAMES: dict[str, Any] = {name: Node() for name in ("plan", "search", "rank", "read", "fix", "write", "review")}
GATHER = Cluster("gather", 'Gather "it" all', members=("search", "rank"))


def team(text: str = TEAM) -> Flow:
    return build(parse(text), NAMES)


def test_the_graph_holds_the_boxes_and_what_stands_in_them() -> None:
    assert graph_of(team()).clusters == (
        GATHER, Cluster("out", "out", members=("write", "review")), Cluster("deep", "deep", parent="gather", members=("read",)),
    )


def test_boxes_do_not_change_what_the_flow_is() -> None:
    plain = "\n".join(line for line in TEAM.splitlines() if "subgraph" not in line and line.strip() != "end")

    boxed, bare = graph_of(team()), graph_of(team(plain))

    assert (boxed.nodes, boxed.edges, boxed.groups) == (bare.nodes, bare.edges, bare.groups)


def test_mermaid_text_brings_them_back() -> None:
    told = team().to_mermaid()

    assert '    subgraph gather["Gather #quot;it#quot; all"]\n        search\n' in told
    assert "        subgraph deep\n            read\n        end\n" in told
    assert graph_of(team(told)) == graph_of(team())


def test_svg_draws_them_behind_everything_else() -> None:
    drawn = team().to_svg()

    assert drawn.count('<g class="pf-cluster">') == 3
    assert drawn.index("pf-cluster") < drawn.index('class="pf-node"')
    assert "Gather &quot;it&quot; all" in drawn or 'Gather "it" all' in drawn


def test_dot_has_a_cluster_for_each_and_text_a_line() -> None:
    dot, told = team().to_dot(), team().to_text()

    assert 'subgraph "cluster_gather" {\n    label="Gather \\"it\\" all"; style="rounded"' in dot
    assert '    subgraph "cluster_deep" {' in dot
    assert '\n(Gather "it" all)\n  search' in told and "\n  (deep)\n    read" in told
    assert "\n   (out)\n" in text_of(graph_of(team()), State())


def test_graphviz_takes_the_text() -> None:
    graphviz = pytest.importorskip("graphviz")

    assert isinstance(team().to_graphviz(), graphviz.Source)


def test_a_box_within_a_nested_flow_and_a_nested_flow_within_a_box() -> None:
    text = """flowchart TD
    plan --> inner
    subgraph inner
        subgraph box
            search --> rank
        end
        rank --> read
    end
    inner --> write
    subgraph around
        subgraph late
            review
        end
    end
    write --> late
"""
    graph = graph_of(team(text))

    assert graph.clusters == (
        Cluster("around", "around", members=("late",)), Cluster("inner/box", "box", "inner", members=("inner/search", "inner/rank")),
    )
    assert graph_of(team(team(text).to_mermaid())) == graph
    place = layout(graph)
    assert is_within(place.clusters["inner/box"], place.groups["inner"])
    assert is_within(place.groups["late"], place.clusters["around"])


def test_copies_of_the_flow_keep_them_and_an_empty_box_is_none() -> None:
    assert graph_of(team().copy()).clusters == graph_of(team().with_nodes(read=Node())).clusters == graph_of(team()).clusters
    assert graph_of(team(TEAM + "    subgraph nothing\n    end\n")).clusters == graph_of(team()).clusters


def test_ids_that_mermaid_does_not_bear_come_back() -> None:
    text = "flowchart LR\n  plan --> write\n  subgraph constructor [The lot]\n    plan\n  end\n"
    graph = graph_of(team(text))

    told = team(text).to_mermaid()

    assert "subgraph constructor[" not in told
    assert graph_of(team(told)) == graph


def is_within(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x and outer.y <= inner.y and inner.x + inner.w <= outer.x + outer.w and inner.y + inner.h <= outer.y + outer.h
    )


def is_apart(one: Box, two: Box) -> bool:
    return one.x + one.w <= two.x or two.x + two.w <= one.x or one.y + one.h <= two.y or two.y + two.h <= one.y


@st.composite
def diagrams(draw: st.DrawFn) -> str:
    """Any drawing of up to nine nodes, some of them in one of two boxes or in a box within the first."""
    names = [f"n{number}" for number in range(draw(st.integers(2, 9)))]
    lines = [f"flowchart {draw(st.sampled_from(['LR', 'TD', 'RL', 'BT']))}"]
    homes = {name: draw(st.sampled_from(["", "", "one", "two", "deep"])) for name in names}
    held = {home: [name for name in names if homes[name] == home] for home in ("one", "two", "deep")}
    lines += ["subgraph one", *held["one"], "subgraph deep [Deep down]", *held["deep"], "end", "end", "subgraph two", *held["two"], "end"]
    lines += [f"{source} --> {target}" for source, target in pairwise(names)]
    for _ in range(draw(st.integers(0, 5))):
        lines.append(f"{draw(st.sampled_from(names))} -->|{draw(st.sampled_from('xyz'))}| {draw(st.sampled_from(names))}")
    return "\n".join([*lines, "%% pf: start=n0"])


@settings(max_examples=150, deadline=None)
@given(diagrams())
def test_any_boxes_come_back_and_hold_what_stands_in_them(text: str) -> None:
    names: dict[str, Any] = {f"n{number}": Node() for number in range(9)}
    graph = graph_of(build(parse(text), names, checked=False))

    assert graph_of(build(parse(build(parse(text), names, checked=False).to_mermaid()), names, checked=False)) == graph
    place = layout(graph)
    assert place.clusters.keys() == {cluster.id for cluster in graph.clusters}
    whole = Box(0, 0, place.width, place.height)
    for cluster in graph.clusters:
        box = place.clusters[cluster.id]
        assert is_within(box, whole)
        assert all(is_within(place.nodes[name], box) for name in cluster.members)
        if cluster.parent:
            assert is_within(box, place.clusters[cluster.parent])
    nodes = list(place.nodes.values())
    assert all(is_apart(one, two) for at, one in enumerate(nodes) for two in nodes[:at])
    inside = {c.id: set(c.members) for c in graph.clusters}
    for cluster in reversed(graph.clusters):
        if cluster.parent:
            inside[cluster.parent] |= inside[cluster.id]
    strangers = [
        (name, cluster.id) for cluster in graph.clusters for name, node in place.nodes.items()
        if name not in inside[cluster.id] and not is_apart(node, place.clusters[cluster.id])
    ]
    assert strangers == []
