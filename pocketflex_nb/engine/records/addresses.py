"""Addresses while a journalled run walks: each walk counts the visits of its nodes as they begin.

`RunLog` makes the same addresses from the records, when somebody reads them: a walk without a journal counts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.engine.records.frame import Frame

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = ["QuestionCounts", "begin_visit", "step_address", "walk_address"]


class QuestionCounts:
    """Counts how often each question was asked at each place of a run."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    def place(self, frame: Frame, text: str) -> tuple[str, int]:
        """Where a question is asked now, and how often its text was asked there, this time included."""
        where = f"{step_address(frame, frame.node)}@{frame.attempt} {text}"
        number = self._asked[where] = self._asked.get(where, 0) + 1
        return where, number


def walk_address(frame: Frame) -> str:
    """The address of the walk that `frame` is, or is a step of."""
    walk = _walk(frame)
    if walk.where is None:
        if walk.parent is None:
            recording = walk.lifecycle.recording
            walk.where = (recording.root if recording is not None else "") or str(walk.lifecycle.flow_id)
        else:
            where = step_address(walk.parent, walk.outer)
            if walk.branch is not None:
                where += f"{{{walk.lifecycle.log._id(walk, walk.branch)}}}"
            walk.where = where if walk.item is None else f"{where}[{walk.item}]"
    return str(walk.where)


def begin_visit(frame: Frame, node: BaseNode) -> str:
    """Count a visit of `node`, which begins; its address."""
    walk = _walk(frame)
    if walk.visits is None:
        walk.visits = {}
    walk.visits[node] = walk.visits.get(node, 0) + 1
    return step_address(walk, node)


def step_address(frame: Frame, node: BaseNode | None) -> str:
    """The address of the last visit of `node` in the walk of `frame`; of an item of it, when `frame` is the item's step."""
    where = walk_address(frame)
    if node is None:
        return where
    walk = _walk(frame)
    item = f"[{frame.item}]" if frame.step and frame.item is not None else ""
    return f"{where}/{frame.lifecycle.log._id(walk, node)}#{(walk.visits or {}).get(node, 0)}{item}"


def _walk(frame: Frame) -> Frame:
    while frame.step and frame.parent is not None:
        frame = frame.parent
    return frame
