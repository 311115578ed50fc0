"""Reading a flow's wiring into a graph."""

from __future__ import annotations

import enum
from itertools import pairwise

from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.flow_graph import Edge, graph_of, ids_of, members, nodes_by_path
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import END, BatchNode, Fork, Node


class Plan(Node):
    """Plans."""


class Search(Node):
    """Searches."""


class Write(Node):
    """Writes."""


def test_nodes_of_one_class_are_numbered_in_wiring_order() -> None:
    plan, first, second = Plan(), Search(), Search()
    plan >> first >> second

    graph = graph_of(Flow(plan, name="report"))

    assert [n.id for n in graph.nodes] == ["Plan", "Search", "Search_2"]
    assert graph.edges == (Edge("Plan", "Search"), Edge("Search", "Search_2"))
    assert (graph.name, graph.start, graph.starts) == ("report", "Plan", ("Plan",))


def test_a_given_name_is_the_id_and_a_written_id_wins() -> None:
    a, b, c = Plan(), Plan(), Plan()
    a.name, b.name = "my plan", "draft"
    c._pfx_id = "draft"
    a >> b >> c

    assert list(ids_of(Flow(a)).values()) == ["my_plan", "draft_2", "draft"]
    assert [n.label for n in graph_of(Flow(a)).nodes] == ["my plan", "draft", "Plan"]


def test_a_node_called_end_in_capitals_is_not_the_reserved_target() -> None:
    a = Plan()
    a.name = "END"
    a - "stop" >> END

    assert graph_of(Flow(a)).edges == (Edge("END_2", "END", "stop"),)


def test_ids_of_ten_thousand_equal_nodes_are_made_in_linear_time() -> None:
    nodes = [Plan() for _ in range(10_000)]
    for here, there in pairwise(nodes):
        here.successors["default"] = there

    ids = ids_of(Flow(nodes[0]))

    assert (ids[nodes[1]], ids[nodes[-1]]) == ("Plan_2", "Plan_10000")


def test_a_fan_out_is_parallel_edges_and_detached_ones() -> None:
    plan, a, b, audit = Plan(), Search(), Write(), Node()
    plan.successors["go"] = Fork([a, b], detached=[audit])

    assert graph_of(Flow(plan)).edges == (
        Edge("Plan", "Search", "go", "action", 2),
        Edge("Plan", "Write", "go", "action", 2),
        Edge("Plan", "Node", "go", "detached", 1),
    )


def test_a_fork_among_the_heads_of_a_fork_is_opened() -> None:
    plan, a, b, c = Plan(), Search(), Write(), Node()
    plan.successors["default"] = Fork([Fork([a, b]), c])

    assert [(e.target, e.parallel) for e in graph_of(Flow(plan)).edges] == [("Search", 3), ("Write", 3), ("Node", 3)]


def test_error_arrows_are_edges_of_their_own_kind() -> None:
    plan, mend = Plan(), Write()
    plan.on_error(mend)

    assert graph_of(Flow(plan)).edges == (Edge("Plan", "Write", "default", "error"),)


def test_an_arrow_to_none_is_left_out() -> None:
    plan = Plan()
    plan >> None

    assert graph_of(Flow(plan)).edges == ()


def test_a_flow_that_begins_with_a_fan_out_has_several_starts() -> None:
    a, b = Plan(), Search()
    inner = Flow(Fork([a, b]), name="inner")

    graph = graph_of(Flow(inner, name="outer"))

    assert graph.starts == ("inner",)
    assert (graph.groups[0].start, graph.groups[0].starts) == ("inner/Plan", ("inner/Plan", "inner/Search"))
    assert graph_of(inner).starts == ("Plan", "Search")


def test_nested_flows_are_groups_and_paths() -> None:
    plan, search, write = Plan(), Search(), Write()
    inner = Flow(search, name="research")
    plan >> inner >> write

    graph = graph_of(Flow(plan))

    assert [(n.id, n.group) for n in graph.nodes] == [("Plan", ""), ("research/Search", "research"), ("Write", "")]
    assert [(e.source, e.target) for e in graph.edges] == [("Plan", "research"), ("research", "Write")]
    assert nodes_by_path(Flow(plan)) == {"Plan": plan, "research": inner, "research/Search": search, "Write": write}


def test_a_flow_nested_in_itself_is_drawn_once() -> None:
    plan = Plan()
    outer = Flow(plan, name="outer")
    plan - "again" >> outer

    assert [n.id for n in graph_of(outer).nodes] == ["Plan", "outer"]
    assert set(nodes_by_path(outer)) == {"Plan", "outer"}


def test_empty_flows_are_single_nodes() -> None:
    empty = Flow(name="empty")

    assert (graph_of(empty).nodes, graph_of(empty).start) == ((), "")
    assert [(n.id, n.kind) for n in graph_of(Flow(empty)).nodes] == [("empty", "flow")]
    assert graph_of(Flow(END)).nodes == ()


def test_kinds_say_what_a_node_does() -> None:
    batch, router = BatchNode(), Plan()
    batch >> router
    router - "a" >> Search()
    router - "b" >> BatchFlow()

    assert [n.kind for n in graph_of(Flow(batch)).nodes] == ["batch", "router", "node", "flow"]


def test_an_action_of_an_enum_is_its_value() -> None:
    class Way(str, enum.Enum):  # noqa: UP042 - its str() is not its value
        OK = "ok"

    a, b = Plan(), Search()
    a - Way.OK >> b

    assert graph_of(Flow(a)).edges[0].action == "ok"


def test_a_label_may_be_empty() -> None:
    a = Plan()
    a._pfx_label = ""

    assert graph_of(Flow(a)).nodes[0].label == ""


def test_members_are_in_breadth_first_order() -> None:
    @node
    def a(shared: dict) -> None: ...

    b, c, d = Plan(), Search(), Write()
    a >> [b, c]
    b >> d
    c >> d

    assert members(Flow(a)) == [a, b, c, d]
