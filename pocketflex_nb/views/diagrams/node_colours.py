"""The colours of nodes on timelines: twelve that differ for everybody, then the same with patterns; a node has the same in every view."""

from __future__ import annotations

from collections.abc import Iterable

from pocketflex_nb.core.flow.flow_graph import Graph

__all__ = ["COLOURS", "PATTERNS", "colour_numbers", "pattern_path"]

#: by theme; any two differ by 12 or more (CIEDE2000), also for people who see no red or no green; each stands off its background by 3 to 1
COLOURS: dict[str, tuple[str, ...]] = {
    "light": (
        "#2887ff", "#049c7a", "#ca6918", "#531869", "#1f99b0", "#935779",
        "#274ec2", "#766d49", "#00544d", "#7c3700", "#f85176", "#6f0228",
    ),
    "dark": (
        "#1d6ecb", "#1e7e56", "#ef8348", "#a282ff", "#8baf95", "#e88dbe",
        "#d7d4ff", "#836c08", "#efdf4d", "#fed5bf", "#e53163", "#84678e",
    ),
}
#: lines over a bar of the thirteenth node and of those behind it: along, across, both
PATTERNS = ("", "along", "across", "both")


def colour_numbers(graphs: Iterable[Graph]) -> dict[str, int]:
    """The number of the colour of each node, by its graph path: its place in its flow, in the order of wiring.

    Parameters
    ----------
    graphs : iterable of Graph
        A node that stands in several has the number of the first.

    Examples
    --------
    >>> from pocketflex_nb import linear, node
    >>> from pocketflex_nb.core.flow.flow_graph import graph_of
    >>> @node
    ... def plan(shared): ...
    >>> @node
    ... def write(shared): ...
    >>> colour_numbers([graph_of(linear(plan, write))])
    {'plan': 0, 'write': 1}
    """
    numbers: dict[str, int] = {}
    for graph in graphs:
        for number, path in enumerate(graph.ids()):
            numbers.setdefault(path, number)
    return numbers


def pattern_path(number: int, x: float, y: float, width: float, height: float) -> str:
    """The lines over a bar in the colour with this number, as SVG path data; ``""`` for the first twelve.

    Parameters
    ----------
    number : int
        As `colour_numbers` gives it.
    x, y, width, height : float
        The bar.
    """
    pattern = PATTERNS[number // len(COLOURS["light"]) % len(PATTERNS)]
    lines = ""
    if pattern in ("along", "both"):
        lines += f"M{x:.2f},{y + height - 2.5:.2f}h{width:.2f}"
    if pattern in ("across", "both"):
        lines += "".join(f"M{x + at:.2f},{y:.2f}v{height:.2f}" for at in range(4, min(int(width), _WIDEST), 8))
    return lines


#: pixels of a bar over which lines across are drawn
_WIDEST = 2_000
