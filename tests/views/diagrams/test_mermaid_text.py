"""A flow as Mermaid text, and back again."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.errors import DiagramError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import Edge, Graph, GraphNode, Group, graph_of, nodes_by_path
from pocketflex_nb.core.flow.nodes import END, BatchNode, Fork, Node
from pocketflex_nb.core.mermaid.builder import build
from pocketflex_nb.core.mermaid.parser import parse
from pocketflex_nb.core.state import NodeState, State
from pocketflex_nb.views.diagrams.flow_mermaid import mermaid
from pocketflex_nb.views.layout.node_shapes import outline

SHAPES = ["rect", "round", "stadium", "subroutine", "cylinder", "circle", "double_circle", "asymmetric", "diamond", "hexagon",
          "lean_right", "lean_left", "trapezoid", "trapezoid_alt"]


def namespace_of(flow: Any) -> dict[str, Any]:
    """The nodes of a flow as a notebook would hold them, by the id that each has in its own flow."""
    found: dict[str, Any] = {}
    for path, node in nodes_by_path(flow).items():
        empty = Flow() if isinstance(node, Flow) else BatchNode() if isinstance(node, BatchNode) else Node()
        found.setdefault(path.rsplit("/", 1)[-1], empty)
    return found


def came_back(flow: Any) -> Graph:
    return graph_of(build(parse(mermaid(graph_of(flow))), namespace_of(flow), checked=False))


def named(name: str, **attributes: Any) -> Node:
    node = Node()
    node.name = name
    for key, value in attributes.items():
        setattr(node, f"_pfx_{key}", value)
    return node


def test_the_text_is_what_a_person_would_write() -> None:
    plan, search, read, write = named("plan"), named("search"), named("read"), named("write", label="Write it up", shape="round")
    plan.successors["ok"] = Fork([search, read])
    search >> write
    read >> write
    search.on_error(plan)
    write - "revise" >> plan
    write - "all done" >> END

    assert mermaid(graph_of(Flow(plan, name="report"))) == (
        "flowchart LR\n"
        "    plan\n"
        "    search\n"
        "    read\n"
        '    write("Write it up")\n'
        "    plan -->|ok| search\n"
        "    plan -->|ok| read\n"
        "    search --> write\n"
        "    search -.-> plan\n"
        "    read --> write\n"
        "    write -->|revise| plan\n"
        "    write -->|all done| END\n"
        "    %% pf: start=plan\n"
        '    %% pf: name="report"\n'
    )


def test_nested_flows_are_subgraphs() -> None:
    plan, search, rank = named("plan"), named("search"), named("rank")
    search >> rank
    rank - "again" >> search
    inner = Flow(search, name="research")
    plan >> inner >> named("write")

    text = mermaid(graph_of(Flow(plan)))

    assert (
        "    subgraph research\n        search\n        rank\n        search --> rank\n        rank -->|again| search\n    end\n"
    ) in text
    assert "%% pf: research.start=search" in text
    assert came_back(Flow(plan)) == graph_of(Flow(plan))


def test_ids_that_mermaid_does_not_bear_get_another_one_and_come_back() -> None:
    end, graph, style = named("end"), named("graph"), named("style-guide")
    end >> graph >> style

    text = mermaid(graph_of(Flow(end)))

    assert '    end_["end"]\n' in text
    assert '%% pf: end_.id="end"' in text
    assert came_back(Flow(end)) == graph_of(Flow(end))


@pytest.mark.parametrize(
    "name",
    ["constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf", "__proto__",
     "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"],
)
def test_what_every_javascript_object_inherits_is_no_id_of_a_node_or_subgraph(name: str) -> None:
    inner = Flow(named(name), name=name)
    inner - name >> named("after")

    text = mermaid(graph_of(Flow(inner, name="outer")))

    assert not re.search(rf"^\s*(subgraph )?{name}\b(?!_)", text, re.MULTILINE)
    assert without_kinds(came_back(Flow(inner, name="outer"))) == without_kinds(graph_of(Flow(inner, name="outer")))


def test_one_id_in_two_nested_flows_comes_back() -> None:
    one, two = Flow(named("work"), name="one"), Flow(named("work"), name="two")
    one >> two >> named("work")

    assert came_back(Flow(one)) == graph_of(Flow(one))


def test_a_flow_that_begins_with_a_fan_out_comes_back() -> None:
    inner = Flow(Fork([named("a"), named("b")]), name="inner")

    assert came_back(Flow(inner, name="outer")) == graph_of(Flow(inner, name="outer"))
    assert came_back(inner) == graph_of(inner)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_comes_back(shape: str) -> None:
    flow = Flow(named("a", shape=shape, label="a (b) [c] {d}"))

    assert came_back(flow) == graph_of(flow)
    assert outline(shape, 0, 0, 100, 40, "")


def test_a_state_colours_nodes_and_the_text_still_comes_back() -> None:
    state = State()
    state.nodes["a"] = NodeState("failed", 1)
    flow = Flow(named("a"))

    text = mermaid(graph_of(flow), state)

    assert "classDef pf_failed fill:" in text
    assert "class a pf_failed" in text
    assert graph_of(build(parse(text), namespace_of(flow))) == graph_of(flow)


def test_hostile_names_cannot_leave_their_quotes() -> None:
    evil = 'x"]; click a callback "javascript:alert(1)"\n%%{init: {}}%%<script>`#quot;'
    text = mermaid(Graph(evil, (GraphNode("a", evil), GraphNode("b", evil)), (Edge("a", "b", evil),), (Group("g", evil),), "a"))

    assert "click a callback \"" not in text
    assert "<script>" not in text
    assert "%%{" not in text
    assert [n.label for n in parse(text).nodes] == [evil, evil]
    assert [e.action for e in parse(text).edges] == [evil]


_ODD = st.sampled_from(["end", "a|b", '"', "#35;", "<br/>", "a\nb", "-->", "%% pf: x=1", "日本", "", "\u200b"])
_LABELS = st.one_of(st.text(max_size=12), _ODD)
_NAMES = st.one_of(
    st.sampled_from(["end", "END", "graph", "style", "plan", "x", "o", "a.b", "a-b", "default", "subgraph", "é", "2", "my plan",
                     "__proto__"]),
    st.text(min_size=1, max_size=6),
)


_SETTINGS = st.fixed_dictionaries({}, optional={"timeout": st.sampled_from(["2m", "0.5"])})  # fits whatever a name stands for


@st.composite
def flows(draw: st.DrawFn, depth: int = 2) -> Flow:
    """Any flow: names and labels of any text, forks, detached and error arrows, loops, nested flows."""
    nodes: list[Any] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["node", "node", "node", "batch", "empty", "flow"]))
        made = draw(flows(depth=depth - 1)) if kind == "flow" and depth else BatchNode() if kind == "batch" else Node()
        if kind == "empty":
            made = Flow()
        made.name = draw(_NAMES)
        if draw(st.booleans()):
            made._pfx_label = draw(_LABELS)
        if not isinstance(made, Flow) and draw(st.booleans()):
            made._pfx_shape = draw(st.sampled_from(SHAPES))
        if draw(st.integers(0, 3)) == 0:
            made._pfx_drawn = draw(_SETTINGS)
        nodes.append(made)
    targets = st.sampled_from([*nodes, END])
    for node in nodes:
        for action in draw(st.lists(st.one_of(st.just("default"), _LABELS), max_size=2, unique=True)):
            heads = draw(st.lists(targets, min_size=1, max_size=3))  # a node that is named twice is walked twice
            beside = draw(st.lists(st.sampled_from(nodes), max_size=1))
            node.successors[action] = heads[0] if len(heads) == 1 and not beside else Fork(heads, detached=beside)
        if draw(st.integers(0, 4)) == 0:
            node._pfx_on_error = draw(st.sampled_from(nodes))
    flow = Flow(Fork(nodes[:2]) if len(nodes) > 1 and draw(st.integers(0, 4)) == 0 else nodes[0], name=draw(_NAMES))
    flow._pfx_drawn = draw(_SETTINGS)
    flow._pfx_direction = draw(st.sampled_from(["LR", "TD", "RL", "BT"]))
    return flow


@settings(max_examples=250, deadline=None)
@given(flows())
def test_any_flow_comes_back_as_an_equal_graph(flow: Flow) -> None:
    # the namespace holds one thing a name, while nested flows may use a name for a node here and a batch there: kinds aside
    assert without_kinds(came_back(flow)) == without_kinds(graph_of(flow))


def without_kinds(graph: Graph) -> Graph:
    return replace(graph, nodes=tuple(replace(node, kind="") for node in graph.nodes))


def test_settings_come_back_and_still_hold() -> None:
    text = "flowchart LR\n    search --> write\n    %% pf: search.retries=3, search.timeout=20\n    %% pf: max_steps=50\n"
    flow = build(parse(text), {"search": Node(), "write": Node()})

    told = mermaid(graph_of(flow))
    again = build(parse(told), {"search": Node(), "write": Node()})

    assert "%% pf: search.retries=3, search.timeout=20\n" in told
    assert graph_of(again) == graph_of(flow)
    assert (again.start_node.max_retries, again.start_node._pfx_timeout, again._pfx_max_steps) == (3, 20, 50)


def test_kinds_come_back() -> None:
    batch, router, empty = BatchNode(), named("router"), Flow(name="empty")
    batch >> router
    router - "a" >> empty
    router - "b" >> named("last")

    assert [n.kind for n in came_back(Flow(batch)).nodes] == ["batch", "router", "flow", "node"]


@pytest.mark.parametrize(("said", "visits"), [("true", 3), ("yes", 3), ("false", 1)])
def test_equal_arrows_are_one_unless_the_diagram_says_that_they_repeat(said: str, visits: int) -> None:
    text = f"flowchart LR\n    a --> w\n    a --> w\n    a --> w\n    w --> END\n    %% pf: a.repeats={said}\n"
    counted = Node()
    counted.post = lambda shared, *_: shared.append("w")  # type: ignore[method-assign]
    flow, seen = build(parse(text), {"a": Node(), "w": counted}), list[str]()

    flow.run(seen)

    assert len(seen) == visits
    assert graph_of(build(parse(mermaid(graph_of(flow))), {"a": Node(), "w": counted})).edges == graph_of(flow).edges


def test_a_wrong_word_for_repeating_is_named() -> None:
    with pytest.raises(DiagramError, match=r"repeats='often': true or false is needed"):
        build(parse("flowchart LR\n    a --> w\n    %% pf: a.repeats=often\n"), {"a": Node(), "w": Node()})
