"""What the runs of a view wait for, as the page and the text view tell it: few waits one by one, those of many runs counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from time import perf_counter_ns

from pocketflex_nb.core.waits import Wait
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.views.text.page_text import clean

__all__ = ["ITEMS", "Pending", "PendingItem", "crowd_waits", "waits_told"]

#: waits that are told; more are counted
ITEMS = 6
#: runs above which only the sums are told
_MANY = 60
#: ns that a wait has to last before it is shown, unless it is for a person: a strip that comes and goes ten times a second tells nothing
_LASTS = 300_000_000
_OF_PEOPLE = ("question", "pause", "breakpoint")
#: of looking into a crowd: seconds between two looks, at least, and how many times longer than a look the pause behind it is
_EVERY, _SPARE = 1.0, 40

#: who waits, the words before the time, milliseconds since the first run's start, how the time is meant (``left``, ``for``, ``clock`` or
#: ``""``), the words behind it, how many wait so, and the kind
PendingItem = list[str | float | None]


class Pending:
    """The pending strip of a view, from update to update."""

    def __init__(self) -> None:
        self._told: list[PendingItem] = []
        self._next = 0.0

    def items(self, runs: Sequence[ViewedRun], labels: Sequence[str], zero: int) -> list[PendingItem]:
        """What the runs wait for now, the longest wait first, and the number of what is left out as a last item.

        Parameters
        ----------
        runs : sequence of Run
            The runs that are shown.
        labels : sequence of str
            What each of them is called; not read for more than 60.
        zero : int
            When the first of them began, monotonic ns.
        """
        if len(runs) <= _MANY:
            return _items(_of_few(runs, labels), zero)
        if time.monotonic() >= self._next:
            begun = time.monotonic()
            self._told = _items([("", wait) for wait in crowd_waits(runs)], zero)
            ended = time.monotonic()
            self._next = ended + max(_EVERY, _SPARE * (ended - begun))
        return self._told


def waits_told(waits: Sequence[Wait], *, now: int | None = None, most: int = 2) -> str:
    """The first of `waits` that have lasted, each with its node, in one short text; ``""`` if there are none.

    Parameters
    ----------
    waits : sequence of Wait
        The longest first.
    now : int, optional
        Monotonic ns; default: now.
    most : int
        How many are told.
    """
    now = perf_counter_ns() if now is None else now
    lasting = [wait for wait in waits if _is_worth(wait, now)]
    told = [f"{wait.node}: {wait.told(now)}" if wait.node else wait.told(now) for wait in lasting[:most]]
    more = [f"{len(lasting) - most} more"] if len(lasting) > most else []
    return clean("; ".join([*told, *more]), 300)


def crowd_waits(runs: Sequence[ViewedRun]) -> list[Wait]:
    """How many of many runs wait for what, the most frequent first; questions and pauses are statuses, which are counted anyway."""
    found: dict[tuple[str, str, str], list[int | None]] = {}
    now = perf_counter_ns()
    for run in runs:
        marks = getattr(engine_side(run), "waits", None)
        for mark in list(marks) if marks else ():
            text = mark.text() if callable(mark.text) else mark.text
            if not text or mark.frame.fenced:
                continue
            detail = mark.detail() if callable(mark.detail) else mark.detail
            known = found.get((mark.kind, text, detail))
            if known is None:
                found[mark.kind, text, detail] = [1, mark.since, mark.until]
            else:
                number, since, until = known
                ends = [end for end in (until, mark.until) if end is not None]
                known[:] = [(number or 0) + 1, min(since or now, mark.since), min(ends, default=None)]
    waits = [
        Wait(kind, "", text, since or 0, until, detail, number or 0) for (kind, text, detail), (number, since, until) in found.items()
    ]
    return sorted(waits, key=lambda wait: -wait.number)


def _of_few(runs: Sequence[ViewedRun], labels: Sequence[str]) -> list[tuple[str, Wait]]:
    """The waits of some runs; those that several of them have are one, and only what one run waits for bears its label."""
    found: dict[tuple[str, str, str, str], tuple[str, Wait]] = {}
    for run, label in zip(runs, labels, strict=True):
        for wait in () if run.done() else run.state().waits:
            key = wait.kind, wait.node, wait.text, wait.detail
            if key not in found:
                found[key] = label if len(runs) > 1 else "", wait
                continue
            _, known = found[key]
            ends = [end for end in (known.until, wait.until) if end is not None]
            both = Wait(*key[:3], min(known.since, wait.since), min(ends, default=None), wait.detail, known.number + wait.number)
            found[key] = "", both
    return sorted(found.values(), key=lambda told: told[1].since)


def _items(told: Sequence[tuple[str, Wait]], zero: int) -> list[PendingItem]:
    now = perf_counter_ns()
    lasting = [(label, wait) for label, wait in told if _is_worth(wait, now)]
    items = [_item(label, wait, zero) for label, wait in lasting[:ITEMS]]
    if len(lasting) > ITEMS:
        items.append(["", f"and {len(lasting) - ITEMS} more", None, "", "", 1, "more"])
    return items


def _item(label: str, wait: Wait, zero: int) -> PendingItem:
    before, after = wait.words()
    at = wait.until or wait.since or None
    mode = "" if wait.kind == "place" else "left" if wait.until is not None else "clock" if wait.kind == "question" else "for"
    ms = None if at is None else round((at - zero) / 1e6)
    who = " · ".join(part for part in (label, wait.node) if part)
    return [clean(who, 120), clean(before, 160), ms, mode, clean(after, 80), wait.number, wait.kind]


def _is_worth(wait: Wait, now: int) -> bool:
    """Whether a wait lasts long enough to be told."""
    lasts = (now if wait.until is None else wait.until) - wait.since
    return wait.kind in _OF_PEOPLE or lasts >= _LASTS
