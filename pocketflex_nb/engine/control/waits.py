"""What the steps of a run wait for now, found in the one place where each wait is known, and only when somebody asks.

Questions stand in the run's questions, walks that are held in its gate, joins in the meetings of its branches, runs that have not begun
among those inside; all other waits are marks (:mod:`pocketflex_nb.core.wait_marks`) which the waiting code leaves in the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.flow.nodes import Fork
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.core.waits import Wait

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["waits_of"]

#: ns for which the answer of a run with more than `_MANY` marks is given again: views ask several times for one picture
_KEPT, _MANY = 100_000_000, 50
#: characters of one text
_CUT = 120
#: branches that a join names
_NAMED = 3


def waits_of(run: Lifecycle[Frame]) -> list[Wait]:
    """What steps of `run` wait for, those of the runs inside it included, the longest wait first; the same wait of many counted as one."""
    if run.done() or not run.started:  # one that has not begun is pending, as its status says
        return []
    marks = run.waits
    if marks is None and run.controller is None and run.nested is None and not run.cursors:
        return []
    known = run.known_waits
    if known is not None and perf_counter_ns() - known[0] < _KEPT:
        return known[1]
    found = sorted(_counted(_all(run, "")), key=lambda wait: wait.since)
    run.known_waits = (perf_counter_ns(), found) if marks is not None and len(marks) > _MANY else None
    return found


def _all(run: Lifecycle[Frame], inside: str) -> Iterator[Wait]:
    """The waits of a run; `inside` is the path to it from the outermost."""
    if not run.started:
        yield Wait("place", inside.rstrip("/"), "a place to begin")
        return
    marks = list(run.waits or ())
    for mark in marks:
        frame = mark.frame
        if not frame.fenced and (text := _text(mark.text)):
            yield Wait(mark.kind, inside + frame.path(frame.node), text, mark.since, mark.until, _text(mark.detail))
    if run.controller is not None:
        yield from _asked(run, inside)
        yield from _held(run, inside)
    yield from _joins(run, inside)
    for child, (_, frame, node) in list(run.nested.live.items()) if run.nested is not None else ():
        if not child.done():
            yield from _all(child, f"{inside}{run.log.path(frame, node)}/{child.flow_id}/")


def _text(made: Any) -> str:
    return cut_text(made() if callable(made) else made, _CUT)


def _asked(run: Lifecycle[Frame], inside: str) -> Iterator[Wait]:
    assert run.controller is not None
    for question in list(run.controller.questions.open.values()):
        if question.is_open and question.run == run.name:  # those of the runs inside are found there
            bound = "" if question.timeout is None else f"of {question.timeout:g} s"
            yield Wait("question", inside + question.node, f"ask {_quoted(question.text)}", question.since, None, bound)


def _quoted(text: str) -> str:
    return f'"{cut_text(" ".join(text.split()), 60)}"'


def _held(run: Lifecycle[Frame], inside: str) -> Iterator[Wait]:
    """The walks before their next node, while the run or one around it is paused."""
    gate: Any = run.controller.gate if run.controller is not None else None
    if not gate.waiting:
        return
    holder: Any = run
    while not gate.paused and (holder := holder.outer_run) is not None:
        if holder.controller is not None:
            gate = holder.controller.gate
    if not gate.paused:
        return
    kind, text = ("breakpoint", "a breakpoint") if gate.broke else ("pause", "paused")
    assert run.controller is not None
    for frame in list(run.controller.gate.waiting):
        yield Wait(kind, inside + frame.node_id, text, gate.since)


def _joins(run: Lifecycle[Frame], inside: str) -> Iterator[Wait]:
    """The joins that a branch has reached, and others have not."""
    meetings: dict[Any, Frame] = {frame.meeting: frame for frame in list(run.cursors or ()) if frame.meeting is not None}
    for meeting, frame in meetings.items():
        walks = list(meeting.walks)
        if not meeting.since or meeting.node is None or meeting.node.__class__ is Fork or not walks:
            continue
        names = sorted({run.log.path(walk, walk.branch).rpartition("/")[2] for walk in walks})
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        told = f"waits for {', '.join(names[:_NAMED])}{more}"
        yield Wait("join", inside + run.log.path(frame, meeting.node), told, meeting.since)


def _counted(waits: Iterator[Wait]) -> list[Wait]:
    """The same wait of one node once, with how many wait so: since the first of them, and until the next goes on."""
    found: dict[tuple[str, str, str, str], Wait] = {}
    for wait in waits:
        key = wait.kind, wait.node, wait.text, wait.detail
        known = found.get(key)
        if known is None:
            found[key] = wait
            continue
        until = wait.until if known.until is None else known.until if wait.until is None else min(known.until, wait.until)
        since = min(known.since, wait.since)
        found[key] = Wait(wait.kind, wait.node, wait.text, since, until, wait.detail, known.number + 1)
    return list(found.values())
