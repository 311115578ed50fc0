"""The influence of an outer run on a run that one of its steps began: cancellation, limits, pause and questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pocketflex_nb.engine.records.frame import Frame

__all__ = ["Outside", "alert", "around", "inner_holds"]


def around(run: Any) -> Iterator[Any]:
    """The runs that `run` is a part of, the nearest first."""
    while (run := run.outer_run) is not None:
        yield run


class Outside:
    """What the run around one says to each of its steps. Nothing any more once that run is over."""

    def __init__(self, run: Any) -> None:
        self.run = run

    @property
    def held(self) -> Any:
        """What holds the run around, or None."""
        outer = self.run.outer_run
        return None if outer is None else outer.held

    @property
    def is_paused(self) -> bool:
        """Whether the run around, or one around that, is paused."""
        held = self.held
        return held is not None and (held.paused or (held.outside is not None and held.outside.is_paused))

    def check(self) -> None:
        """Raise what the run around, or a flow of it around the step, is to end with."""
        if (held := self.held) is not None:
            held.check(self.run.outer)

    def count(self) -> None:
        """One more step is a step of the run around, too."""
        if (held := self.held) is not None:
            held.count(self.run.outer)

    def spend(self, amounts: Mapping[str, Any]) -> None:
        """What is spent inside is spent outside."""
        if (outer := self.run.outer_run) is not None:
            outer.hold_state().spend(amounts, self.run.outer)

    def stop_at(self, frame: Frame, path: str = "") -> None:
        """Pause the run around, or one around that, where it has a breakpoint before this step, or the step at `path` inside of it."""
        held, outer = self.held, self.run.outer
        if held is None or not (held.has_breaks or held.outside is not None):
            return
        path = f"{outer.node_id}/{self.run.flow_id}/{path or frame.node_id}"
        if held.has_breaks:
            held.stop_at(path, frame)
        if held.outside is not None:
            held.outside.stop_at(outer, path)

    def may_go(self) -> bool:
        """Whether no pause outside is in the way, or a step was asked for there."""
        held = self.held
        if held is None:
            return True
        return (not held.paused or bool(held.take_permit())) and (held.outside is None or held.outside.may_go())

    def open(self, question: Any) -> None:
        """Show a question of this run at the run around."""
        if (outer := self.run.outer_run) is not None:
            held, seen = outer.hold_state(), question.numbered(0)
            question.seen = held, seen
            held.open(seen)
            held.questions.inner[self.run.number, question.number] = seen.number


def inner_holds(run: Any) -> Iterator[Any]:
    """What holds the runs inside of `run`, at any depth, where there is anything that does."""
    for child in list(run.nest.live) if run.nest is not None else ():
        if child.held is not None:
            yield child.held
        yield from inner_holds(child)


def alert(run: Any) -> None:
    """Have `run`, and every run inside of it, ask before each node."""
    run.signal = True
    for child in list(run.nest.live) if run.nest is not None else ():
        child.hold_state()
        alert(child)
