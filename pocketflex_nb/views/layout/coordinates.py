"""The coordinates of nodes within their ranks (step 4 of Sugiyama's method)."""

from __future__ import annotations

from pocketflex_nb.views.layout.layout_graph import ACROSS, BESIDE, GAP, SLOT, Adjacency, LayoutEdge, LayoutNode, Level

__all__ = ["columns", "margins", "placed"]


def margins(level: Level, items: list[LayoutNode], links: list[LayoutEdge]) -> tuple[list[float], list[float]]:
    """Half the space that each item and dummy needs across, before and after its middle."""
    before = [i.across / 2 + i.before + (BESIDE if i.small else ACROSS) / 2 for i in items]
    after = [i.across / 2 + i.after + (BESIDE if i.small else ACROSS) / 2 for i in items]
    thin = [BESIDE / 2] * (len(level.rank) - len(items))
    before += thin
    after += thin
    for number, dummy in level.label_dummies.items():
        before[dummy] = after[dummy] = max(links[number].across, 10.0) / 2 + 4
    return before, after


def placed(level: Level, up: Adjacency, down: Adjacency, before: list[float], after: list[float]) -> list[float]:
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
    order: list[list[int]], up: Adjacency, down: Adjacency, across: list[float], before: list[float], after: list[float]
) -> None:
    """Align items that are alone in their rank with their neighbours, where there is space."""
    for row in order:
        for number, v in enumerate(row):
            if len(up[v]) != 1 or len(down[up[v][0][0]]) != 1:
                continue
            wish = across[up[v][0][0]]
            low = across[row[number - 1]] + after[row[number - 1]] + before[v] if number else wish
            high = across[row[number + 1]] - before[row[number + 1]] - after[v] if number + 1 < len(row) else wish
            if low <= wish <= high:
                across[v] = wish


def _settle(row: list[int], near: Adjacency, across: list[float], before: list[float], after: list[float]) -> None:
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


def columns(level: Level, items: list[LayoutNode], links: list[LayoutEdge], across: list[float], down: Adjacency) -> None:
    """How far each rank reaches along, with wider gaps where arrows are steep."""
    n = len(items)
    sizes = [0.0] * len(level.order)
    small = [all(v < n and items[v].small for v in row) for row in level.order]
    for v in range(n):
        sizes[level.rank[v]] = max(sizes[level.rank[v]], items[v].along)
    for number, dummy in level.label_dummies.items():
        sizes[level.rank[dummy]] = max(sizes[level.rank[dummy]], links[number].along)
    reach = 0.0
    for r in range(len(level.order)):
        if r:
            steep = max((abs(across[v] - across[t]) for v in level.order[r - 1] for t, _ in down[v]), default=0.0)
            base = 26.0 if small[r] or small[r - 1] else GAP
            if r in level.label_ranks or r - 1 in level.label_ranks:
                base = SLOT + (4 if r - 1 in level.label_ranks else 0)
            reach += base + min(max(steep - 40, 0.0) * 0.16, 90.0)
        level.columns.append((reach, reach + sizes[r]))
        reach += sizes[r]
