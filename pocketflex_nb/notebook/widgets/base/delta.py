"""Computes the delta between what a page shows and what it should show, as the least JSON.

It is ``None`` where nothing differs, or a list whose first item says how to read it::

    [0, value]                                    the value itself
    [1, {key: difference}, [gone keys]]           a mapping: what differs, what is gone
    [2, dropped, before, {index: difference}, after, length]
                                                  a list: items dropped in front, items put before, items that differ (counted in
                                                  the new list), items put behind, how many there are in all
    [3, dropped, text]                            a text: UTF-16 units dropped in front, text put behind
    [4, {index: value}]                           a list of as many plain items: those that differ
    [5, {key: value}]                             a mapping of the same keys and more: plain values that differ
"""

from __future__ import annotations

import json
from collections.abc import Sequence

__all__ = ["delta"]

#: characters by which a text is located in its former value
_PROBE = 24
#: a text as long as this is looked at for what is the same; a shorter one is plain, as a number is
_PLAIN = 48


def delta(old: object, new: object) -> list[object] | None:
    """The difference from `old` to `new`, both plain JSON values; None if they are equal, as Python has it (1 is True).

    Notes
    -----
    Made for windows that slide: lists that lose items at one end and get some at the other, texts that grow and are cut in front.
    It is small for those, right for everything, and takes time in proportion to the size of both.
    """
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        return _of_dicts(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return _of_lists(old, new)
    if isinstance(old, str) and isinstance(new, str):
        return _of_texts(old, new)
    return [0, new]


def _of_dicts(old: dict[str, object], new: dict[str, object]) -> list[object]:
    gone = [key for key in old if key not in new]
    if len(gone) * 2 > len(old) or not old:
        return [0, new]
    differ = {key: value for key, value in new.items() if key not in old or old[key] != value}
    if not gone and all(map(_is_plain, differ.values())):
        return [5, differ]
    return [1, {key: delta(old[key], value) if key in old else [0, value] for key, value in differ.items()}, gone]


def _of_lists(old: list[object], new: list[object]) -> list[object]:
    if len(old) == len(new):
        differ = {str(k): item for k, item in enumerate(new) if old[k] != item}
        if len(differ) < len(new) and all(map(_is_plain, differ.values())):
            return [4, differ]
    dropped, before = _shift(old, new)
    kept = min(len(old) - dropped, len(new) - before)
    if kept <= 0:
        return [0, new]
    told = {}
    for index in range(before, before + kept):
        change = delta(old[dropped + index - before], new[index])
        if change is not None:
            told[str(index)] = change
    if len(told) > kept // 2 and len(json.dumps(told)) > len(json.dumps(new)):  # all is new, and shorter as it stands
        return [0, new]
    return [2, dropped, new[:before], told, new[before + kept :], len(new)]


def _is_plain(value: object) -> bool:
    return len(value) < _PLAIN if isinstance(value, str) else not isinstance(value, (list, dict))


def _shift(old: Sequence[object], new: Sequence[object]) -> tuple[int, int]:
    """How many items left in front, or else how many came in front."""
    if not old or not new or old[0] == new[0]:
        return 0, 0
    if new[0] in old:
        return old.index(new[0]), 0
    if old[0] in new:
        return 0, new.index(old[0])
    return 0, 0


def _of_texts(old: str, new: str) -> list[object]:
    if old and new.startswith(old):
        return [3, 0, new[len(old) :]]
    if len(new) > _PROBE:
        place = old.find(new[:_PROBE])
        if place >= 0 and new.startswith(old[place:]):
            return [3, _units(old[:place]), new[len(old) - place :]]
    return [0, new]


def _units(text: str) -> int:
    """How long `text` is for JavaScript."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
