"""The order of nodes within their ranks, chosen to reduce crossings (step 3 of Sugiyama's method)."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from pocketflex_nb.views.layout.layout_graph import Adjacency, Level

__all__ = ["ordered"]


def ordered(level: Level, up: Adjacency, down: Adjacency, finish: list[int]) -> None:
    """Put each rank in an order with few crossings."""
    first = _preorder(up, down, finish)
    ranks: list[list[int]] = [[] for _ in range(max(level.rank) + 1)]
    for v in first:
        ranks[level.rank[v]].append(v)
    size = len(level.rank)
    if max(map(len, ranks)) == 1:
        level.order = ranks
        return
    counted = size <= 500
    best, fewest, since = [list(r) for r in ranks], _crossings(ranks, down) if counted else 1, 0
    place = [0.0] * size
    for sweep in range(8 if size <= 150 else 4 if size <= 800 else 2):
        if not fewest or since == 3:
            break
        _sweep(ranks, up if sweep % 2 == 0 else down, place, forward=sweep % 2 == 0)
        since += 1
        if counted and (found := _crossings(ranks, down)) < fewest:
            best, fewest, since = [list(r) for r in ranks], found, 0
    level.order = best if counted else ranks


def _preorder(up: Adjacency, down: Adjacency, finish: list[int]) -> list[int]:
    seen = [False] * len(up)
    order = []
    for root in [*reversed(finish), *range(len(up))]:
        if seen[root] or up[root]:
            continue
        stack = [root]
        while stack:
            at = stack.pop()
            if not seen[at]:
                seen[at] = True
                order.append(at)
                stack += [t for t, _ in reversed(down[at]) if not seen[t]]
    return order


def _sweep(ranks: list[list[int]], towards: Adjacency, place: list[float], *, forward: bool) -> None:
    for row in ranks if forward else reversed(ranks):
        if len(row) == 1:
            place[row[0]] = 0.5
            continue
        step = 1.0 / len(row)
        for number, v in enumerate(row):
            near = towards[v]
            if not near:
                place[v] = number * step
            elif len(near) == 1:
                place[v] = place[near[0][0]]
            else:
                total = 0.0
                for u, _ in near:
                    total += place[u]
                place[v] = total / len(near)
        row.sort(key=place.__getitem__)
        at = step / 2
        for v in row:
            place[v] = at
            at += step


def _crossings(ranks: list[list[int]], down: Adjacency) -> int:
    """How many pairs of arrows cross."""
    total = 0
    for here, there in pairwise(ranks):
        if len(here) == 1 or len(there) == 1:
            continue
        where = {v: number for number, v in enumerate(there)}
        passed: list[int] = []  # ends of the arrows so far, in order
        for v in here:
            for end in sorted([where[t] for t, _ in down[v]]):
                at = bisect_right(passed, end)
                total += len(passed) - at
                passed.insert(at, end)
    return total
