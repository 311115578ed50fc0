"""The controller of a run: its limits, its pause gate, its questions and its subscribers. Made only for runs that need it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pocketflex_nb.engine.control.outer_run import Outside
from pocketflex_nb.engine.control.pause_gate import PauseGate
from pocketflex_nb.engine.control.question import Question, Questions
from pocketflex_nb.engine.control.run_limits import IdleClock, RunLimits
from pocketflex_nb.engine.control.subscribers import Subscribers

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["RunController"]


class RunController:
    """Everything that may keep a run from its next node: cancellation, pause, limits, questions.

    Attributes
    ----------
    limits : RunLimits
        Steps, time and budget.
    gate : PauseGate
        Pause, single steps and breakpoints.
    questions : Questions
        What the run asks.
    subscribers : Subscribers
        Who gets each of its events.
    outside : Outside or None
        The influence of the run around it.
    headless : bool or None
        Whether nobody can answer its questions, if that is known.
    """

    def __init__(self, run: Lifecycle[Frame]) -> None:
        self.run = run
        self.headless: bool | None = None
        self.questions = Questions(run)
        self.subscribers = Subscribers(run)
        self.outside = Outside(run) if run.outer is not None else None
        lock, clock = threading.RLock(), IdleClock()
        self.limits = RunLimits(run, clock, self.outside, lock)
        self.gate = PauseGate(
            run, limits=self.limits, clock=clock, questions=self.questions, subscribers=self.subscribers, outside=self.outside, lock=lock
        )

    @property
    def status(self) -> str:
        """The status of the run as far as its controller decides: asking, paused, or else running."""
        if self.questions.open:
            return "asking"
        return "paused" if self.gate.is_paused else "running"

    def open(self, question: Question) -> None:
        """Park the asking step until its question is answered."""
        self.questions.add(question)
        self.gate.stop_clock()
        if self.outside is not None:
            self.outside.open(question)

    def close(self, question: Question) -> None:
        """Close a question: it is answered, or no longer waited for."""
        self.questions.drop(question)
        self.gate.start_clock()
        if question.seen is not None:
            controller, seen = question.seen
            controller.close(seen)

    def over(self) -> None:
        """The run has ended."""
        self.gate.wake()
        self.limits.over()
        if self.subscribers:
            self.subscribers.tell()
        self.questions.tell()
