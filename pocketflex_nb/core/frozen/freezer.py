"""`freeze` makes immutable copies of values that share all that did not change since the previous copy.

`freeze` turns a value into a *frozen* one: strings, numbers and other immutable values are themselves; lists, dicts, sets, tuples,
dataclasses and pydantic models become trees of small tuples; any other value is described by text (`Opaque`). Freezing a value again
with its previous frozen copy compares and copies in one pass, and returns **the previous object itself** when nothing changed: a list
of 10 000 with one more item shares all but three tuples of 32. The work may be bounded.

Nothing here runs code of an unknown class: no ``__eq__``, ``__hash__``, ``__iter__``, ``__repr__``, no property. Any of them may be
slow or endless, and the calling thread may be the one that all runs share.
"""

from __future__ import annotations

import enum
import re
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import Any, TypeVar

from pocketflex_nb.core.frozen.frozen_tree import (
    LEAF_WIDTH,
    MISSING,
    Cycle,
    Frozen,
    FrozenDict,
    FrozenList,
    FrozenObject,
    FrozenText,
    Inner,
    Opaque,
    equal,
    leaves_of,
    same_items,
    thaw,
)
from pocketflex_nb.core.frozen.object_attributes import Reader, is_looked_into, is_record, reader_of
from pocketflex_nb.core.value_text import has_repr_of, is_shaped, shape_of, value_text

__all__ = [
    "DEEP",
    "LONG",
    "MISSING",
    "PLAIN",
    "SEEN",
    "Cycle",
    "Freezer",
    "Frozen",
    "FrozenDict",
    "FrozenList",
    "FrozenObject",
    "FrozenText",
    "Opaque",
    "TooLarge",
    "equal",
    "freeze",
    "is_plain",
    "shared_nodes",
    "thaw",
]

#: classes whose values are immutable, with all their content
PLAIN: frozenset[type] = frozenset({
    str, bytes, int, float, bool, complex, type(None), type(...), type(NotImplemented), range, type,
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, enum.EnumType,
    re.Pattern, type(MISSING),
})
#: the same, by name so that nothing is imported for them
_LEAF_NAMES = frozenset({
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone", "zoneinfo.ZoneInfo",
    "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "ipaddress.IPv4Address", "ipaddress.IPv6Address",
    "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "pathlib._local.PurePosixPath", "pathlib._local.PureWindowsPath",
})
#: characters; a text from here on is compared with the one before it, to share its beginning
LONG = 2_048
#: levels of nesting that are looked at
DEEP = 100
#: bytes of a buffer, such as a numpy array, up to which its contents are compared; of larger ones only the shape
SEEN = 64 * 1024
_NODE, _ITEM, _OBJECT = 16, 4, 64
_MADE = frozenset({FrozenDict, FrozenList})


#: how values of a class are frozen: the pass, the value, its last frozen copy
_Make = Callable[["Freezer", Any, object], object]
_Node = tuple[object, ...]
_ItemT = TypeVar("_ItemT")


class TooLarge(Exception):
    """A bounded `freeze` would exceed its bound."""


class Freezer:
    """One pass over a value.

    Parameters
    ----------
    bound : int
        Estimated bytes to compare at most; beyond it the pass ends with `TooLarge`.

    Attributes
    ----------
    fresh : int
        Estimated bytes of what was made new, not shared with the previous copy.
    """

    __slots__ = ("fresh", "left", "path")

    def __init__(self, bound: int = sys.maxsize) -> None:
        self.left = bound
        self.fresh = 0
        self.path: dict[int, int] = {}

    def spend(self, amount: int) -> None:
        """Count work."""
        self.left -= amount
        if self.left < 0:
            raise TooLarge

    def freeze(self, value: object, old: object) -> object:
        """The frozen `value`; `old` itself if it is unchanged."""
        cls = value.__class__
        if cls in PLAIN:
            return self._plain(cls, value, old)
        how = _HOW.get(cls)
        if how is None:
            how = _HOW[cls] = _how(cls)
            if len(_HOW) > 1_000:  # classes of cells that were run again and again
                _HOW.clear()
        return how(self, value, old)

    def _plain(self, cls: type, value: Any, old: object) -> object:
        if cls is str and len(value) >= LONG:
            return self._text(value, old)
        if old.__class__ is cls and old == value:
            return old
        if cls is str or cls is bytes:
            self.fresh += len(value)
        return value

    def _text(self, value: str, old: object) -> object:
        self.spend(len(value) >> 4)
        if old.__class__ is str and len(old) >= LONG:
            if len(value) == len(old):
                if value == old:
                    return old
            elif value.startswith(old):
                self.fresh += 2 * (len(value) - len(old))
                return FrozenText((old,)).grown(value[len(old) :])
        elif old.__class__ is FrozenText and len(value) >= len(old) and old.is_start_of(value):
            self.fresh += 2 * (len(value) - len(old))
            return old.grown(value[len(old) :]) if len(value) > len(old) else old
        self.fresh += len(value)
        return value

    # containers ------------------------------------------------------------------------------------------------------
    def inside(self, value: object, make: _Make, old: object) -> object:
        """Call `make` with `value` on the path, so that a container that contains itself is found."""
        path, ident = self.path, id(value)
        if ident in path:
            return _kept(Cycle(type(value), len(path) - path[ident]), old)
        if len(path) >= DEEP:
            return _kept(Opaque(type(value), f"<{type(value).__name__}, more than {DEEP} levels deep>", ident), old)
        path[ident] = len(path)
        try:
            return make(self, value, old)
        finally:
            del path[ident]

    def tree(self, items: list[object], old: tuple[object, ...]) -> tuple[object, ...]:
        """The tree of frozen `items`, sharing nodes with the tree `old`; `old` itself if nothing changed."""
        self.spend(_NODE + _ITEM * len(items))
        if len(items) <= LEAF_WIDTH and old.__class__ is not Inner and len(old) <= LEAF_WIDTH:
            return self.leaf(items, old)
        before = leaves_of(old) if old else []
        nodes = shared_nodes(items, before, self.leaf)
        return old if same_items(nodes, before) else self._grown(nodes, old)

    def leaf(self, items: Sequence[object], old: tuple[object, ...]) -> tuple[object, ...]:
        """One leaf of frozen `items`; `old` itself if nothing changed."""
        if same_items(items, old):
            return old
        count, known = len(items), len(old)
        same, out = count == known, []
        for at, item in enumerate(items):
            was = old[at] if at < known else MISSING
            if item is was or (was.__class__ in _MADE and self._is_still(item, was)):
                now = was
            else:
                now = self.freeze(item, was)
            if now is not was:
                same = False
            out.append(now)
        if same:
            return old
        self.fresh += 56 + 8 * count
        return tuple(out)

    def _is_still(self, value: Any, was: Any) -> bool:
        """Whether a small dict or list of immutable items, or of such dicts and lists, is unchanged: the fast path for a list of many."""
        if value.__class__ is not was.cls or was.count != len(value) or was.count > LEAF_WIDTH:
            return False
        if value.__class__ is list:
            same = all(map(is_, value, was.tree)) or self._are_still(value, was.tree)
        else:
            same = value.__class__ is dict and all(map(is_, value, was.keytree)) and (
                all(map(is_, value.values(), was.tree)) or self._are_still(value.values(), was.tree)
            )
        if same:
            self.spend(_NODE + 2 * _ITEM * was.count)
        return same

    def _are_still(self, items: Iterable[Any], were: Iterable[Any]) -> bool:
        """Whether each item is the same, or a small dict or list that is unchanged. As deep as the frozen copy is, which has an end."""
        for item, was in zip(items, were, strict=True):
            if item is not was and not (was.__class__ in _MADE and self._is_still(item, was)):
                return False
        return True

    def _grown(self, nodes: list[_Node], old: tuple[object, ...]) -> tuple[object, ...]:
        """The tree over `nodes`, with the inner nodes of `old` where their children are the same."""
        above = _levels(old)
        while len(nodes) > LEAF_WIDTH:
            grouped = shared_nodes(nodes, above.pop() if above else [], self._inner)
            nodes = grouped if 2 * len(grouped) < len(nodes) else shared_nodes(nodes, [], self._inner)
        if len(nodes) < 2:
            return nodes[0] if nodes else ()
        self.fresh += 56 + 8 * len(nodes)
        return Inner(nodes)

    def _inner(self, nodes: Sequence[_Node], old: _Node) -> tuple[object, ...]:
        if same_items(nodes, old):
            return old
        self.fresh += 56 + 8 * len(nodes)
        return Inner(nodes)


def _levels(tree: tuple[object, ...]) -> list[list[_Node]]:
    """The inner nodes of a tree by level, the root first, without the root itself when it is a leaf."""
    levels: list[list[_Node]] = []
    nodes: list[Any] = [tree]
    while nodes and nodes[0].__class__ is Inner:
        levels.append(nodes)
        nodes = [child for node in nodes for child in node]
    return levels


def shared_nodes(items: list[_ItemT], before: Sequence[_Node], make: Callable[[list[_ItemT], _Node], _Node]) -> list[_Node]:
    """Split `items` into nodes of at most 32, reusing the nodes `before` wherever `make` finds the same content.

    `make(items, node)` gives `node` itself when it holds the same. Looked for from the front; then, if the last node of before
    stands at the end, from the back, which finds what was put in or taken out anywhere; else place by place, which finds
    scattered changes and what was appended.
    """
    out: list[_Node] = []
    at, first = 0, 0
    while first < len(before):
        known = len(before[first])
        if first == len(before) - 1 and known < LEAF_WIDTH and at + known < len(items):
            break  # there is room in the last node for what comes behind it
        node = make(items[at : at + len(before[first])], before[first])
        if node is not before[first]:
            break
        out.append(node)
        at, first = at + len(node), first + 1
    end, tail = len(items), len(before)
    shift = len(items) - sum(map(len, before))
    while shift and tail > first and (start := end - len(before[tail - 1])) >= at:
        if make(items[start:end], before[tail - 1]) is not before[tail - 1]:
            break
        end, tail = start, tail - 1
    behind = list(before[tail:])
    if behind:
        while behind and len(behind[0]) < LEAF_WIDTH // 2:  # so that many small changes do not leave many small nodes
            end, tail = end + len(behind.pop(0)), tail + 1
        while out and len(out[-1]) < LEAF_WIDTH // 2:
            at, first = at - len(out.pop()), first - 1
        olds = tuple(item for node in before[first:tail] for item in node)
        for start in range(at, end, LEAF_WIDTH):
            old = olds[start - at : start - at + LEAF_WIDTH]
            out.append(make(items[start : min(start + LEAF_WIDTH, end)], old))
        return out + behind
    while at < end:
        old = before[first] if first < len(before) else ()
        size = LEAF_WIDTH if first >= len(before) - 1 else len(old)
        out.append(make(items[at : min(at + size, end)], old))
        at, first = at + size, first + 1
    return out


def _list(work: Freezer, value: Any, old: object) -> object:
    cls = type(value)
    was = old.tree if old.__class__ is FrozenList and old.cls is cls else ()
    items = value if cls is list else list(tuple.__iter__(value) if issubclass(cls, tuple) else value)
    tree = work.tree(items, was)
    if was and tree is was:
        return old
    return _kept(FrozenList(cls, len(items), tree, value.maxlen if cls is deque else None), old)


def _tuple(work: Freezer, value: object, old: object) -> object:
    if type(value) is tuple and is_plain(value):
        if type(old) is tuple and _same_plain(old, value):
            return old
        work.fresh += 56 + 8 * len(value)
        return value
    return _list(work, value, old)


def _set(work: Freezer, value: Any, old: object) -> object:
    work.spend(_NODE + _ITEM * len(value))
    items, was = list(value), old if old.__class__ is FrozenList and old.cls is set else None
    if was is not None and was.count == len(items) and PLAIN.issuperset(map(type, items)) and value.issuperset(was):
        return was
    tree = work.tree(items, () if was is None else was.tree)
    return was if was is not None and tree is was.tree else FrozenList(set, len(items), tree)


def _dict(work: Freezer, value: Any, old: object) -> FrozenDict:
    cls = type(value)
    was = old if old.__class__ is FrozenDict and old.cls is cls else None
    keys, values = list(dict.keys(value)), list(dict.values(value))
    keytree = work.tree(keys, () if was is None else was.keytree)
    tree = work.tree(values, () if was is None else was.tree)
    if was is not None and keytree is was.keytree and tree is was.tree:
        return was
    return FrozenDict(cls, len(keys), keytree, tree, value.default_factory if issubclass(cls, defaultdict) else None)


def _record(read: Reader) -> _Make:
    """Freeze objects that consist of fields and can be made from them again."""

    def freeze_record(work: Freezer, value: object, old: object) -> object:
        was = old if old.__class__ is FrozenObject and old.cls is type(value) else None
        frozen = _dict(work, read(value), MISSING if was is None else was.fields)
        return was if was is not None and frozen is was.fields else FrozenObject(type(value), frozen)

    return freeze_record


def _object(read: Reader) -> _Make:
    """Describe objects of other user classes by their attributes."""

    def freeze_object(work: Freezer, value: object, old: object) -> object:
        work.spend(_OBJECT)
        before = old.fields if old.__class__ is Opaque and old.ident == id(value) else None
        fields = _dict(work, read(value), MISSING if before is None else before)
        return _seen(work, value, old, fields)

    return freeze_object


def _opaque(work: Freezer, value: object, old: object) -> object:
    work.spend(_OBJECT)
    return _seen(work, value, old, None)


def _seen(work: Freezer, value: object, old: object, fields: FrozenDict | None) -> object:
    cls = type(value)
    text = shape_of(value) or None if is_shaped(cls) else value_text(value, 200) if _is_told_at_once(cls, value) else None
    new = Opaque(cls, text, id(value), _digest(work, value), fields, value)
    return old if new.is_same(old) else new


def _is_told_at_once(cls: type, value: Any) -> bool:
    """Whether the text of `value` can be made without running foreign code."""
    if has_repr_of(cls, object) or cls is bytearray or cls is types.MethodType:
        return True
    return issubclass(cls, BaseException) and has_repr_of(cls, BaseException) and PLAIN.issuperset(map(type, value.args))


def _digest(work: Freezer, value: Any) -> int:
    """A hash of the bytes of a small value that exposes them: an array of numpy, a bytearray; 0 for any other."""
    if isinstance(getattr(type(value), "__buffer__", None), types.FunctionType):
        return 0
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):  # no buffer, or one of a kind that memoryview does not know
        return 0
    with view:
        if view.nbytes > SEEN:
            return 0
        work.spend(view.nbytes >> 4)
        return hash(view.tobytes())


def _frozenset(work: Freezer, value: Any, old: object) -> object:
    return old if type(old) is frozenset and PLAIN.issuperset(map(type, value)) and old == value else value


def _leaf(work: Freezer, value: object, old: object) -> object:
    return old if type(old) is type(value) and equal(old, value) else value


def _lonely(work: Freezer, value: object, old: object) -> object:
    """A leaf that equals only itself, because comparing might take arbitrarily long."""
    return value


_LEAVES = frozenset({_leaf, _lonely})


def _kept(new: Any, old: Any) -> object:
    """`old` when it is an empty container, a cycle or a marker like `new`."""
    if old.__class__ is not new.__class__ or old.cls is not new.cls:
        return new
    if new.__class__ is FrozenList:
        return old if not new.count and not old.count else new
    return old if old == new else new


def _within(make: _Make) -> _Make:
    return lambda work, value, old: work.inside(value, make, old)


_HOW: dict[type, _Make] = {}


def _how(cls: type) -> _Make:
    """How values of `cls` are frozen."""
    if cls is frozenset:
        return _frozenset
    if issubclass(cls, (enum.Enum, frozenset)):  # members are single objects
        return _lonely
    if issubclass(cls, (Frozen, type)):
        return _leaf
    if issubclass(cls, (str, bytes, int, float, complex)):
        return _lonely if isinstance(cls.__eq__, types.FunctionType) else _leaf
    if _named(cls) in _LEAF_NAMES:
        return _leaf
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(cls, getattr(numpy, "generic", ())):
        return _leaf
    if cls is list or cls is deque:
        return _within(_list)
    if cls is dict or cls in (OrderedDict, defaultdict, Counter):
        return _within(_dict)
    if issubclass(cls, tuple):
        return _within(_tuple)
    if cls is set:
        return _within(_set)
    return _how_object(cls)


def _how_object(cls: type) -> _Make:
    read = reader_of(cls)
    if read is not None and is_record(cls):
        return _within(_record(read))
    for base, plain, make in _BASES:
        if issubclass(cls, base):
            return _within(_as(plain, make))
    if read is not None and is_looked_into(cls) and not is_shaped(cls):
        return _within(_object(read))
    return _opaque


def _as(plain: Callable[[object], object], make: _Make) -> _Make:
    """Freeze a value of an unknown subclass as its base: only the base can be made again."""
    return lambda work, value, old: make(work, plain(value), old)


#: bases, and how what a value of a subclass holds is taken out, past whatever the subclass says
_BASES: tuple[tuple[type, Callable[[Any], object], _Make], ...] = (
    (dict, lambda value: dict(dict.items(value)), _dict),
    (list, lambda value: list.__getitem__(value, slice(None)), _list),
    (set, lambda value: set().union(value), _set),
    (deque, lambda value: deque(deque.__iter__(value)), _list),
)


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def is_plain(value: Any) -> bool:
    """Whether `value` and all it contains is immutable, so that it need not be checked again."""
    cls = value.__class__
    if cls in PLAIN:
        return True
    if cls is tuple:
        return PLAIN.issuperset(map(type, value)) or all(map(is_plain, value))
    how = _HOW.get(cls)
    how = _how(cls) if how is None else how
    return how in _LEAVES or how is _frozenset


def _same_plain(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    return len(a) == len(b) and all(x is y or (type(x) is type(y) and _same_leaf(x, y)) for x, y in zip(a, b, strict=True))


def _same_leaf(a: object, b: Any) -> bool:
    if type(a) is tuple:
        return _same_plain(a, b)
    return bool(a == b) if type(a) in PLAIN else _how(type(a)) is _leaf and equal(a, b)


def freeze(value: object, previous: object = MISSING, *, bound: int = sys.maxsize) -> object:
    """An immutable copy of `value`.

    Parameters
    ----------
    value : object
        Anything.
    previous : object
        The frozen copy of the same value from before, whose unchanged parts are shared. Any object will do: it costs or saves,
        and changes nothing.
    bound : int
        Estimated bytes of work at most: 4 an item, 16 a container, 64 an object, and a sixteenth of a long text.

    Returns
    -------
    object
        `previous` itself when nothing changed; an immutable `value` itself; else a `Frozen`. Numbers are compared with their
        class: 1, 1.0 and True are three values.

    Raises
    ------
    TooLarge
        When the work would go beyond `bound`.

    Examples
    --------
    >>> notes = ["a"]
    >>> before = freeze(notes)
    >>> freeze(notes, before) is before
    True
    >>> notes.append("b")
    >>> before, freeze(notes, before)
    (['a'], ['a', 'b'])
    """
    return Freezer(bound).freeze(value, previous)
