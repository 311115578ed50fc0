"""The input of a layered layout: nodes, edges and levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["ACROSS", "BESIDE", "GAP", "SLOT", "Adjacency", "LayoutEdge", "LayoutNode", "Level", "neighbours_of"]


Adjacency = list[list[tuple[int, int]]]  # per item or dummy: (neighbour, pull)

#: pixels between items of one rank, between dummies, and between ranks
ACROSS, BESIDE, GAP, SLOT = 28.0, 12.0, 52.0, 24.0


@dataclass(slots=True)
class LayoutNode:
    """A box to place: its size along and across, and space kept free before and after it across (for loops)."""

    along: float
    across: float
    before: float = 0.0
    after: float = 0.0
    small: bool = False  # a start or end mark: its gaps are short


@dataclass(slots=True)
class LayoutEdge:
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
    label_dummies : dict of int to int
        By link: the dummy that holds its label.
    order : list of list of int
        The items and dummies of each rank.
    label_ranks : set of int
        Ranks that hold labels only: lines may cross them at a slant.
    """

    at: list[tuple[float, float]] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    columns: list[tuple[float, float]] = field(default_factory=list)
    chains: dict[int, list[int]] = field(default_factory=dict)
    back: set[int] = field(default_factory=set)
    label_dummies: dict[int, int] = field(default_factory=dict)
    order: list[list[int]] = field(default_factory=list)
    label_ranks: set[int] = field(default_factory=set)


def neighbours_of(level: Level, links: list[LayoutEdge]) -> tuple[Adjacency, Adjacency]:
    """Neighbours of each item and dummy in the rank before and in the rank after, with the pull between them."""
    up: Adjacency = [[] for _ in level.rank]
    down: Adjacency = [[] for _ in level.rank]
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
