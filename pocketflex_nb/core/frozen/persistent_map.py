"""The persistent map that holds a whole store at one version and shares what did not change.

References
----------
Bagwell, "Ideal Hash Trees" (2001); here with nodes of sixteen and small dicts as leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.frozen.frozen_tree import MISSING, thaw

if TYPE_CHECKING:
    from pocketflex_nb.core.frozen.diff import Difference

__all__ = ["PersistentMap", "Snapshot"]

#: what stands at a key: its order, the version that wrote it last, and its frozen value
_Entry = tuple[int, int, object]
#: a small dict as a leaf, or sixteen nodes
_Node = dict[object, _Entry] | tuple["_Node", ...]

_LEAF, _BITS, _DEEPEST = 8, 4, 15
_WIDE = 1 << _BITS


def _build(pairs: list[tuple[object, _Entry]], depth: int) -> _Node:
    if len(pairs) <= _LEAF or depth >= _DEEPEST:
        return dict(pairs)
    parts: list[list[tuple[object, _Entry]]] = [[] for _ in range(_WIDE)]
    for pair in pairs:
        parts[hash(pair[0]) >> _BITS * depth & _WIDE - 1].append(pair)
    return tuple(_build(part, depth + 1) for part in parts)


def _with(node: _Node, key: object, entry: _Entry | None, depth: int) -> _Node:
    """The node with `entry` at `key`, or without the key when that is None. Nodes are never changed, only made."""
    if isinstance(node, tuple):
        at = hash(key) >> _BITS * depth & _WIDE - 1
        return (*node[:at], _with(node[at], key, entry, depth + 1), *node[at + 1 :])
    if entry is None:
        return {known: its for known, its in node.items() if known != key}
    bigger = {**node, key: entry}
    return _build(list(bigger.items()), depth) if len(bigger) > _LEAF else bigger


def _entries(node: _Node) -> Iterator[tuple[object, _Entry]]:
    if isinstance(node, tuple):
        for child in node:
            yield from _entries(child)
    else:
        yield from node.items()


def _differing(a: _Node, b: _Node) -> Iterator[object]:
    """The keys in two nodes whose entries may differ."""
    if a is b:
        return
    if isinstance(a, tuple) and isinstance(b, tuple):
        for one, other in zip(a, b, strict=True):
            yield from _differing(one, other)
        return
    left, right = dict(_entries(a)), dict(_entries(b))
    for key in {**left, **right}:
        if left.get(key) is not right.get(key):
            yield key


class PersistentMap:
    """One version of a persistent map of key to (order, version of the key, frozen value)."""

    __slots__ = ("_order", "_root", "count", "version")

    def __init__(self, version: int, states: Iterable[tuple[object, tuple[int, object]]] = ()) -> None:
        pairs = [(key, (order, *state)) for order, (key, state) in enumerate(states)]
        self.version, self.count, self._order, self._root = version, len(pairs), len(pairs), _build(pairs, 0)

    def after(self, version: int, states: Iterable[tuple[object, tuple[int, object] | None]]) -> PersistentMap:
        """The next version, where `states` are (key, (version, frozen value)), or (key, None) for a removed key."""
        new = PersistentMap(version)
        new._root, new._order, new.count = self._root, self._order, self.count
        for key, state in states:
            known = new.get(key)
            if state is None:
                if known is not None:
                    new._root, new.count = _with(new._root, key, None, 0), new.count - 1
                continue
            new._root = _with(new._root, key, (new._order if known is None else known[0], *state), 0)
            if known is None:
                new._order, new.count = new._order + 1, new.count + 1
        return new

    def get(self, key: object) -> _Entry | None:
        """The entry of `key`, or None."""
        node, depth = self._root, 0
        while isinstance(node, tuple):
            node = node[hash(key) >> _BITS * depth & _WIDE - 1]
            depth += 1
        return node.get(key)

    def ordered(self) -> list[tuple[object, _Entry]]:
        """The entries, oldest keys first."""
        return sorted(_entries(self._root), key=lambda pair: pair[1][0])

    def differing(self, other: PersistentMap) -> list[object]:
        """The keys that may differ from `other`'s, oldest first."""
        keys = list(_differing(self._root, other._root))
        return sorted(keys, key=lambda key: (other.get(key) or self.get(key) or (0,))[0])


class Snapshot(Mapping[Any, Any]):
    """A whole store at one version: a mapping of key to frozen value.

    Attributes
    ----------
    time : float
        Wall clock when it was taken, seconds since the epoch (UTC).
    """

    __slots__ = ("_versions", "time")

    def __init__(self, versions: PersistentMap, time: float) -> None:
        self._versions, self.time = versions, time

    @property
    def version(self) -> int:
        """The store's version when it was taken."""
        return self._versions.version

    def __getitem__(self, key: object) -> Any:
        entry = self._versions.get(key)
        if entry is None:
            raise KeyError(key)
        return entry[2]

    def __iter__(self) -> Iterator[object]:
        return iter([key for key, _ in self._versions.ordered()])

    def __len__(self) -> int:
        return self._versions.count

    def version_of(self, key: object) -> int:
        """The version that wrote `key` last; KeyError if it was not there."""
        entry = self._versions.get(key)
        if entry is None:
            raise KeyError(key)
        return int(entry[1])

    def thaw(self) -> dict[Any, Any]:
        """A plain dict of plain copies."""
        return {key: thaw(entry[2]) for key, entry in self._versions.ordered()}

    def diff(self, other: Snapshot) -> list[Difference]:
        """The changes from this snapshot to `other`; shared keys are not compared."""
        from pocketflex_nb.core.frozen.diff import compare_values

        found = []
        for key in self._versions.differing(other._versions):
            found += compare_values(self.get(key, MISSING), other.get(key, MISSING), (key,))
        return found

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self)} keys at version {self.version}>"
