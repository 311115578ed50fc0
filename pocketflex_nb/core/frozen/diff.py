"""`compare_values` lists the differences of two frozen values: paths with old and new value; shared parts are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pocketflex_nb.core.frozen.frozen_tree import MISSING, FrozenDict, FrozenList, FrozenObject, Opaque, equal, leaves_of
from pocketflex_nb.core.value_text import path_text, value_text

__all__ = ["Difference", "compare_values"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One path at which two values differ.

    Attributes
    ----------
    path : tuple
        Keys, indices and field names from the top: ``("notes", 2, "title")``. The index of something removed is the one it had.
    op : str
        ``"added"``, ``"removed"`` or ``"changed"``.
    old, new : object
        Frozen values; `MISSING` where there was or is none.
    """

    path: tuple[Any, ...]
    op: str
    old: Any
    new: Any

    def __repr__(self) -> str:
        sides = [value_text(side, 60) for side in (self.old, self.new) if side is not MISSING]
        return f"<Difference {self.where} {self.op}: {' -> '.join(sides)}>"

    @property
    def where(self) -> str:
        """The path as text: ``notes[2].title``."""
        return path_text(self.path)


def compare_values(old: object, new: object, path: tuple[object, ...] = (), *, limit: int | None = None) -> list[Difference]:
    """The differences from `old` to `new`, two frozen values.

    Parameters
    ----------
    path : tuple
        Where the two stand.
    limit : int, optional
        Differences at most.

    Returns
    -------
    list of Difference
        In the order of `new`, what was removed behind it. Items put into or taken out of a list are found where they are.
    """
    return list(islice(_differences(old, new, path), limit))


def _differences(old: Any, new: Any, path: tuple[object, ...]) -> Iterator[Difference]:
    if old is new:
        return
    if old is MISSING or new is MISSING:
        yield Difference(path, "added" if old is MISSING else "removed", old, new)
    elif old.__class__ is not new.__class__ or getattr(old, "cls", None) is not getattr(new, "cls", None):
        yield Difference(path, "changed", old, new)
    elif old.__class__ is FrozenDict:
        yield from _in_dict(old, new, path)
    elif isinstance(old, FrozenObject) or (old.__class__ is Opaque and old.ident == new.ident and old.fields and new.fields):
        fields: Any = old.fields
        yield from _in_dict(fields, new.fields, path)
    elif old.__class__ is FrozenList and issubclass(old.cls, (set, frozenset)):
        yield from _in_set(old, new, path)
    elif old.__class__ is FrozenList:
        yield from _in_list(old, new, path)
    elif not equal(old, new):
        yield Difference(path, "changed", old, new)


def _in_dict(old: FrozenDict, new: FrozenDict, path: tuple[object, ...]) -> Iterator[Difference]:
    if old.keytree is new.keytree:
        for key, was, now in zip(new.keys(), old.values(), new.values(), strict=True):
            yield from _differences(was, now, (*path, key))
        return
    before = dict(old.items())
    for key, now in new.items():
        yield from _differences(before.pop(key, MISSING), now, (*path, key))
    for key, was in before.items():
        yield Difference((*path, key), "removed", was, MISSING)


def _in_set(old: FrozenList, new: FrozenList, path: tuple[object, ...]) -> Iterator[Difference]:
    try:
        before, after = set(old), set(new)
    except TypeError:  # objects of other classes, which as they were have no hash
        yield Difference(path, "changed", old, new)
        return
    for item in new:
        if item not in before:
            yield Difference((*path, item), "added", MISSING, item)
    for item in old:
        if item not in after:
            yield Difference((*path, item), "removed", item, MISSING)


def _in_list(old: FrozenList, new: FrozenList, path: tuple[object, ...]) -> Iterator[Difference]:
    """Skip the common prefix and suffix; compare the rest index by index."""
    first = _shared(leaves_of(old.tree), leaves_of(new.tree))
    before, after = list(old)[first:], list(new)[first:]
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    before, after = before[head : len(before) - tail], after[head : len(after) - tail]
    first += head
    for at, (was, now) in enumerate(zip(before, after, strict=False), first):
        yield from _differences(was, now, (*path, at))
    both = min(len(before), len(after))
    for at, now in enumerate(after[both:], first + both):
        yield Difference((*path, at), "added", MISSING, now)
    for at, was in enumerate(before[both:], first + both):
        yield Difference((*path, at), "removed", was, MISSING)


def _shared(before: list[tuple[object, ...]], after: list[tuple[object, ...]]) -> int:
    """Number of items in the common leading leaves."""
    count = 0
    for was, now in zip(before, after, strict=False):
        if was is not now:
            break
        count += len(was)
    return count


def _alike(before: list[object], after: list[object]) -> int:
    """Length of the common prefix."""
    count = 0
    for was, now in zip(before, after, strict=False):
        if was is not now and (was.__class__ is not now.__class__ or not equal(was, now)):
            break
        count += 1
    return count
