"""The routes of arrows: curves through the ranks, lanes around the outside, and loops.

Points are (along, across), as in :mod:`pocketflex_nb.views.layout.layered_layout`. A step of a path is ``("M" | "L" | "C", points)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pocketflex_nb.views.layout.layout_graph import LayoutEdge, LayoutNode, Level

__all__ = ["CORNER", "HEAD", "LANE", "EdgePath", "PathStep", "Point", "Waypoint", "loop_reaches", "routed"]

Point = tuple[float, float]
PathStep = tuple[str, tuple[Point, ...]]
#: room around a lane, the corner radius, the length of an arrow head
LANE, CORNER, HEAD = 9.0, 9.0, 7.0


@dataclass(slots=True)
class EdgePath:
    """One arrow: its steps up to the head, where the head's tip is and where it points, and the middle of its label."""

    steps: list[PathStep] = field(default_factory=list)
    tip: Point = (0.0, 0.0)
    aim: Point = (1.0, 0.0)
    label: Point | None = None


def routed(level: Level, items: list[LayoutNode], links: list[LayoutEdge], shapes: list[str], *, loops_after: bool) -> list[EdgePath]:
    """A path for each link.

    `loops_after` puts loops behind their item across instead of before it.
    """
    ports = _ports(level, items, links)
    paths = [EdgePath() for _ in links]
    loops: dict[int, list[int]] = {}
    lanes = []
    for number, link in enumerate(links):
        if link.source == link.target:
            loops.setdefault(link.source, []).append(number)
        elif number in level.chains:
            paths[number] = _chain(level, items, shapes, links[number], number, ports)
        else:
            lanes.append(number)
    for at, turns in loops.items():
        drawn = _loops(level.at[at], items[at], [links[n] for n in turns], after=loops_after)
        for number, path in zip(turns, drawn, strict=True):
            paths[number] = path
    _lanes(level, items, links, lanes, paths)
    return paths


def _ports(level: Level, items: list[LayoutNode], links: list[LayoutEdge]) -> dict[tuple[int, int], float]:
    """(link, item) to the offset across at which the link touches the item: apart where several arrows use one side."""
    sides: dict[tuple[int, bool], dict[bool, list[tuple[float, int]]]] = {}
    for number, chain in level.chains.items():
        link = links[number]
        for end, other in ((link.source, link.target), (link.target, link.source)):
            far = level.rank[other] > level.rank[end]
            next_to = (chain[0] if level.rank[chain[0]] - level.rank[end] in (1, -1) else chain[-1]) if chain else other
            leaving = end == link.source
            sides.setdefault((end, far), {}).setdefault(leaving, []).append((level.at[next_to][1], number))
    offsets = {}
    for (end, _), both in sides.items():
        if len(both) < 2:
            continue
        apart = min(11.0, items[end].across / 4)
        means = {leaving: sum(c for c, _ in there) / len(there) for leaving, there in both.items()}
        sign = -1.0 if means[True] <= means[False] else 1.0
        for leaving, there in both.items():
            for _, number in there:
                offsets[number, end] = (sign if leaving else -sign) * apart
    return offsets


def _reach(shape: str, item: LayoutNode, offset: float) -> float:
    share = min(abs(offset) / (item.across / 2), 1.0) if item.across else 0.0
    if shape == "diamond":
        return item.along / 2 * (1 - share)
    if shape in ("circle", "double_circle"):
        return item.along / 2 * float((1 - share * share) ** 0.5)
    if shape == "stadium":
        return item.along / 2 - min(item.along, item.across) / 2 * float(1 - (1 - share * share) ** 0.5)
    return item.along / 2


def _chain(
    level: Level, items: list[LayoutNode], shapes: list[str], link: LayoutEdge, number: int, ports: dict[tuple[int, int], float]
) -> EdgePath:
    chain = level.chains[number]
    s, t = link.source, link.target
    onward = level.rank[t] > level.rank[s]
    way = 1.0 if onward else -1.0
    lift_s, lift_t = ports.get((number, s), 0.0), ports.get((number, t), 0.0)
    out = (level.at[s][0] + way * _reach(shapes[s], items[s], lift_s), level.at[s][1] + lift_s)
    tip = (level.at[t][0] - way * _reach(shapes[t], items[t], lift_t), level.at[t][1] + lift_t)
    near, far = (1, 0) if onward else (0, 1)
    slot = level.label_dummies.get(number)
    label = level.at[slot] if slot is not None and link.along else None
    straight = abs(out[1] - tip[1]) < 0.5 and all(abs(level.at[dummy][1] - out[1]) < 3.5 for dummy in chain)
    if straight and label is not None:
        label = (label[0], out[1])
    stops: list[Waypoint] = [(*out, True), (level.columns[level.rank[s]][near], out[1], True)]
    for dummy in chain if onward else reversed(chain):
        column, c = level.columns[level.rank[dummy]], out[1] if straight else level.at[dummy][1]
        if dummy == slot and label is not None:
            stops += [(label[0] - way * link.along / 2, c, True), (label[0] + way * link.along / 2, c, True)]
        elif level.rank[dummy] in level.label_ranks:
            stops.append(((column[0] + column[1]) / 2, c, False))
        else:
            stops += [(column[far], c, True), (column[near], c, True)]
    end = (tip[0] - way * HEAD, tip[1])
    edge = level.columns[level.rank[t]][far]
    stops += [(min(edge, end[0]) if onward else max(edge, end[0]), tip[1], True), (*end, True)]
    return EdgePath(_smooth(stops), tip, (way, 0.0), label)


Waypoint = tuple[float, float, bool]  # along, across, whether the line is level there


def _smooth(stops: list[Waypoint]) -> list[PathStep]:
    """A curve through `stops`, never steeper than it must be (monotone cubic; level where it is asked for)."""
    a, c, _ = stops[0]
    steps: list[PathStep] = [("M", ((a, c),))]
    kept = [stops[0]]
    for stop in stops:
        if not -0.05 < stop[0] - kept[-1][0] < 0.05 or not -0.05 < stop[1] - kept[-1][1] < 0.05:
            kept.append(stop)
    m = 0.0
    for n in range(1, len(kept)):
        a2, c2, is_level = kept[n]
        m2 = 0.0 if is_level else _slope(kept, n)
        if not m and not m2:
            if -0.05 < c2 - c < 0.05:
                if steps[-1][0] == "L":
                    steps.pop()
                steps.append(("L", ((a2, c2),)))
            else:
                middle = (a + a2) / 2
                steps.append(("C", ((middle, c), (middle, c2), (a2, c2))))
        else:
            bend = (a2 - a) * 0.4
            steps.append(("C", ((a + bend, c + m * bend), (a2 - bend, c2 - m2 * bend), (a2, c2))))
        a, c, m = a2, c2, m2
    return steps


def _slope(stops: list[Waypoint], n: int) -> float:
    if n + 1 == len(stops):
        return 0.0
    (a, c, _), (a1, c1, _), (a2, c2, _) = stops[n - 1], stops[n], stops[n + 1]
    before, after = (c1 - c) / ((a1 - a) or 1.0), (c2 - c1) / ((a2 - a1) or 1.0)
    if before * after <= 0:
        return 0.0
    return 2 * before * after / (before + after)


def loop_reaches(links: list[LayoutEdge], *, after: bool) -> list[tuple[float, float, float]]:
    """For each loop of one item, inner ones first: how far it extends, the middle of its label, and its two ends."""
    found: list[tuple[float, float, float]] = []
    reach = 4.0
    for link in links:
        apex = reach + 16
        middle = apex + (link.across / 2 - 8 if after else 0.0)
        reach = max(apex + 2, middle + link.across / 2)
        found.append((apex, middle, reach))
    return found


def _loops(at: Point, item: LayoutNode, links: list[LayoutEdge], *, after: bool) -> list[EdgePath]:
    """Loops at the side of their item, each around those before it."""
    side = 1.0 if after else -1.0
    edge = at[1] + side * item.across / 2
    paths = []
    for turn, (link, (apex, middle, _)) in enumerate(zip(links, loop_reaches(links, after=after), strict=True)):
        wide = min(max(11.0, link.along / 2 + 6), max(item.along / 2 - 12, 11.0))  # its shoulders show beside its label
        spread, lift = wide + 5 * turn, side * apex / 0.75
        tip, start = (at[0] + spread, edge), (at[0] - spread, edge)
        end = (tip[0] + 1.5, edge + side * HEAD)
        steps: list[PathStep] = [("M", (start,)), ("C", ((start[0] - 6, edge + lift), (end[0] + 6, edge + lift), end))]
        paths.append(EdgePath(steps, tip, (-0.2, -side), (at[0], edge + side * middle) if link.along else None))
    return paths


def _lanes(level: Level, items: list[LayoutNode], links: list[LayoutEdge], lanes: list[int], paths: list[EdgePath]) -> None:
    """Route arrows that run far, or back, around the outside; short ones nearest."""
    if not lanes:
        return
    low, high = _skyline(level, items, links)
    middle = (min(low) + max(high)) / 2
    touched: dict[tuple[int, bool], int] = {}
    turns: dict[int, int] = {}
    for number in sorted(lanes, key=lambda n: (abs(level.rank[links[n].source] - level.rank[links[n].target]), n)):
        link = links[number]
        a, b = _span(level, link)
        heart = (level.at[link.source][1] + level.at[link.target][1]) / 2
        below = heart >= middle - 1 - (max(high) - min(low)) * 0.1
        sky, side = (high, 1.0) if below else (low, -1.0)
        base = max(high[a : b + 1]) if below else min(low[a : b + 1])
        half = max(link.across / 2 + 2, 5.0)
        lane = base + side * (LANE + half)
        ends = []
        for end, leaving in ((link.source, True), (link.target, False)):
            ends.append(_lane_end(level, items, end, lane, side, touched, turns, leaving=leaving))
        points = [*ends[0], *reversed(ends[1])]
        for r in range(a, b + 1):
            sky[r] = lane + side * half
        tip, before = points[-1], points[-2]
        reach = ((tip[0] - before[0]) ** 2 + (tip[1] - before[1]) ** 2) ** 0.5 or 1.0
        aim = ((tip[0] - before[0]) / reach, (tip[1] - before[1]) / reach)
        points[-1] = (tip[0] - aim[0] * HEAD, tip[1] - aim[1] * HEAD)
        run = [p for p in points if abs(p[1] - lane) < 0.05]
        label = ((run[0][0] + run[-1][0]) / 2, lane) if link.along and run else None
        paths[number] = EdgePath(_rounded(points), tip, aim, label)


def _span(level: Level, link: LayoutEdge) -> tuple[int, int]:
    """The first and the last rank that a lane, or the label on it, passes."""
    a, b = sorted((level.rank[link.source], level.rank[link.target]))
    middle = (level.at[link.source][0] + level.at[link.target][0]) / 2
    reach = link.along / 2 + 30
    while a and level.columns[a][0] > middle - reach:
        a -= 1
    while b + 1 < len(level.columns) and level.columns[b][1] < middle + reach:
        b += 1
    return a, b


def _skyline(level: Level, items: list[LayoutNode], links: list[LayoutEdge]) -> tuple[list[float], list[float]]:
    """Per rank: how far its items reach across, on either side."""
    low = [min((level.at[v][1] for v in row), default=0.0) for row in level.order]
    high = [max((level.at[v][1] for v in row), default=0.0) for row in level.order]
    for v, item in enumerate(items):
        r = level.rank[v]
        low[r] = min(low[r], level.at[v][1] - item.across / 2 - item.before)
        high[r] = max(high[r], level.at[v][1] + item.across / 2 + item.after)
    for number, dummy in level.label_dummies.items():
        r, half = level.rank[dummy], links[number].across / 2 + 3
        low[r] = min(low[r], level.at[dummy][1] - half)
        high[r] = max(high[r], level.at[dummy][1] + half)
    return low, high


def _lane_end(
    level: Level, items: list[LayoutNode], end: int, lane: float, side: float, touched: dict[tuple[int, bool], int],
    turns: dict[int, int], *, leaving: bool,
) -> list[Point]:
    """From the item to its lane: straight across where nothing is between, else through the gap beside its rank."""
    at, item, row = level.at[end], items[end], level.order[level.rank[end]]
    outermost = row[-1] if side > 0 else row[0]
    if outermost == end:
        shift = touched[end, side > 0] = touched.get((end, side > 0), 0) + 1
        along = at[0] + (shift // 2) * 12.0 * (1 if shift % 2 else -1)
        along = max(min(along, at[0] + item.along / 2 - 10), at[0] - item.along / 2 + 10)
        return [(along, at[1] + side * item.across / 2), (along, lane)]
    rank = level.rank[end]
    turn = turns[rank] = turns.get(rank, 0) + 1
    column = level.columns[rank]
    beside = column[1] + 7 + 4 * (turn % 3) if leaving else column[0] - 12 - 4 * (turn % 3)
    return [(at[0] + (item.along / 2 if leaving else -item.along / 2), at[1]), (beside, at[1]), (beside, lane)]


def _rounded(points: list[Point]) -> list[PathStep]:
    """The right-angled line through `points`, its corners rounded."""
    steps: list[PathStep] = [("M", (points[0],))]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(corner, before), _towards(corner, after)
        steps.append(("L", (a,)))
        steps.append(("C", (_mid(a, corner), _mid(b, corner), b)))
    steps.append(("L", (points[-1],)))
    return steps


def _towards(corner: Point, other: Point) -> Point:
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    share = min(CORNER, length / 2) / length if length else 0.0
    return (corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share)


def _mid(a: Point, corner: Point) -> Point:
    return (a[0] + (corner[0] - a[0]) * 0.55, a[1] + (corner[1] - a[1]) * 0.55)
