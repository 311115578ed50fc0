"""Reads of a shared store: those of a dict, each of which first asks the backend for changes."""

from __future__ import annotations

import itertools
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import DecodingError
from pocketflex_nb.core.store.key_state import UNTRACKED
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.resources.stores.replica import Entry
from pocketflex_nb.resources.stores.replication import REPLICA_ONLY, Replication

__all__ = ["ReadMark", "Readable"]

_frame = CURRENT_FRAME.get


class ReadMark:
    """One visit of a node to the store: the version that it saw first. Registered with what the node touched, until its end."""

    __slots__ = ("is_over", "plain", "since", "tracked_by")
    copies = None

    def __init__(self, since: int) -> None:
        self.since, self.is_over, self.plain = since, False, False
        self.tracked_by: Any = UNTRACKED


class Readable(Replication):
    """A dict's reading methods."""

    def _refresh(self) -> ReadMark | None:
        """Ask the backend for changes; returns the visit of the current node, which begins now if this is its first access."""
        frame = _frame()
        if frame is None:
            self._pull()
            return None
        self._pull()
        read_marks = frame.__dict__.setdefault("read_marks", {})
        mark: ReadMark | None = read_marks.get(id(self))
        if mark is None or mark.is_over:
            mark = read_marks[id(self)] = ReadMark(self._replica.version)
            self._touch(mark)  # type: ignore[arg-type]  # of a Cell's, only `mark` and `plain` are asked
        return mark

    def _entry(self, key: Any) -> Entry | None:
        self._refresh()
        return self._replica.entries.get(key)

    def _asking(self) -> Any:
        """The frame of the current node; None outside of any, and while reads use the replica alone."""
        return None if REPLICA_ONLY.get() else _frame()

    def _live(self, entry: Entry) -> Any:
        if not entry.plain:
            if not entry.is_whole:
                self._read_again(entry)
            if entry.tracked_by is not _frame():
                self._touch(entry)  # type: ignore[arg-type]  # as above
        return entry.value

    def _read_again(self, entry: Entry) -> None:
        """Decode again a value whose class was not loaded when it came, or had other fields."""
        entry.value, entry.is_whole = self._decoded(entry), True
        dict.__setitem__(self, entry.key, entry.value)

    def _decoded(self, entry: Entry) -> Any:
        """A newly decoded value; an error names its position."""
        try:
            return decode(entry.text)
        except DecodingError as exc:
            exc.add_note(f"read from {entry.key!r} of the store {self.url}")
            raise

    def __getitem__(self, key: Any) -> Any:
        if self._transient_values and key in self._transient_values:
            return self._transient_values[key]
        entry = self._entry(key)
        if entry is None:
            raise KeyError(key)
        return self._live(entry)

    def get(self, key: Any, default: Any = None, /) -> Any:
        """The value of `key`, or `default`."""
        if key in self._transient_values:
            return self._transient_values[key]
        entry = self._entry(key)
        return default if entry is None else self._live(entry)

    def __contains__(self, key: object) -> bool:
        return key in self._transient_values or self._entry(key) is not None

    def _whole(self) -> dict[Any, Any]:
        """A plain dict of the present content; the values are the live ones."""
        self._refresh()
        with self._lock:
            for entry in self._replica.entries.values():
                if not entry.is_whole:
                    try:
                        self._read_again(entry)
                    except DecodingError:  # shown as it is
                        pass
            return dict(dict.items(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole())

    def __reversed__(self) -> Iterator[Any]:
        return iter([*self._whole()][::-1])

    def __len__(self) -> int:
        self._refresh()
        return dict.__len__(self)

    def keys(self) -> KeysView[Any]:  # type: ignore[override]  # of a copy: others write meanwhile
        """The keys now."""
        return self._whole().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # as above
        """The values now."""
        return self._whole().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # as above
        """The keys with their values now."""
        return self._whole().items()

    def __eq__(self, other: object) -> bool:
        return self is other or self._whole() == (other._whole() if isinstance(other, Readable) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # as a dict

    def __repr__(self) -> str:
        names = [value_text(key, 40) for key in itertools.islice(list(dict.keys(self)), 8)]
        more = f", {dict.__len__(self) - 8} more" if dict.__len__(self) > 8 else ""
        return f"<Store {self.url} at version {self.version}: {', '.join(names) + more if names else 'empty'}>"
