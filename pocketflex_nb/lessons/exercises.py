"""`check`, `hint` and `progress`: the functions that readers of the tutorials call.

>>> from pocketflex_nb.lessons.exercises import check
>>> print(check("01.1", ...))
☐ 01.1 A node of your own: not yet
  Put your answer where the ... stands, run that cell, then this one.
  Stuck? hint("01.1")

How an exercise is added stands in `pocketflex_nb.lessons`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.lessons.exercise import EXERCISES, LEVELS, Exercise, ExercisePoint, find_exercise, lessons, trouble
from pocketflex_nb.lessons.saved_progress import clear, keeps_on_disk, read, save

__all__ = ["Card", "Line", "Verdict", "check", "hint", "progress"]

#: colours that are seen on white and on near black alike; the words take the page's own
_COLOURS = {"right": "#23945a", "wrong": "#c97a12", "open": "#7d8797", "hint": "#4c8df6"}
_SIGNS = {"right": "✓", "wrong": "→", "open": "☐", "hint": "?"}
_NOT_YET = "Put your answer where the `...` stands, run that cell, then this one."


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a card: its sign's name, its text (backticks mark code)."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A short answer in a cell: a headline, lines, and a quieter last line; as HTML, and as text."""

    kind: str
    headline: str
    lines: tuple[Line, ...] = ()
    footer: str = ""

    def __repr__(self) -> str:
        lines = [f"  {f'{_SIGNS[line.sign]} ' if line.sign else ''}{line.text}" for line in self.lines]
        footer = [f"  {self.footer}"] if self.footer else []
        return "\n".join([f"{_SIGNS[self.kind]} {self.headline}", *lines, *footer]).replace("`", "")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        rows = "".join(_row(line) for line in self.lines)
        footer = f'<div style="margin-top:5px;opacity:.72;font-size:92%">{_marked(self.footer)}</div>' if self.footer else ""
        sign = f'<span style="color:{_COLOURS[self.kind]};font-weight:700">{_SIGNS[self.kind]}</span>'
        return (
            f'<div style="border-left:4px solid {_COLOURS[self.kind]};padding:5px 12px 6px;margin:2px 0;line-height:1.5;max-width:860px">'
            f'<div style="font-weight:600">{sign} {_marked(self.headline)}</div>{rows}{footer}</div>'
        )


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Card):
    """What `check` says; true when the answer is right."""

    solved: bool = False

    def __bool__(self) -> bool:
        return self.solved


def check(number: str, *answers: object) -> Verdict:
    """Report what is right about an answer, and what is not, with a hint.

    Parameters
    ----------
    number : str
        The exercise, such as ``"01.2"``.
    *answers
        What the reader made; ``...`` stands for what is not made yet.

    Returns
    -------
    Verdict
        Shows itself in a cell; true when the exercise is solved.

    Raises
    ------
    LookupError
        There is no such exercise.

    Notes
    -----
    Nothing that an answer does makes `check` raise: an error of the reader's code is shown as one more thing to mend. The number of
    tries and the first success are kept, see `progress`.
    """
    found = find_exercise(number)
    if any(answer is ... for answer in answers):
        return _verdict(found, "open", "not yet", (Line("", _NOT_YET),))
    points = tuple(_looked(found, answers))
    solved = all(point.right for point in points)
    save(number, lambda kept: replace(kept, solved=kept.solved or solved, tries=kept.tries + 1))
    lines = tuple(Line("right" if point.right else "wrong", point.text) for point in points if point.text)
    return _verdict(found, "right" if solved else "wrong", "solved" if solved else "not quite", lines)


def hint(number: str) -> Card:
    """Show the next of three hints; each says more than the one before it, and those shown already stay.

    Raises
    ------
    LookupError
        There is no such exercise.
    """
    found = find_exercise(number)
    level = save(number, lambda kept: replace(kept, hints=min(kept.hints + 1, LEVELS))).hints
    more = f'There is more: `hint("{number}")` once again.' if level < LEVELS else "That was the last hint."
    lines = tuple(Line("", text) for text in found.hints[:level])
    return Card("hint", f"{number} {found.title}: hint {level} of {LEVELS}", lines, more)


def progress(lesson: str | None = None, *, reset: bool = False) -> Card:
    """Show which exercises are solved, of all lessons or of one; it is kept over restarts, in ``lessons.kept.place()``.

    Parameters
    ----------
    lesson : str, optional
        Such as ``"01"``.
    reset : bool
        Forget it first, of that lesson or of all: for whoever begins anew.

    Raises
    ------
    LookupError
        There is no such lesson.
    """
    titles = lessons()
    if lesson is not None and lesson not in titles:
        raise LookupError(f"no lesson {lesson!r}{nearest(str(lesson), titles)}")
    if reset:
        clear(lesson)
    known = read()
    solved = {number for number in EXERCISES if number in known and known[number].solved}
    lines = tuple(_lesson_lines(titles, solved) if lesson is None else _exercise_lines(lesson, solved))
    asked = [number for number in EXERCISES if lesson is None or number.startswith(f"{lesson}.")]
    done = sum(number in solved for number in asked)
    where = "all lessons" if lesson is None else f"lesson {lesson}, {titles[lesson]}"
    footer = "" if keeps_on_disk() else "No file can be written here: this is kept as long as the kernel runs."
    return Card("right" if done == len(asked) else "open", f"{done} of {len(asked)} exercises solved: {where}", lines, footer)


def _lesson_lines(titles: dict[str, str], solved: set[str]) -> Iterator[Line]:
    for lesson, title in titles.items():
        numbers = sorted(number for number in EXERCISES if number.startswith(f"{lesson}."))
        done = [number in solved for number in numbers]
        boxes = "".join("●" if is_done else "○" for is_done in done)
        yield Line("right" if done and all(done) else "open", f"{lesson} {title} {boxes}")


def _exercise_lines(lesson: str, solved: set[str]) -> Iterator[Line]:
    for number in sorted(number for number in EXERCISES if number.startswith(f"{lesson}.")):
        yield Line("right" if number in solved else "open", f"{number} {EXERCISES[number].title}")


def _verdict(found: Exercise, kind: str, word: str, lines: tuple[Line, ...]) -> Verdict:
    footer = "" if kind == "right" else f'Stuck? `hint("{found.number}")`'
    return Verdict(kind, f"{found.number} {found.title}: {word}", lines, footer, kind == "right")


def _looked(found: Exercise, answers: tuple[Any, ...]) -> Iterator[ExercisePoint]:
    """The points of an exercise up to the first that is not right; what raises meanwhile is one more point."""
    try:
        for point in found.look(*answers):
            yield point
            if not point.right:
                return
    except Exception as exc:  # the reader's code may raise anything
        yield ExercisePoint(False, f"{trouble(exc)}.")


def _row(line: Line) -> str:
    sign = f'<span style="color:{_COLOURS[line.sign]};font-weight:700">{_SIGNS[line.sign]}</span> ' if line.sign else ""
    return f'<div style="margin-top:3px">{sign}{_marked(line.text)}</div>'


def _marked(text: str) -> str:
    """`text` as HTML, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 and index < len(parts) - 1 else part for index, part in enumerate(parts))
