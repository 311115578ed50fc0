"""Where everything stands: nothing overlaps, nothing leaves the picture, nothing is lost."""

from __future__ import annotations

import random
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.flow.flow_graph import Edge, Graph, GraphNode, Group
from pocketflex_nb.views.layout.flow_layout import Box, Layout, layout

DIRECTIONS = ["LR", "TD", "RL", "BT"]


def graph(*edges: tuple[str, ...], direction: str = "LR", groups: tuple[Group, ...] = ()) -> Graph:
    """A graph from (source, target, action, kind) tuples; ids with a slash stand in the group before it."""
    boxes = {g.id for g in groups}
    ids = [i for i in dict.fromkeys(i for e in edges for i in e[:2]) if i != "END" and i not in boxes]
    nodes = tuple(GraphNode(i, i, group=i.rpartition("/")[0]) for i in ids)
    return Graph("g", nodes, tuple(Edge(*e) for e in edges), groups, edges[0][0], direction, (edges[0][0],))


def random_graph(size: int, more: int, seed: int) -> Graph:
    pick = random.Random(seed)
    edges = [(f"n{pick.randrange(i)}", f"n{i}", pick.choice(["default", "ok", "a longer action"])) for i in range(1, size)]
    edges += [(f"n{pick.randrange(size)}", pick.choice([f"n{pick.randrange(size)}", "END"]), f"again{k}") for k in range(more)]
    return graph(*edges) if edges else Graph("g", (GraphNode("n0", "n0"),), (), (), "n0", "LR", ("n0",))


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.w - 0.01 and b.x < a.x + a.w - 0.01 and a.y < b.y + b.h - 0.01 and b.y < a.y + a.h - 0.01


def is_inside(inner: Box, outer: Box) -> bool:
    return (
        inner.x >= outer.x - 0.01 and inner.y >= outer.y - 0.01
        and inner.x + inner.w <= outer.x + outer.w + 0.01 and inner.y + inner.h <= outer.y + outer.h + 0.01
    )


def check_tidy(graph: Graph, place: Layout) -> None:
    boxes = list(place.nodes.values())
    labels = [r.label for r in place.routes if r.label is not None]
    assert set(place.nodes) == {n.id for n in graph.nodes}
    assert sorted(r.edge for r in place.routes if r.edge >= 0) == list(range(len(graph.edges)))
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    assert not any(overlap(a, b) for a, b in combinations(labels, 2))
    assert not any(overlap(a, b) for a in labels for b in boxes)
    page = Box(0, 0, place.width, place.height)
    assert all(is_inside(box, page) for box in (*boxes, *labels, *place.groups.values()))
    for route in place.routes:
        for _, points in route.steps:
            assert all(-0.01 <= x <= place.width + 0.01 and -0.01 <= y <= place.height + 0.01 for x, y in points)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 25), st.integers(0, 14), st.integers(0, 10_000), st.sampled_from(DIRECTIONS))
def test_no_box_and_no_label_overlaps_another_and_all_is_inside_the_page(size: int, more: int, seed: int, direction: str) -> None:
    drawn = random_graph(size, more, seed)

    check_tidy(drawn, layout(drawn, direction))


def test_arrows_run_the_way_the_direction_says() -> None:
    chain = graph(("a", "b"), ("b", "c"))

    middles = {d: [layout(chain, d).nodes[i].middle for i in "abc"] for d in DIRECTIONS}

    assert [x for x, _ in middles["LR"]] == sorted(x for x, _ in middles["LR"])
    assert [y for _, y in middles["TD"]] == sorted(y for _, y in middles["TD"])
    assert [x for x, _ in middles["RL"]] == sorted((x for x, _ in middles["RL"]), reverse=True)
    assert [y for _, y in middles["BT"]] == sorted((y for _, y in middles["BT"]), reverse=True)
    assert len({y for _, y in middles["LR"]}) == 1
    assert layout(chain, "TB") == layout(chain, "TD")


def test_a_two_way_pair_is_two_arrows_apart() -> None:
    place = layout(graph(("a", "b"), ("b", "a")))

    forth, back = (next(r for r in place.routes if r.edge == n) for n in (0, 1))

    assert forth.tip[0] == pytest.approx(place.nodes["b"].x)
    assert back.tip[0] == pytest.approx(place.nodes["a"].x + place.nodes["a"].w)
    assert abs(forth.tip[1] - back.tip[1]) >= 10


def test_several_arrows_between_two_nodes_are_apart() -> None:
    place = layout(graph(("a", "b", "x"), ("a", "b", "y"), ("a", "b", "default", "error")))

    curves = {r.steps for r in place.routes if r.edge >= 0}

    assert len(curves) == 3


def test_a_long_way_back_goes_round_the_outside() -> None:
    place = layout(graph(("a", "b"), ("b", "c"), ("c", "a", "again")))

    back = next(r for r in place.routes if r.edge == 2)

    assert back.label is not None
    assert back.label.y > max(b.y + b.h for b in place.nodes.values())
    assert back.aim == (0.0, -1.0)


def test_loops_of_one_node_stand_around_each_other() -> None:
    place = layout(graph(("a", "a", "one"), ("a", "a", "two"), ("a", "b")))

    labels = [r.label for r in place.routes if r.edge in (0, 1)]

    assert labels[0] is not None
    assert labels[1] is not None
    assert labels[1].y + labels[1].h <= labels[0].y + 0.01


def test_nodes_of_a_nested_flow_stand_inside_its_box() -> None:
    inner = Group("r", "research", "", "r/a", ("r/a",))
    deeper = Group("r/s", "sources", "r", "r/s/x", ("r/s/x",))
    drawn = graph(("plan", "r"), ("r", "w"), ("r/a", "r/s"), ("r/s/x", "r/s/y"), ("r/s/y", "END", "ok"), groups=(inner, deeper))

    for direction in DIRECTIONS:
        place = layout(drawn, direction)

        assert is_inside(place.nodes["r/a"], place.groups["r"])
        assert is_inside(place.groups["r/s"], place.groups["r"])
        assert is_inside(place.nodes["r/s/y"], place.groups["r/s"])
        assert not overlap(place.nodes["plan"], place.groups["r"])
        assert not overlap(place.nodes["w"], place.groups["r"])
        assert not overlap(place.nodes["r/a"], place.groups["r/s"])
        assert len(place.starts) == 3
        assert len(place.ends) == 1


def test_the_same_graph_is_laid_out_the_same() -> None:
    assert layout(random_graph(40, 20, 7)) == layout(random_graph(40, 20, 7))


def test_an_empty_graph_is_an_empty_page() -> None:
    place = layout(Graph("g", (), ()))

    assert place.nodes == {}
    assert place.routes == ()
    assert place.width > 0


def test_an_arrow_to_an_unknown_id_is_left_out() -> None:
    broken = Graph("g", (GraphNode("a", "a"),), (Edge("a", "nowhere"), Edge("nobody", "a")), (), "a")

    assert [r.edge for r in layout(broken).routes] == [-1]


def test_five_thousand_nodes_in_a_row_need_no_recursion() -> None:
    chain = graph(*[(f"n{i}", f"n{i + 1}") for i in range(5_000)])

    assert len(layout(chain).nodes) == 5_001


@pytest.mark.parametrize(("size", "seconds"), [(30, 0.05), (1_000, 1.0)])
def test_a_layout_takes_no_longer_than_ten_times_its_mark(size: int, seconds: float) -> None:
    drawn = random_graph(size, size // 3, 1)

    took = []
    for _ in range(3):
        began = time.perf_counter()
        layout(drawn)
        took.append(time.perf_counter() - began)

    assert min(took) < seconds
