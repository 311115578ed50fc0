"""`Exercise`: a number, a title, three hints, and a generator that checks an answer point by point."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run

__all__ = [
    "CHECK_TIMEOUT", "EXERCISES", "LESSONS", "LEVELS", "Checked", "Exercise", "ExercisePoint", "exercise", "find_exercise", "lessons",
    "point", "slip", "tried", "trouble", "way",
]

#: the lessons, by number, and what `progress` calls them
LESSONS = {
    "01": "Nodes and flows",
    "02": "Many agents at once",
    "03": "The shared store",
    "04": "Mermaid that runs",
    "05": "Three ways to build a team",
    "06": "Supervision",
    "07": "Asking a person",
    "08": "Coming from PocketFlow",
    "09": "LLM agents",
    "10": "Tools, MCP and a person",
    "11": "A kernel dies",
}
#: how many hints an exercise has
LEVELS = 3
#: seconds that an answer's flow may run while it is checked
CHECK_TIMEOUT = 10.0
_NUMBER = re.compile(r"\d\d\.\d+")
_PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class ExercisePoint:
    """One result of a check: whether it is `right`, and the `text` to show (none: nothing is shown)."""

    right: bool
    text: str


Checked = Iterator[ExercisePoint]


@dataclass(frozen=True, slots=True)
class Exercise:
    """An exercise of a lesson.

    Attributes
    ----------
    number : str
        Such as ``"01.2"``: lesson and place.
    title : str
        What it asks, in a few words.
    hints : tuple of str
        Three, each saying more than the one before it; the last all but gives the answer.
    look : callable
        Called with the answers; yields a `ExercisePoint` for each thing looked at.
    """

    number: str
    title: str
    hints: tuple[str, ...]
    look: Callable[..., Checked]


#: every exercise of the lessons imported so far, by number
EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, title: str, *, hints: tuple[str, str, str]) -> Callable[[Callable[..., Checked]], Callable[..., Checked]]:
    """Make the generator below it the check of exercise `number`.

    Raises
    ------
    ValueError
        The number is not of the form ``"01.2"``, is taken, or there are not three hints.
    """
    if not _NUMBER.fullmatch(number) or len(hints) != LEVELS:
        raise ValueError(f"exercise {number!r}: a number like '01.2', and {LEVELS} hints (here {len(hints)})")

    def added(look: Callable[..., Checked]) -> Callable[..., Checked]:
        known = EXERCISES.get(number)
        if known is not None and known.look.__module__ != look.__module__:
            raise ValueError(f"exercise {number!r} stands in {known.look.__module__} already")
        EXERCISES[number] = Exercise(number, title, hints, look)
        return look

    return added


def point(right: object, text: str, wrong: str) -> ExercisePoint:
    """A condition that must hold: shows `text` if it does, else `wrong`, a hint for the mistake, and the check ends there."""
    return ExercisePoint(bool(right), text if right else wrong)


def slip(happened: object, wrong: str) -> ExercisePoint:
    """A common mistake: when it was made, `wrong` explains it, and the check ends there; else nothing is shown."""
    return ExercisePoint(not happened, wrong if happened else "")


def tried(flow: Any, store: Mapping[str, Any] | None = None, *, seconds: float = CHECK_TIMEOUT) -> Run:
    """The ended run of a flow (or a node) over a fresh store, without a picture; it is stopped after `seconds`.

    It never raises for what the flow does: ask the run's `status`, `error` and `store`.
    """
    whole = flow if isinstance(flow, Flow) or not isinstance(flow, BaseNode) else Flow(flow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # what launch has to say of the picture, the check says in its own words
        run: Run = whole.launch(store if isinstance(store, Store) else dict(store or {}), show=False, timeout=seconds)
        try:
            run.result()
        except Exception:  # what ended it stands in run.error
            pass
    return run


def way(run: Run) -> tuple[list[str], list[object]]:
    """The nodes that a run went through, a class's second instance named as its first, and the actions they returned (failed: None)."""
    hops = [event for event in run.events if event.kind in ("node_finished", "node_failed")]
    return [re.sub(r"_\d+$", "", str(hop.node)) for hop in hops], [hop.get("action") for hop in hops]


def trouble(exc: BaseException) -> str:
    """The error that the reader's code raised, and its line in the reader's cell, as a sentence without its full stop."""
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if _is_cell(frame.filename)]
    where = f", in the line `{frames[-1].line}`" if frames and frames[-1].line else ""
    return f"Your code raised `{type(exc).__name__}: {exc}`{where}"


def _is_cell(filename: str) -> bool:
    return "ipykernel_" in filename or filename.startswith("<ipython-input")


def lessons() -> dict[str, str]:
    """Every lesson's number and title, in order; their exercises are in `EXERCISES` afterwards."""
    for number in LESSONS:
        import_module(f"{_PACKAGE}.lesson_{number}")
    return dict(LESSONS)


def find_exercise(number: str) -> Exercise:
    """The exercise of that number.

    Raises
    ------
    LookupError
        There is none; the message names the nearest.
    """
    if number not in EXERCISES:
        lessons()
    try:
        return EXERCISES[number]
    except (KeyError, TypeError):
        raise LookupError(f"no exercise {number!r}{nearest(str(number), EXERCISES)}") from None
