"""Where boxes and arrows stand: one level of a layered layout, in two abstract directions.

*along* runs with the arrows, *across* runs beside them; :mod:`pocketflex_nb.views.layout.flow_layout` turns them into x and y. The steps are
those of Sugiyama, Tagawa and Toda (1981): cycles broken by a depth-first search, ranks by longest path, order by barycentres,
coordinates by least squares (pooled adjacent violators) between neighbours. No step is random and none recurses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["ACROSS", "BESIDE", "GAP", "SLOT", "Item", "Level", "Link", "Near", "ranked"]

Near = list[list[tuple[int, int]]]  # per item or dummy: (neighbour, pull)

#: pixels between items of one rank, between dummies, and between ranks
ACROSS, BESIDE, GAP, SLOT = 28.0, 12.0, 52.0, 24.0


@dataclass(slots=True)
class Item:
    """A box to place: its size along and across, and room kept free before and after it across (for loops)."""

    along: float
    across: float
    before: float = 0.0
    after: float = 0.0
    small: bool = False  # a start or end mark: its gaps are short


@dataclass(slots=True)
class Link:
    """An arrow between two items, with the size of its label (0 without one)."""

    source: int
    target: int
    along: float = 0.0
    across: float = 0.0


@dataclass(slots=True)
class Level:
    """Where everything stands.

    Attributes
    ----------
    at : list of (along, across)
        Middle of each item, then of each dummy.
    rank : list of int
        Of each item and dummy.
    columns : list of (from, to)
        Reach of each rank along.
    chains : dict of int to list of int
        By link: the dummies between its ends, in the order of the ranks. Links that are missing go round the outside.
    back : set of int
        Links that run against the ranks.
    slots : dict of int to int
        By link: the dummy that holds its label.
    order : list of list of int
        The items and dummies of each rank.
    bare : set of int
        Ranks that hold labels only: lines may cross them at a slant.
    """

    at: list[tuple[float, float]] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    columns: list[tuple[float, float]] = field(default_factory=list)
    chains: dict[int, list[int]] = field(default_factory=dict)
    back: set[int] = field(default_factory=set)
    slots: dict[int, int] = field(default_factory=dict)
    order: list[list[int]] = field(default_factory=list)
    bare: set[int] = field(default_factory=set)


def ranked(items: list[Item], links: list[Link], roots: Iterable[int]) -> Level:
    """Place `items`. Links from an item to itself are left to the caller."""
    level = Level()
    if not items:
        return level
    finish, level.back = _search(len(items), links, roots)
    coarse = _longest_paths(len(items), links, level.back, finish)
    chained = _chained(len(items), links, level.back, coarse)
    slotted = _slotted(links, chained, level.back, coarse)
    _make_chains(level, links, chained, slotted, coarse)
    up, down = _neighbours(level, links)
    _order(level, up, down, finish)
    before, after = _margins(level, items, links)
    across = _place(level, up, down, before, after)
    _columns(level, items, links, across, down)
    level.at = [((level.columns[r][0] + level.columns[r][1]) / 2, across[v]) for v, r in enumerate(level.rank)]
    return level


def _search(n: int, links: list[Link], roots: Iterable[int]) -> tuple[list[int], set[int]]:
    """Items in the order a depth-first search leaves them, and the links that close a circle."""
    out: Near = [[] for _ in range(n)]
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


def _longest_paths(n: int, links: list[Link], back: set[int], finish: list[int]) -> list[int]:
    out: list[list[int]] = [[] for _ in range(n)]
    for number, link in enumerate(links):
        if link.source != link.target and number not in back:
            out[link.source].append(link.target)
    rank = [0] * n
    for at in reversed(finish):
        for target in out[at]:
            rank[target] = max(rank[target], rank[at] + 1)
    return rank


def _chained(n: int, links: list[Link], back: set[int], rank: list[int]) -> list[int]:
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


def _slotted(links: list[Link], chained: list[int], back: set[int], rank: list[int]) -> dict[int, int]:
    """By link: the gap (number of the rank before it) in which it needs a place of its own, for a label or beside a twin."""
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


def _make_chains(level: Level, links: list[Link], chained: list[int], slotted: dict[int, int], coarse: list[int]) -> None:
    gaps = set(slotted.values())
    fine, shift = [], 0
    for r in range(max(coarse) + 1):
        fine.append(r + shift)
        shift += r in gaps
    level.rank = [fine[r] for r in coarse]
    level.bare = {fine[r] + 1 for r in gaps}
    for number in chained:
        link = links[number]
        low, high = sorted((level.rank[link.source], level.rank[link.target]))
        chain = []
        for r in range(low + 1, high):
            dummy = len(level.rank)
            level.rank.append(r)
            chain.append(dummy)
            if number in slotted and r == fine[slotted[number]] + 1:
                level.slots[number] = dummy
        level.chains[number] = chain


def _neighbours(level: Level, links: list[Link]) -> tuple[Near, Near]:
    """Neighbours of each item and dummy in the rank before and in the rank after, with the pull between them."""
    up: Near = [[] for _ in level.rank]
    down: Near = [[] for _ in level.rank]
    for number, chain in level.chains.items():
        ends = (links[number].source, links[number].target)
        low, high = ends if level.rank[ends[0]] < level.rank[ends[1]] else ends[::-1]
        path = [low, *chain, high]
        for here, there in pairwise(path):
            pull = 4 if here in chain and there in chain else 2 if chain else 1
            down[here].append((there, pull))
            up[there].append((here, pull))
    for v, ((u, _),) in [(v, near) for v, near in enumerate(down) if len(near) == 1]:
        if len(up[u]) == 1:  # alone behind one another: in line
            down[v], up[u] = [(u, 8)], [(v, 8)]
    return up, down


def _order(level: Level, up: Near, down: Near, finish: list[int]) -> None:
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


def _preorder(up: Near, down: Near, finish: list[int]) -> list[int]:
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


def _sweep(ranks: list[list[int]], towards: Near, place: list[float], *, forward: bool) -> None:
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


def _crossings(ranks: list[list[int]], down: Near) -> int:
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


def _margins(level: Level, items: list[Item], links: list[Link]) -> tuple[list[float], list[float]]:
    """Half the room that each item and dummy takes across, before and after its middle."""
    before = [i.across / 2 + i.before + (BESIDE if i.small else ACROSS) / 2 for i in items]
    after = [i.across / 2 + i.after + (BESIDE if i.small else ACROSS) / 2 for i in items]
    thin = [BESIDE / 2] * (len(level.rank) - len(items))
    before += thin
    after += thin
    for number, dummy in level.slots.items():
        before[dummy] = after[dummy] = max(links[number].across, 10.0) / 2 + 4
    return before, after


def _place(level: Level, up: Near, down: Near, before: list[float], after: list[float]) -> list[float]:
    """Positions across: each item near the mean of its neighbours, kept in order and apart."""
    across = [0.0] * len(level.rank)
    for row in level.order:
        reach = 0.0
        for v in row:
            across[v] = reach + before[v]
            reach += before[v] + after[v]
        for v in row:
            across[v] -= reach / 2
    both = [a + b for a, b in zip(up, down, strict=True)]
    rounds = [up, down, up, down, both, both] if len(across) <= 800 else [up, down, both]
    for near in rounds:
        for row in level.order if near is not down else reversed(level.order):
            _settle(row, near, across, before, after)
    _straighten(level.order[::-1], down, up, across, before, after)
    _straighten(level.order, up, down, across, before, after)
    return across


def _straighten(
    order: list[list[int]], up: Near, down: Near, across: list[float], before: list[float], after: list[float]
) -> None:
    """Bring what stands alone behind something else into line with it, where there is room."""
    for row in order:
        for number, v in enumerate(row):
            if len(up[v]) != 1 or len(down[up[v][0][0]]) != 1:
                continue
            wish = across[up[v][0][0]]
            low = across[row[number - 1]] + after[row[number - 1]] + before[v] if number else wish
            high = across[row[number + 1]] - before[row[number + 1]] - after[v] if number + 1 < len(row) else wish
            if low <= wish <= high:
                across[v] = wish


def _settle(row: list[int], near: Near, across: list[float], before: list[float], after: list[float]) -> None:
    """Least squares with kept order and distances: pool adjacent violators."""
    if len(row) == 1:
        v = row[0]
        if near[v]:
            across[v] = sum([weight * across[u] for u, weight in near[v]]) / sum([weight for _, weight in near[v]])
        return
    sums: list[float] = []  # of each block of items that touch: weighted wishes, weights, how many
    pulls: list[float] = []
    counts: list[int] = []
    offset, offsets, last = 0.0, [], -1
    for v in row:
        if last >= 0:
            offset += after[last] + before[v]
        last = v
        offsets.append(offset)
        pull, wish, count = 0.25, 0.25 * across[v], 1
        for u, weight in near[v]:
            pull += weight
            wish += weight * across[u]
        wish -= pull * offset
        while sums and sums[-1] * pull > wish * pulls[-1]:
            wish += sums.pop()
            pull += pulls.pop()
            count += counts.pop()
        sums.append(wish)
        pulls.append(pull)
        counts.append(count)
    at = 0
    for wish, pull, count in zip(sums, pulls, counts, strict=True):
        mean = wish / pull
        for _ in range(count):
            across[row[at]] = mean + offsets[at]
            at += 1


def _columns(level: Level, items: list[Item], links: list[Link], across: list[float], down: Near) -> None:
    """How far each rank reaches along, with wider gaps where arrows are steep."""
    n = len(items)
    sizes = [0.0] * len(level.order)
    small = [all(v < n and items[v].small for v in row) for row in level.order]
    for v in range(n):
        sizes[level.rank[v]] = max(sizes[level.rank[v]], items[v].along)
    for number, dummy in level.slots.items():
        sizes[level.rank[dummy]] = max(sizes[level.rank[dummy]], links[number].along)
    reach = 0.0
    for r in range(len(level.order)):
        if r:
            steep = max((abs(across[v] - across[t]) for v in level.order[r - 1] for t, _ in down[v]), default=0.0)
            base = 26.0 if small[r] or small[r - 1] else GAP
            if r in level.bare or r - 1 in level.bare:
                base = SLOT + (4 if r - 1 in level.bare else 0)
            reach += base + min(max(steep - 40, 0.0) * 0.16, 90.0)
        level.columns.append((reach, reach + sizes[r]))
        reach += sizes[r]
