"""The influence of an outer run on a run that one of its steps began: cancellation, limits, pause and questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pocketflex_nb.engine.records.frame import Frame

__all__ = ["Outside", "alert", "around", "inner_holds"]


def around(run: Any) -> Iterator[Any]:
    """The outer runs of `run`, the nearest first."""
    while (run := run.outer_run) is not None:
        yield run


class Outside:
    """The checks that an outer run adds to each step of an inner one; none once the outer run is over."""

    def __init__(self, run: Any) -> None:
        self.run = run

    @property
    def held(self) -> Any:
        """The controller of the outer run, or None."""
        outer = self.run.outer_run
        return None if outer is None else outer.held

    @property
    def is_paused(self) -> bool:
        """Whether an outer run is paused."""
        held = self.held
        return held is not None and (held.paused or (held.outside is not None and held.outside.is_paused))

    def check(self) -> None:
        """Raise the error with which the outer run, or a flow of it around the step, must end."""
        if (held := self.held) is not None:
            held.check(self.run.outer)

    def count(self) -> None:
        """Count one more step as a step of the outer run, too."""
        if (held := self.held) is not None:
            held.count(self.run.outer)

    def spend(self, amounts: Mapping[str, Any]) -> None:
        """Count what is spent inside in the outer run, too."""
        if (outer := self.run.outer_run) is not None:
            outer.hold_state().spend(amounts, self.run.outer)

    def stop_at(self, frame: Frame, path: str = "") -> None:
        """Pause an outer run that has a breakpoint at this step, or at the step at `path` inside of it."""
        held, outer = self.held, self.run.outer
        if held is None or not (held.has_breaks or held.outside is not None):
            return
        path = f"{outer.node_id}/{self.run.flow_id}/{path or frame.node_id}"
        if held.has_breaks:
            held.stop_at(path, frame)
        if held.outside is not None:
            held.outside.stop_at(outer, path)

    def may_go(self) -> bool:
        """Whether no outer run is paused, or a single step was requested there."""
        held = self.held
        if held is None:
            return True
        return (not held.paused or bool(held.take_permit())) and (held.outside is None or held.outside.may_go())

    def open(self, question: Any) -> None:
        """Show a question of this run in the outer run."""
        if (outer := self.run.outer_run) is not None:
            held, seen = outer.hold_state(), question.numbered(0)
            question.seen = held, seen
            held.open(seen)
            held.questions.inner[self.run.number, question.number] = seen.number


def inner_holds(run: Any) -> Iterator[Any]:
    """The controllers of the runs inside of `run`, at any depth, where they exist."""
    for child in list(run.nest.live) if run.nest is not None else ():
        if child.held is not None:
            yield child.held
        yield from inner_holds(child)


def alert(run: Any) -> None:
    """Make `run`, and every run inside of it, check before each node."""
    run.signal = True
    for child in list(run.nest.live) if run.nest is not None else ():
        child.hold_state()
        alert(child)
