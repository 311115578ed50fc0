"""The node types of frozen values: trees of small tuples with structural sharing; their equality, and how they are thawed.

:mod:`pocketflex_nb.core.frozen.freezer` makes them from plain values.

References
----------
Driscoll, Sarnak, Sleator, Tarjan, "Making data structures persistent" (1989). The nodes have any width up to 32, as in Bagwell
and Rompf, "RRB-Trees" (2011), so that an item taken out of the front or the middle leaves the nodes behind it shared.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import is_
from typing import Any

from pocketflex_nb.core.value_text import cut_text, listed, mapped, value_text

__all__ = [
    "LEAF_WIDTH",
    "MISSING",
    "Cycle",
    "Frozen",
    "FrozenDict",
    "FrozenList",
    "FrozenObject",
    "FrozenText",
    "Inner",
    "Opaque",
    "equal",
    "items_of",
    "leaves_of",
    "same_items",
    "thaw",
]

#: children of one node at most
LEAF_WIDTH = 32


class _Missing:
    """The marker for "no value": the `old` of a new key, the `new` of a removed one."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


#: stands for "there is no value"
MISSING = _Missing()


class Inner(tuple[Any, ...]):
    """A node of a tree whose children are nodes; a plain tuple is a leaf of items."""

    __slots__ = ()


def items_of(tree: tuple[object, ...]) -> Iterator[object]:
    """The items below a node, in order."""
    if tree.__class__ is not Inner:
        return iter(tree)
    return chain.from_iterable(leaves_of(tree))


def leaves_of(tree: tuple[object, ...]) -> list[tuple[object, ...]]:
    """The leaves of a tree, in order."""
    nodes: list[Any] = [tree]
    while nodes and nodes[0].__class__ is Inner:
        nodes = [child for node in nodes for child in node]
    return nodes


class Frozen:
    """An immutable copy of a value. Compares equal to the plain value that it was made from.

    Attributes
    ----------
    cls : type
        Class of the value.
    """

    __slots__ = ("cls",)
    cls: type

    @property
    def kind(self) -> str:
        """Name of the value's class."""
        return self.cls.__name__

    def children(self) -> Iterator[tuple[object, object]]:
        """Pairs of (key or index, frozen value); empty for values without content."""
        return iter(())

    def thaw(self, above: list[object]) -> Any:
        """A plain copy; `above` holds the enclosing containers."""
        return self

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return value_text(self, 200)


class FrozenList(Frozen):
    """An immutable copy of a list, tuple, deque or set.

    Attributes
    ----------
    count : int
        Number of items.
    """

    __slots__ = ("count", "more", "tree")

    def __init__(self, cls: type, count: int, tree: tuple[object, ...], more: object = None) -> None:
        self.cls, self.count, self.tree, self.more = cls, count, tree, more

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[object]:
        return items_of(self.tree)

    def __getitem__(self, index: int) -> Any:
        if not -self.count <= index < self.count:
            raise IndexError(f"index {index} of a {self.kind} of {self.count}")
        index %= self.count
        for leaf in leaves_of(self.tree):
            if index < len(leaf):
                return leaf[index]
            index -= len(leaf)
        raise AssertionError("the count of a frozen list is the sum of its leaves")

    def children(self) -> Iterator[tuple[object, object]]:
        """Pairs of (index, frozen item)."""
        return enumerate(self)

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return listed(self.cls, self, self.count, limit, deep)

    def thaw(self, above: list[object]) -> Any:
        """A plain copy."""
        plain: list[object] = []
        above.append(plain)
        plain.extend(_thaw(item, above) for item in self)
        above.pop()
        if self.cls is list:
            return plain
        if hasattr(self.cls, "_make"):
            return self.cls._make(plain)
        return self.cls(plain, self.more) if self.more is not None else self.cls(plain)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenList):
            return self.tree is other.tree or (_alike(self.cls, other.cls) and self._same(other))
        return isinstance(other, self.cls) and self._same(other)

    def _same(self, other: Any) -> bool:
        if issubclass(self.cls, (set, frozenset)):
            return set(self) == set(other)
        return len(self) == len(other) and all(map(equal, self, other))

    __hash__ = None  # type: ignore[assignment]  # equal to plain lists, which have none


class FrozenDict(Frozen):
    """An immutable copy of a dict, in its order."""

    __slots__ = ("count", "keytree", "more", "tree")

    def __init__(self, cls: type, count: int, keytree: tuple[object, ...], tree: tuple[object, ...], more: object = None) -> None:
        self.cls, self.count, self.keytree, self.tree, self.more = cls, count, keytree, tree, more

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[object]:
        return items_of(self.keytree)

    def keys(self) -> Iterator[object]:
        """The keys, in order."""
        return items_of(self.keytree)

    def values(self) -> Iterator[object]:
        """The frozen values, in order."""
        return items_of(self.tree)

    def items(self) -> Iterator[tuple[Any, object]]:
        """Pairs of (key, frozen value), in order."""
        return zip(self.keys(), self.values(), strict=True)

    children = items

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return mapped("" if self.cls is dict else self.kind, self.items(), self.count, limit, deep)

    def __contains__(self, key: object) -> bool:
        return any(known is key or known == key for known in self)

    def __getitem__(self, key: object) -> Any:
        for known, value in self.items():
            if known is key or known == key:
                return value
        raise KeyError(key)

    def get(self, key: object, default: object = None) -> Any:
        """The frozen value of `key`, or `default`."""
        try:
            return self[key]
        except KeyError:
            return default

    def thaw(self, above: list[object]) -> Any:
        """A plain copy."""
        plain = self.cls() if self.more is None else self.cls(self.more)
        above.append(plain)
        for key, value in self.items():
            plain[key] = _thaw(value, above)
        above.pop()
        return plain

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenDict):
            if self.tree is other.tree and self.keytree is other.keytree:
                return True
        elif not isinstance(other, dict):
            return NotImplemented
        mine, theirs = dict(self.items()), dict(other.items())
        return mine.keys() == theirs.keys() and all(equal(value, theirs[key]) for key, value in mine.items())

    __hash__ = None  # type: ignore[assignment]  # equal to plain dicts, which have none


class FrozenObject(Frozen):
    """An immutable copy of a dataclass, pydantic model, attrs class or namespace: its class and its fields."""

    __slots__ = ("fields",)

    def __init__(self, cls: type, fields: FrozenDict) -> None:
        self.cls, self.fields = cls, fields

    def __len__(self) -> int:
        return self.fields.count

    def children(self) -> Iterator[tuple[object, object]]:
        """Pairs of (name, frozen value) of the fields."""
        return self.fields.items()

    def thaw(self, above: list[object]) -> Any:
        """A new object of the class with the same fields, made without calling ``__init__``."""
        cls: Any = self.cls
        if hasattr(cls, "model_construct"):
            return _model(cls, self.fields.thaw(above))
        plain = cls.__new__(cls)
        above.append(plain)
        for name, value in self.fields.items():
            object.__setattr__(plain, name, _thaw(value, above))
        above.pop()
        return plain

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return mapped(self.kind, self.fields.items(), self.fields.count, limit, deep)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenObject):
            return self.cls is other.cls and self.fields == other.fields
        return type(other) is self.cls and bool(self.thaw([]) == other)

    __hash__ = None  # type: ignore[assignment]  # may hold lists


class FrozenText(Frozen):
    """A long string that grew at its end: the pieces are shared with the shorter ones before it.

    Pieces are joined like the levels of a log-structured merge tree, each at least twice as long as the one behind it, so that
    ten thousand versions of a text cost a small multiple of its last one.
    """

    __slots__ = ("length", "pieces")

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self.cls, self.pieces, self.length = str, pieces, sum(map(len, pieces))

    def is_start_of(self, text: str) -> bool:
        """Whether `text` begins with this one."""
        at = 0
        for piece in self.pieces:
            if not text.startswith(piece, at):
                return False
            at += len(piece)
        return True

    def grown(self, tail: str) -> FrozenText:
        """This text with `tail` appended."""
        pieces = [*self.pieces, tail]
        while len(pieces) > 1 and len(pieces[-2]) < 2 * len(pieces[-1]):
            last = pieces.pop()
            pieces[-1] += last
        return FrozenText(tuple(pieces))

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return value_text("".join(islice((char for piece in self.pieces for char in piece), limit + 1)), limit)

    def __str__(self) -> str:
        return "".join(self.pieces)

    def __len__(self) -> int:
        return self.length

    def thaw(self, above: list[object]) -> str:
        """The text."""
        return "".join(self.pieces)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenText):
            return self.pieces == other.pieces or str(self) == str(other)
        return isinstance(other, str) and len(other) == self.length and str(self) == other

    def __hash__(self) -> int:
        return hash(str(self))


class Opaque(Frozen):
    """The description of an object that cannot be copied: its class, its known attributes, and a text.

    Attributes
    ----------
    ident : int
        `id` of the object, to tell two apart that look alike; it means nothing once the object is gone.
    digest : int
        Hash of the bytes that it gave to look at, as small arrays do; 0 for others.
    fields : FrozenDict or None
        The attributes of an object of the user's own class.
    """

    __slots__ = ("_of", "_text", "digest", "fields", "ident")

    def __init__(
        self, cls: type, text: str | None, ident: int = 0, digest: int = 0, fields: FrozenDict | None = None, of: object = None
    ) -> None:
        self.cls, self._text, self.ident, self.digest, self.fields = cls, text, ident, digest, fields
        self._of: Callable[[], object] | None = None
        if text is None:
            try:
                self._of = weakref.ref(of)
            except TypeError:  # it holds no weak references
                pass

    @property
    def text(self) -> str:
        """At most 200 characters, without memory addresses.

        Where only the class can tell, it is asked when the text is first read, not when the object is written: its `repr` may
        take a second, or for ever. An object that is gone by then, or whose class takes long, is told by its attributes.
        """
        if self._text is None:
            of = None if self._of is None else self._of()
            text = "" if of is None else value_text(of, 200)
            if of is None or text == f"<{self.kind}>":
                fields = self.fields
                text = f"<{self.kind}>" if fields is None else cut_text(mapped(self.kind, fields.items(), fields.count, 200, 2), 200)
            self._text, self._of = text, None
        return self._text

    def children(self) -> Iterator[tuple[object, object]]:
        """Pairs of (name, frozen value) of the attributes that are known."""
        return iter(()) if self.fields is None else self.fields.items()

    def is_same(self, other: object) -> bool:
        """Whether `other` describes the very same object with the same content."""
        return (
            other.__class__ is Opaque and self.ident == other.ident and self.cls is other.cls
            and self.digest == other.digest and self.fields is other.fields
        )

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return cut_text(self.text, limit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque) or self.cls is not other.cls or self.digest != other.digest:
            return False
        if self.fields is not None and other.fields is not None:
            return self.fields == other.fields
        return self.text == other.text

    def __hash__(self) -> int:
        return hash((self.cls, self.digest))


class Cycle(Frozen):
    """A container that contains itself, `up` levels above."""

    __slots__ = ("up",)

    def __init__(self, cls: type, up: int) -> None:
        self.cls, self.up = cls, up

    def thaw(self, above: list[object]) -> Any:
        """The container itself."""
        return above[-self.up]

    def __pfx_preview__(self, limit: int, deep: int) -> str:
        return f"<{self.kind} that holds this one>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cycle) and self.up == other.up

    def __hash__(self) -> int:
        return hash((Cycle, self.up))


def _model(cls: Any, values: dict[str, object]) -> object:
    """A pydantic model of these fields, extra fields and private attributes, none of them validated."""
    hidden = {name: values.pop(name) for name in list(values) if name in (getattr(cls, "__private_attributes__", None) or ())}
    model = cls.model_construct(**values)
    if hidden:
        object.__setattr__(model, "__pydantic_private__", hidden)
    return model


def _alike(a: type, b: type) -> bool:
    return a is b or (issubclass(a, (set, frozenset)) and issubclass(b, (set, frozenset)))


def _thaw(value: object, above: list[object]) -> object:
    return value.thaw(above) if isinstance(value, Frozen) else value


def thaw(frozen: object) -> Any:
    """A plain copy of a frozen value, independent of every other.

    Parameters
    ----------
    frozen : object
        What `freeze` gave. A plain value is given back.

    Returns
    -------
    object
        Lists, dicts, sets and so on of the classes they were made of; `Opaque` parts stay as they are. Two places that held the
        same list hold two equal ones; a container that stood inside itself does so again.
    """
    return _thaw(frozen, [])


def equal(a: object, b: object) -> bool:
    """Whether two values, frozen or plain, are equal; shared parts are not compared."""
    if a is b:
        return True
    try:
        return bool(a == b)
    except Exception:  # arrays have no single truth, and a user's `__eq__` may raise
        return False


def same_items(a: Sequence[object], b: Sequence[object]) -> bool:
    """Whether two sequences contain the very same objects."""
    return len(a) == len(b) and all(map(is_, a, b))
