"""Working copies of values, made from their frozen copies; parts that cannot be copied are taken from the original.

Copies are made for code that must not change what others hold; `restore` puts an object itself back, so that everyone who holds it sees
its former content, too.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from pocketflex_nb.core.frozen.freezer import PLAIN, freeze, is_plain
from pocketflex_nb.core.frozen.frozen_tree import Cycle, Frozen, FrozenDict, FrozenList, FrozenObject, FrozenText, Opaque
from pocketflex_nb.core.frozen.object_attributes import is_record, reader_of, set_attributes

__all__ = ["MOST_PARTS", "NotCopied", "copy_of", "restore"]

#: parts of a value, its items and theirs, that are copied at most
MOST_PARTS = 16 * 1024
_LISTS = frozenset({list, tuple, set, deque})
_DICTS = frozenset({dict, OrderedDict, defaultdict, Counter})


class NotCopied(Exception):
    """The value contains something that cannot be copied and is no longer available, or it is too large."""


def copy_of(frozen: object, live: object) -> object:
    """A new value equal to `frozen`.

    Parameters
    ----------
    frozen : object
        What to make.
    live : object
        Where parts that cannot be copied are looked for: they stand in both.

    Raises
    ------
    NotCopied
        When a part is missing there, or there are too many.
    """
    return _Maker(live).make(frozen)


def restore(live: object, frozen: object) -> object:
    """Restore `live` to the content of `frozen`, in place where it can be changed; returns the restored value.

    Raises
    ------
    NotCopied
        As `copy_of`; then nothing was changed.
    """
    if not isinstance(frozen, Frozen):
        return frozen
    maker = _Maker(live)
    maker.make(frozen)  # whether all of it can be made
    return maker.again(live, frozen)


class _Maker:
    """Makes values from frozen ones, with the parts of one live value."""

    def __init__(self, live: object) -> None:
        self.parts: dict[int, object] = {}
        self.above: list[object] = []
        self.left = MOST_PARTS
        self._gather(live, set())
        self.left = MOST_PARTS

    def _gather(self, value: Any, seen: set[int]) -> None:
        """Collect every part that is not copied; containers of unknown subclasses are not rebuilt."""
        self._count(1)
        cls = type(value)
        if id(value) in seen or is_plain(value):
            return
        seen.add(id(value))
        if cls in _LISTS or (issubclass(cls, tuple) and hasattr(cls, "_make")):
            self._count(len(value))
            items = list(value)
            for item in items if not PLAIN.issuperset(map(type, items)) else ():
                self._gather(item, seen)
        elif cls in _DICTS:
            self._count(len(value))
            for key, item in list(value.items()):
                self._gather(key, seen)
                self._gather(item, seen)
        elif issubclass(cls, (list, tuple, set, deque, dict)):
            raise NotCopied(f"a {cls.__name__} is an object that only its own class can copy")
        elif is_record(cls) and (read := reader_of(cls)) is not None:
            for item in read(value).values():
                self._gather(item, seen)
        else:
            self.parts[id(value)] = value

    def _count(self, parts: int) -> None:
        self.left -= parts
        if self.left < 0:
            raise NotCopied(f"more than {MOST_PARTS} parts")

    def make(self, frozen: object) -> object:
        """A new value."""
        if not isinstance(frozen, Frozen):
            return frozen
        self._count(1)
        if isinstance(frozen, Opaque):
            return self._part(frozen)
        if isinstance(frozen, (Cycle, FrozenText)):
            return frozen.thaw(self.above)
        if isinstance(frozen, FrozenObject):
            return self._record(frozen)
        if isinstance(frozen, FrozenDict):
            plain = frozen.cls() if frozen.more is None else frozen.cls(frozen.more)
            return self._filled(plain, frozen)
        assert isinstance(frozen, FrozenList)
        return self._list(frozen)

    def _part(self, frozen: Opaque) -> object:
        part = self.parts.get(frozen.ident)
        if type(part) is not frozen.cls:
            raise NotCopied(f"{frozen.text} no longer exists")
        return part

    def _list(self, frozen: FrozenList) -> object:
        self._count(frozen.count)
        plain: list[object] = []
        items = list(frozen)
        if PLAIN.issuperset(map(type, items)):
            plain = items
        else:
            self.above.append(plain)
            plain.extend(self.make(item) for item in items)
            self.above.pop()
        if frozen.cls is list:
            return plain
        if hasattr(frozen.cls, "_make"):
            return frozen.cls._make(plain)
        return frozen.cls(plain, frozen.more) if frozen.more is not None else frozen.cls(plain)

    def _filled(self, plain: Any, frozen: FrozenDict) -> object:
        self._count(frozen.count)
        self.above.append(plain)
        for key, value in frozen.items():
            plain[self.make(key)] = self.make(value)
        self.above.pop()
        return plain

    def _record(self, frozen: FrozenObject) -> object:
        cls: Any = frozen.cls
        plain = cls.model_construct() if hasattr(cls, "model_construct") else cls.__new__(cls)
        self.above.append(plain)
        set_attributes(plain, {name: self.make(value) for name, value in frozen.fields.items()})
        self.above.pop()
        return plain

    # in place --------------------------------------------------------------------------------------------------------
    def again(self, live: Any, frozen: object) -> object:
        """`live`, restored; a new value where it is of another class or cannot be changed."""
        if not isinstance(frozen, Frozen):
            return frozen
        if freeze(live, frozen) is frozen:
            return live
        cls = type(live)
        if cls is not frozen.cls:
            return self.make(frozen)
        if isinstance(frozen, Opaque) and (frozen.fields is None or frozen.ident != id(live)):
            return self.make(frozen)
        self.above.append(live)
        try:
            if isinstance(frozen, FrozenDict):
                known = dict(live)
                items = {key: self._child(known.get(key), value) for key, value in self._pairs(frozen)}
                live.clear()
                dict.update(live, items)
                return live
            if isinstance(frozen, (FrozenObject, Opaque)) and frozen.fields is not None:
                read = reader_of(cls)
                known = read(live) if read is not None else {}
                set_attributes(live, {name: self._child(known.get(name), value) for name, value in frozen.fields.items()})
                return live
            if isinstance(frozen, FrozenList) and cls in (list, deque, set):
                return self._refilled(live, frozen)
        finally:
            self.above.pop()
        return self.make(frozen)

    def _pairs(self, frozen: FrozenDict) -> list[tuple[object, object]]:
        return [(self.make(key), value) for key, value in frozen.items()]

    def _refilled(self, live: Any, frozen: FrozenList) -> object:
        if frozen.cls is set:
            items = [self.make(item) for item in frozen]
            live.clear()
            live.update(items)
            return live
        known = list(live)
        known += [None] * (frozen.count - len(known))
        items = [self._child(was, item) for was, item in zip(known, frozen, strict=False)]
        live.clear()
        live.extend(items)
        return live

    def _child(self, live: object, frozen: object) -> object:
        if not isinstance(frozen, Frozen):
            return frozen
        return self.again(live, frozen) if type(live) is frozen.cls else self.make(frozen)
