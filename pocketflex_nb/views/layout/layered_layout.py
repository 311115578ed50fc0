"""Layered layout of one level: cycles are broken, ranks assigned, dummies added (steps 1 and 2 of Sugiyama's method).

*along* runs with the arrows, *across* runs beside them; :mod:`pocketflex_nb.views.layout.flow_layout` turns them into x and y. The steps
are those of Sugiyama, Tagawa and Toda (1981): cycles broken by a depth-first search, ranks by longest path, order by barycentres,
coordinates by least squares (pooled adjacent violators) between neighbours. No step is random and none recurses.
"""

from __future__ import annotations

from collections.abc import Iterable

from pocketflex_nb.views.layout.coordinates import columns, margins, placed
from pocketflex_nb.views.layout.crossing_reduction import ordered
from pocketflex_nb.views.layout.layout_graph import Adjacency, LayoutEdge, LayoutNode, Level, neighbours_of

__all__ = ["ranked"]


def ranked(items: list[LayoutNode], links: list[LayoutEdge], roots: Iterable[int]) -> Level:
    """Place `items`. Links from an item to itself are left to the caller."""
    level = Level()
    if not items:
        return level
    finish, level.back = _search(len(items), links, roots)
    coarse = _longest_paths(len(items), links, level.back, finish)
    chained = _chained(len(items), links, level.back, coarse)
    slotted = _slotted(links, chained, level.back, coarse)
    _make_chains(level, links, chained, slotted, coarse)
    up, down = neighbours_of(level, links)
    ordered(level, up, down, finish)
    before, after = margins(level, items, links)
    across = placed(level, up, down, before, after)
    columns(level, items, links, across, down)
    level.at = [((level.columns[r][0] + level.columns[r][1]) / 2, across[v]) for v, r in enumerate(level.rank)]
    return level


def _search(n: int, links: list[LayoutEdge], roots: Iterable[int]) -> tuple[list[int], set[int]]:
    """Items in the order of a depth-first search, and the links that close a cycle."""
    out: Adjacency = [[] for _ in range(n)]
    for number, link in enumerate(links):
        if link.source != link.target:
            out[link.source].append((link.target, number))
    state, finish, back = [0] * n, [], set()
    for root in [*roots, *range(n)]:
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(out[root]))]
        while stack:
            at, targets = stack[-1]
            for target, number in targets:
                if state[target] == 1:
                    back.add(number)
                elif not state[target]:
                    state[target] = 1
                    stack.append((target, iter(out[target])))
                    break
            else:
                state[at] = 2
                finish.append(at)
                stack.pop()
    return finish, back


def _longest_paths(n: int, links: list[LayoutEdge], back: set[int], finish: list[int]) -> list[int]:
    out: list[list[int]] = [[] for _ in range(n)]
    for number, link in enumerate(links):
        if link.source != link.target and number not in back:
            out[link.source].append(link.target)
    rank = [0] * n
    for at in reversed(finish):
        for target in out[at]:
            rank[target] = max(rank[target], rank[at] + 1)
    return rank


def _chained(n: int, links: list[LayoutEdge], back: set[int], rank: list[int]) -> list[int]:
    """The links that run through the ranks: forward ones, while their dummies stay few, and back ones to the next rank."""
    spans = []
    for number, link in enumerate(links):
        span = abs(rank[link.target] - rank[link.source])
        if link.source != link.target and (number not in back or span == 1):
            spans.append((span, number))
    room = 3 * n + 100 if n <= 200 else 600 + n // 10  # dummies are what a large picture costs
    kept = []
    for span, number in sorted(spans):
        room -= span - 1
        if room < 0:
            break
        kept.append(number)
    return sorted(kept)


def _slotted(links: list[LayoutEdge], chained: list[int], back: set[int], rank: list[int]) -> dict[int, int]:
    """By link: the gap (number of the rank before it) in which it needs space of its own, for a label or beside a parallel link."""
    pairs: dict[frozenset[int], int] = {}
    for number in chained:
        pair = frozenset((links[number].source, links[number].target))
        pairs[pair] = pairs.get(pair, 0) + 1
    found = {}
    for number in chained:
        link = links[number]
        if link.along or pairs[frozenset((link.source, link.target))] > 1:
            found[number] = rank[link.target] if number in back else rank[link.source]
    return found


def _make_chains(level: Level, links: list[LayoutEdge], chained: list[int], slotted: dict[int, int], coarse: list[int]) -> None:
    gaps = set(slotted.values())
    fine, shift = [], 0
    for r in range(max(coarse) + 1):
        fine.append(r + shift)
        shift += r in gaps
    level.rank = [fine[r] for r in coarse]
    level.label_ranks = {fine[r] + 1 for r in gaps}
    for number in chained:
        link = links[number]
        low, high = sorted((level.rank[link.source], level.rank[link.target]))
        chain = []
        for r in range(low + 1, high):
            dummy = len(level.rank)
            level.rank.append(r)
            chain.append(dummy)
            if number in slotted and r == fine[slotted[number]] + 1:
                level.label_dummies[number] = dummy
        level.chains[number] = chain


