"""The three-way merge of two changes of one value, with a rule for paths that both changed.

References
----------
Khanna, Kunal, Pierce, "A Formal Investigation of Diff3" (2007). Lists are merged by one hunk for each side, or place by place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from pocketflex_nb.core.frozen.copies import copy_of
from pocketflex_nb.core.frozen.freezer import PLAIN, thaw
from pocketflex_nb.core.frozen.frozen_tree import MISSING, Frozen, FrozenDict, FrozenList, FrozenObject, Opaque, equal
from pocketflex_nb.core.frozen.object_attributes import reader_of, set_attributes

__all__ = ["Merge", "Rule", "rule_name"]

#: a merge rule, and whether it takes what both began with
Rule = tuple[Callable[..., object], bool]


def rule_name(path: tuple[object, ...]) -> str:
    """The name of a path among the merge rules: ``"d.n"``, ``"rows.0.title"``."""
    return ".".join(map(str, path))


class Merge:
    """One merge.

    Parameters
    ----------
    rules : mapping of text to Rule
        By the path's name.
    joins : bool
        Whether items that both put into the same place of a list stand there one after the other; else that is a lost update.

    Attributes
    ----------
    lost : list of tuple
        Paths where both changed the same place and no rule says what is to stand there: mine does then.
    """

    def __init__(self, rules: Mapping[object, Rule], joins: bool = True) -> None:
        self._rules, self._joins = rules, joins
        self.lost: list[tuple[object, ...]] = []

    def value(self, path: tuple[object, ...], base: object, theirs: object, mine: object, live: object, own: object) -> object:
        """The merged value at `path`.

        Parameters
        ----------
        base, theirs, mine : object
            The frozen values: what both began with, what stands there, what the ending node made of it.
        live, own : object
            Values like `theirs`, which is changed in place where it can be, and like `mine`, whose parts are taken over.
        """
        if _is_same(mine, base):
            return live
        before = len(self.lost)
        merged = self._merged(path, base, theirs, mine, live, own)
        rule = self._rules.get(path[0] if len(path) == 1 else rule_name(path)) if len(self.lost) > before else None
        if rule is None:
            return merged
        del self.lost[before:]
        return self._ruled(rule, path, base, copy_of(theirs, live) if isinstance(theirs, Frozen) else theirs, own)

    def _ruled(self, rule: Rule, path: tuple[object, ...], base: object, theirs: object, mine: object) -> object:
        theirs = None if theirs is MISSING else theirs
        try:
            return rule[0](None if base is MISSING else thaw(base), theirs, mine) if rule[1] else rule[0](theirs, mine)
        except Exception as exc:
            exc.add_note(f"raised by the merge rule of {rule_name(path)!r}")
            raise

    def _merged(self, path: tuple[object, ...], base: Any, theirs: Any, mine: Any, live: object, own: object) -> object:
        kind: object = type(mine)
        if kind is type(theirs) and issubclass(kind, Frozen) and mine.cls is theirs.cls:
            if kind is FrozenDict and _has_plain_keys(mine) and _has_plain_keys(theirs):
                before = dict(base.items()) if type(base) is FrozenDict else {}
                self._mapping(path, before, dict(theirs.items()), dict(mine.items()), live, own)
                return live
            if kind is FrozenObject:
                return self._record(path, base, theirs, mine, live, own)
            if kind is FrozenList and type(base) is FrozenList and base.cls is mine.cls:
                return self._items(path, base, theirs, mine, live, own)
        if _is_same(theirs, base):
            return own
        self.lost.append(path)
        return own

    def _mapping(
        self, path: tuple[object, ...], base: dict[object, object], theirs: dict[object, object], mine: dict[object, object],
        live: Any, own: Any,
    ) -> None:
        for key in [*mine, *(key for key in base if key not in mine)]:
            was, there, here = base.get(key, MISSING), theirs.get(key, MISSING), mine.get(key, MISSING)
            if _is_same(here, was) or (here is MISSING and there is MISSING):
                continue
            if here is not MISSING:
                live[key] = self.value((*path, key), was, there, here, live.get(key, MISSING), own[key])
            else:
                if not _is_same(there, was):
                    self.lost.append((*path, key))
                del live[key]

    def _record(
        self, path: tuple[object, ...], base: object, theirs: FrozenObject, mine: FrozenObject, live: object, own: object
    ) -> object:
        read = reader_of(mine.cls)
        assert read is not None
        before = dict(base.fields.items()) if type(base) is FrozenObject and base.cls is mine.cls else {}
        attributes = read(live)
        self._mapping(path, before, dict(theirs.fields.items()), dict(mine.fields.items()), attributes, read(own))
        set_attributes(live, attributes)
        return live

    def _items(self, path: tuple[object, ...], base: FrozenList, theirs: FrozenList, mine: FrozenList, live: Any, own: Any) -> object:
        cls = mine.cls
        if cls is set:
            if not PLAIN.issuperset(map(type, own)):
                self.lost.append(path)
                return own
            before = set(base)
            live.difference_update(before - own)
            live.update(own - before)
            return live
        items = self._list(path, list(base), list(theirs), list(mine), list(live), list(own))
        if items is None:
            self.lost.append(path)
            return own
        if cls is list:
            live[:] = items
        elif cls is deque:
            live.clear()
            live.extend(items)
        else:
            return cls._make(items) if hasattr(cls, "_make") else cls(items)
        return live

    def _list(
        self, path: tuple[object, ...], base: list[object], theirs: list[object], mine: list[object], live: list[object], own: list[object]
    ) -> list[object] | None:
        """The merged items; None when the two lists cannot be merged."""
        first, last, end = _hunk(base, mine)
        there, until, _ = _hunk(base, theirs)
        if not self._joins and first == last == there == until:
            return None
        if last <= there and (first, last) != (there, until):
            return [*live[:first], *own[first:end], *live[last:]]
        if until <= first:
            moved = len(theirs) - len(base)
            return [*live[: first + moved], *own[first:end], *live[last + moved :]]
        if not len(theirs) >= len(base) <= len(mine):
            return None
        for at, was in enumerate(base):
            live[at] = self.value((*path, at), was, theirs[at], mine[at], live[at], own[at])
        return live + own[len(base) :]


def _hunk(base: list[object], now: list[object]) -> tuple[int, int, int]:
    """The changed range of `now`: ``base[first:last]`` became ``now[first:end]``."""
    first, last, end = 0, len(base), len(now)
    while first < last and first < end and _is_same(now[first], base[first]):
        first += 1
    while last > first and end > first and _is_same(now[end - 1], base[last - 1]):
        last, end = last - 1, end - 1
    return first, last, end


def _is_same(a: object, b: object) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Opaque):
        return a.is_same(b)
    return equal(a, b) if isinstance(a, Frozen) or type(a) in PLAIN else False


def _has_plain_keys(value: FrozenDict) -> bool:
    return all(type(key) in PLAIN or type(key) is tuple for key in value)
