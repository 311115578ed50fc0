"""Frames as the engine makes them, plain, for tests of the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from pocketflex_nb import Store
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.store.change_log import numbered, places_in
from pocketflex_nb.core.store.changes import Changes
from pocketflex_nb.core.store.mutation_tracking import collect_changes

__all__ = ["Frame", "Run", "inside", "settled"]


class Run:
    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store, self.hops = name, store, 0


class Frame:
    """One walk: `node` is both the node and its path, `events` what was noted."""

    def __init__(self, run: Run, node: str, parent: Frame | None = None) -> None:
        self.run, self.node, self.parent = run, node, parent
        self.touched: Any = None
        self.undo: Any = None
        self.page: Any = None
        self.at, self.timed, self.life = 0, True, CURRENT_AGENT.get()
        self.changes: Any = None
        self.writers: Any = None
        self.store: Any = None
        self.put: Any = None
        self.fenced, self.start_version = False, run.store.version
        self.events: list[tuple[str, dict[str, Any]]] = []

    def path(self, node: str) -> str:
        return node

    def note(self, kind: str, **data: Any) -> None:
        self.events.append((kind, data))


@contextmanager
def inside(frame: Frame) -> Iterator[Frame]:
    """Run code as if `frame` was walking."""
    token = CURRENT_FRAME.set(frame)
    try:
        yield frame
    finally:
        CURRENT_FRAME.reset(token)


def settled(frame: Frame) -> Changes:
    """The changes of a node at its end, as the engine records and numbers them."""
    changes = collect_changes(frame) or []
    frame.run.hops += 1
    numbered(places_in(changes), frame.run.hops, perf_counter_ns())
    return Changes(places_in(changes))
