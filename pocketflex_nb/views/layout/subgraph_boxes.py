"""Subgraph boxes that only decorate: which nodes and boxes each contains, and the space for it among other nodes."""

from __future__ import annotations

from collections.abc import Sequence

from pocketflex_nb.core.flow.flow_graph import Cluster, Graph, GraphNode, Group
from pocketflex_nb.views.layout.layout_graph import BESIDE, GAP, LayoutNode, Level

__all__ = ["Reach", "arranged", "items_within", "reaches", "separate_boxes"]

#: room between a box and what stands beside it
_APART = 10.0
#: what a box covers: from, to along the arrows; from, to across them
Reach = tuple[float, float, float, float]


def arranged(graph: Graph) -> dict[str, list[GraphNode | Group | Cluster]]:
    """What is written within each group, box, and the whole (``""``): by its id, in order; a box stands where its first member would."""
    every: list[GraphNode | Group] = [*graph.nodes, *graph.groups]
    inside: dict[str, list[GraphNode | Group | Cluster]] = {"": [], **{g.id: [] for g in graph.groups}}
    inside.update({cluster.id: [] for cluster in graph.clusters})
    around = {name: cluster for cluster in graph.clusters for name in cluster.members}
    outer = {cluster.id: cluster for cluster in graph.clusters}
    placed: set[str] = set()
    for member in every:
        home = member.group if isinstance(member, GraphNode) else member.parent
        here: GraphNode | Group | Cluster = member
        box = around.get(member.id)
        while box is not None:
            inside[box.id].append(here)
            if box.id in placed:
                break
            placed.add(box.id)
            here, box = box, outer.get(box.parent)
        else:
            inside[home if home in inside else ""].append(here)
    return inside


def items_within(graph: Graph, home: str, number: dict[str, int]) -> dict[str, set[int]]:
    """The boxes of one group, or of the whole: each with the numbers of all items inside, inner boxes first."""
    held: dict[str, set[int]] = {}
    for cluster in reversed(graph.clusters):  # a box comes after the one around it
        if cluster.group == home:
            mine = held.setdefault(cluster.id, set())
            mine.update(number[name] for name in cluster.members if name in number)
            if cluster.parent:
                held.setdefault(cluster.parent, set()).update(mine)
    order = {cluster.id: at for at, cluster in enumerate(graph.clusters)}
    return {name: held[name] for name in sorted(held, key=lambda name: -order.get(name, 0)) if held[name]}


def reaches(
    level: Level, items: Sequence[LayoutNode], boxes: dict[str, set[int]], parents: dict[str, str], pads: Reach
) -> dict[str, Reach]:
    """What each box covers: its items, and the boxes in it, with `pads` around them."""
    found: dict[str, Reach] = {}
    for name, members in boxes.items():
        corners = [reach for inner, reach in found.items() if parents[inner] == name]
        for number in members:
            (a, c), item = level.at[number], items[number]
            corners.append((a - item.along / 2, a + item.along / 2, c - item.across / 2, c + item.across / 2))
        a0, a1, c0, c1 = zip(*corners, strict=True)
        found[name] = min(a0) - pads[0], max(a1) + pads[1], min(c0) - pads[2], max(c1) + pads[3]
    return found


def separate_boxes(level: Level, items: Sequence[LayoutNode], boxes: dict[str, set[int]], parents: dict[str, str], pads: Reach) -> None:
    """Move items so that each box contains only its own: boxes as one, the inner ones first."""
    _part_ranks(level, items, boxes, parents, pads)
    for name in (*boxes, ""):
        inner = [other for other in boxes if parents[other] == name]
        if inner:
            held = boxes[name] if name else set(range(len(items)))
            _put(level, items, reaches(level, items, boxes, parents, pads), {other: boxes[other] for other in inner}, held)


def _put(level: Level, items: Sequence[LayoutNode], covered: dict[str, Reach], inner: dict[str, set[int]], held: set[int]) -> None:
    """Place the boxes of one level, then the other items, each where it was or at the nearest free position across."""
    units = sorted(((covered[name], members) for name, members in inner.items()), key=lambda unit: unit[0][2] + unit[0][3])
    free = held.difference(*inner.values())
    for number in sorted(free, key=lambda n: level.at[n][1]):
        (a, c), item = level.at[number], items[number]
        low, high = c - item.across / 2 - item.before, c + item.across / 2 + item.after
        units.append(((a - item.along / 2, a + item.along / 2, low, high), {number}))
    placed: list[Reach] = []
    for (a0, a1, c0, c1), members in units:
        beside = [p for p in placed if p[0] < a1 and p[1] > a0]
        places = [c0, *(p[3] + _APART for p in beside), *(p[2] - _APART - (c1 - c0) for p in beside)]
        free_places = [c for c in places if all(c + c1 - c0 + _APART <= p[2] + 0.01 or c >= p[3] + _APART - 0.01 for p in beside)]
        move = min((c - c0 for c in free_places), key=abs)
        for number in members:
            level.at[number] = level.at[number][0], level.at[number][1] + move
        placed.append((a0, a1, c0 + move, c1 + move))


def _part_ranks(level: Level, items: Sequence[LayoutNode], boxes: dict[str, set[int]], parents: dict[str, str], pads: Reach) -> None:
    """Move ranks apart along the arrows, where several borders are between two of them."""
    needs: dict[int, float] = {}
    firsts = {name: min(level.rank[n] for n in members) for name, members in boxes.items()}
    lasts = {name: max(level.rank[n] for n in members) for name, members in boxes.items()}
    for name in boxes:
        before = after = 0.0
        at: str = name
        while at:  # the borders that begin, and those that end, where this box does
            before += pads[0] if firsts.get(at) == firsts[name] else 0.0
            after += pads[1] if lasts.get(at) == lasts[name] else 0.0
            at = parents.get(at, "")
        needs[firsts[name]] = max(needs.get(firsts[name], 0.0), before)
        needs[lasts[name] + 1] = max(needs.get(lasts[name] + 1, 0.0), after)
    move, moves = 0.0, []
    for rank in range(len(level.columns)):
        move += max(0.0, needs.get(rank, 0.0) + BESIDE - GAP) if rank else 0.0
        moves.append(move)
    level.at = [(a + moves[rank], c) for (a, c), rank in zip(level.at, level.rank, strict=True)]
    level.columns = [(low + by, high + by) for (low, high), by in zip(level.columns, moves, strict=True)]
