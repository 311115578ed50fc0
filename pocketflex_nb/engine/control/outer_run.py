"""The influence of an outer run on a run that one of its steps began: cancellation, limits, pause and questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["Outside", "around", "inner_controllers"]


def around(run: Any) -> Iterator[Any]:
    """The outer runs of `run`, the nearest first."""
    while (run := run.outer_run) is not None:
        yield run


class Outside:
    """The checks that an outer run adds to each step of an inner one; none once the outer run is over."""

    def __init__(self, run: Any) -> None:
        self.run = run

    @property
    def controller(self) -> Any:
        """The controller of the outer run, or None."""
        outer = self.run.outer_run
        return None if outer is None else outer.controller

    @property
    def is_paused(self) -> bool:
        """Whether an outer run is paused."""
        controller = self.controller
        return controller is not None and bool(controller.gate.is_paused)

    def check(self) -> None:
        """Raise the error with which the outer run, or a flow of it around the step, must end."""
        if (controller := self.controller) is not None:
            controller.limits.check(self.run.outer)

    def count(self) -> None:
        """Count one more step as a step of the outer run, too."""
        if (controller := self.controller) is not None:
            controller.limits.count(self.run.outer)

    def spend(self, amounts: Mapping[str, object]) -> None:
        """Count what is spent inside in the outer run, too."""
        if (outer := self.run.outer_run) is not None:
            outer.ensure_controller().limits.spend(amounts, self.run.outer)

    def stop_at(self, frame: Frame, path: str = "") -> None:
        """Pause an outer run that has a breakpoint at this step, or at the step at `path` inside of it."""
        controller, outer = self.controller, self.run.outer
        if controller is None or not (controller.gate.has_breaks or controller.outside is not None):
            return
        path = f"{outer.node_id}/{self.run.flow_id}/{path or frame.node_id}"
        if controller.gate.has_breaks:
            controller.gate.stop_at(path, frame)
        if controller.outside is not None:
            controller.outside.stop_at(outer, path)

    def may_go(self) -> bool:
        """Whether no outer run is paused, or a single step was requested there."""
        controller = self.controller
        if controller is None:
            return True
        return (not controller.gate.paused or bool(controller.gate.take_permit())) and (
            controller.outside is None or controller.outside.may_go()
        )

    def open(self, question: Any) -> None:
        """Show a question of this run in the outer run."""
        if (outer := self.run.outer_run) is not None:
            controller, seen = outer.ensure_controller(), question.numbered(0)
            question.seen = controller, seen
            controller.open(seen)
            controller.questions.inner[self.run.number, question.number] = seen.number


def inner_controllers(run: Lifecycle[Frame]) -> Iterator[Any]:
    """The controllers of the runs inside of `run`, at any depth, where they exist."""
    for child in list(run.nested.live) if run.nested is not None else ():
        if child.controller is not None:
            yield child.controller
        yield from inner_controllers(child)
