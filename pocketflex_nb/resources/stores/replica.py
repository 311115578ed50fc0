"""The replica of a store that is kept elsewhere: its entries and its last changes, as texts that are decoded on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from pocketflex_nb.core.codec.decoder import decode, is_whole
from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.frozen.diff import Difference, compare_values
from pocketflex_nb.core.frozen.freezer import MISSING, Freezer, Opaque, is_plain
from pocketflex_nb.core.frozen.persistent_map import PersistentMap
from pocketflex_nb.core.store.bounded_copies import WRITTEN_BOUND
from pocketflex_nb.core.store.change_log import FORGOTTEN
from pocketflex_nb.core.store.key_state import UNTRACKED, Tracking
from pocketflex_nb.core.store.writer import Writer
from pocketflex_nb.resources.stores.backends.backend import ChangeRow, checked_row
from pocketflex_nb.resources.stores.key_encoding import key_of
from pocketflex_nb.resources.stores.provenance import Elsewhere, SharedChange, SharedWritten, read_who

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.changes import Change

__all__ = ["OwnWrite", "PastChange", "Replica", "ReplicaEntry", "frozen_of"]



class _Unread(Enum):
    """Stands for what was not decoded, or is not known."""

    UNREAD = "not read"


_UNREAD = _Unread.UNREAD
#: the text of a value; None for a missing key
_Text = str | None | Literal[_Unread.UNREAD]
_CONTAINERS = frozenset({dict, list})


def frozen_of(text: str | None) -> object:
    """The frozen value of a text; `MISSING` for None."""
    if text is None:
        return MISSING
    value = decode(text, unloaded="keep")
    try:
        return Freezer(WRITTEN_BOUND).freeze(value, MISSING)
    except Exception:  # too large, or a class that cannot be frozen: one entry that is told by its size
        return Opaque(type(value), f"<{type(value).__name__} of {len(text):,} characters>")


class ReplicaEntry:
    """One key: the live value, the text that the backend keeps for it, and its writer.

    Attributes
    ----------
    plain : bool
        Whether the value can never change in place.
    is_whole : bool
        Whether nothing in it is of a class that is not loaded here.
    tracked_by : object
        The frame that has it among what to look at again, as for a core `KeyState`.
    """

    __slots__ = ("_frozen", "is_whole", "key", "plain", "text", "tracked_by", "value", "version", "who", "writer")

    copies = None  # what is kept elsewhere is merged where it is kept

    def __init__(self, key: object) -> None:
        self.key = key
        self.tracked_by: WalkFrame | Tracking | None = UNTRACKED

    def holds(self, value: object, text: str, version: int, who: str, writer: Writer) -> ReplicaEntry:
        """Take over a new value."""
        self.value, self.text, self.version, self.who, self.writer = value, text, version, who, writer
        self.plain = type(value) not in _CONTAINERS and is_plain(value)
        self._frozen: object = _UNREAD
        self.is_whole = type(value) is not Unloaded and (self.plain or '"$"' not in text or is_whole(value))
        return self

    def reload(self) -> None:
        """Decode the value anew: the object that was changed in place is given up."""
        self.holds(decode(self.text, unloaded="keep"), self.text, self.version, self.who, self.writer)

    @property
    def frozen(self) -> object:
        """The frozen value, as it is stored."""
        if self._frozen is _UNREAD:
            self._frozen = self.value if self.plain else frozen_of(self.text)
        return self._frozen


class PastChange:
    """One past change; `old` is the text before, None for a missing key, `_UNREAD` when it is unknown."""

    __slots__ = ("_change", "key", "old", "row")

    def __init__(self, key: object, old: _Text, row: ChangeRow) -> None:
        self.key, self.old, self.row = key, old, row
        self._change: SharedChange | None = None

    @property
    def change(self) -> SharedChange:
        """As people read it."""
        if self._change is None:
            version, _, text, told = self.row
            who = read_who(told)
            old = FORGOTTEN if self.old is _UNREAD else frozen_of(self.old)
            self._change = SharedChange(
                self.key, version, "delete" if text is None else "set", old, frozen_of(text), who.run, who.node, who.step, who.time,
                who.kernel,
            )
        return self._change


#: a change that this store object made: its writer, the live value, and the entry that was changed in place
OwnWrite = tuple[Writer, object, ReplicaEntry | None]


class Replica:
    """The entries and the history of one store. Its user holds a lock around it.

    Attributes
    ----------
    entries : dict
        Key to `ReplicaEntry`.
    gone : dict
        Key to the version that deleted it and who did.
    version, floor : int
        What is known: the changes after `floor`, up to `version`.
    strange : dict
        Text to key, of keys of a class that is not loaded here.
    """

    def __init__(self, keep: int) -> None:
        self.entries: dict[object, ReplicaEntry] = {}
        self.gone: dict[object, tuple[int, Writer]] = {}
        self.kept: deque[PastChange] = deque(maxlen=keep)
        self.version = self.floor = 0
        self._keys: dict[str, object] = {}
        self.strange: dict[str, object] = {}
        self._is_deep = False
        self._versions: PersistentMap | None = None

    def load(self, version: int, rows: Iterable[ChangeRow]) -> None:
        """Start again from the present entries."""
        self.entries = {}
        self.gone = {}
        self.kept.clear()
        self.version = self.floor = version
        self._is_deep, self._versions = False, None
        for row in rows:
            at, name, text, who = checked_row(row)
            if text is not None:
                self._hold(name, text, at, who)

    def key(self, name: str) -> object:
        """The key for a text."""
        key = self._keys.get(name)
        if key is None:
            if len(self._keys) > 100_000:
                self._keys.clear()
            key = self._keys[name] = key_of(name)
            if not is_whole(key):
                self.strange[name] = key
        return key

    def name_again(self) -> bool:
        """Decode again the keys whose class was not loaded here, or has changed. Returns whether there were any."""
        named = {}
        for name, strange in self.strange.items():
            key = key_of(name)
            if is_whole(key):
                named[strange] = self._keys[name] = key
        if not named:
            return False
        self.strange = {name: key for name, key in self.strange.items() if key not in named}
        self.entries = {named.get(key, key): entry for key, entry in self.entries.items()}
        self.gone = {named.get(key, key): gone for key, gone in self.gone.items()}
        for entry in self.entries.values():
            entry.key = named.get(entry.key, entry.key)
        for kept in self.kept:
            kept.key = named.get(kept.key, kept.key)
        self._versions = None
        return True

    def _hold(self, name: str, text: str, version: int, who: str) -> ReplicaEntry:
        entry = self._read(name, text, version, who)
        self.entries[entry.key] = entry
        return entry

    def _read(self, name: str, text: str, version: int, who: str) -> ReplicaEntry:
        """An entry from a backend's row; a row that cannot be decoded does not affect the others."""
        key = self.key(name)
        try:
            return ReplicaEntry(key).holds(decode(text, unloaded="keep"), text, version, who, Elsewhere(who))
        except Exception as exc:  # it was decoded, and cannot be looked at
            return ReplicaEntry(key).holds(Unloaded.of_text(text, f"{type(exc).__name__}"), text, version, who, Elsewhere(who))

    def apply(self, row: ChangeRow, own: OwnWrite | None = None) -> PastChange:
        """Take in the next change; `own` if this store object made it: writer, live value, and the entry it changed in place."""
        version, name, text, who = row = checked_row(row)
        key = self.key(name)
        fresh = self._read(name, text, version, who) if text is not None and own is None else None  # first, then it is registered
        before = self.entries.get(key)
        kept = PastChange(key, None if before is None else before.text, row)
        if len(self.kept) == self.kept.maxlen:
            self.floor = self.kept[0].row[0]
        self.kept.append(kept)
        self.version = version
        if text is None:
            self.entries.pop(key, None)
            self.gone[key] = version, own[0] if own is not None else Elsewhere(who)
            if len(self.gone) > 10_000:
                del self.gone[next(iter(self.gone))]
            return kept
        if self.gone:
            self.gone.pop(key, None)
        if fresh is not None:
            self.entries[key] = fresh
        elif own is not None:
            writer, value, entry = own
            self.entries[key] = (entry or ReplicaEntry(key)).holds(value, text, version, who, writer)
        return kept

    def deepen(self, rows: Iterable[ChangeRow]) -> None:
        """Prepend what is known of earlier changes."""
        self._is_deep = True
        rows = [row for row in rows if row[0] <= self.floor]
        room = (self.kept.maxlen or 0) - len(self.kept)
        rows = rows[max(len(rows) - room, 0) :]
        if not rows:
            return
        known: dict[str, str | None] = {}
        unknown = None if rows[0][0] == 1 else _UNREAD
        older = []
        for row in rows:
            older.append(PastChange(self.key(row[1]), known.get(row[1], unknown), row))
            known[row[1]] = row[2]
        self.kept.extendleft(reversed(older))
        self.floor = rows[0][0] - 1

    @property
    def is_shallow(self) -> bool:
        """Whether there may be earlier changes that were not asked for."""
        return not self._is_deep and self.floor > 0 and len(self.kept) < (self.kept.maxlen or 0)

    # the past --------------------------------------------------------------------------------------------------------
    def written(self, key: object) -> SharedWritten:
        """The last writer of `key`."""
        entry = self.entries[key]
        who = read_who(entry.who)
        return SharedWritten(entry.version, who.run, who.node, who.step, who.time, who.kernel)

    def history(self, key: object) -> list[Change]:
        """The kept changes of `key`, or of all for `MISSING`, oldest first."""
        return [kept.change for kept in self.kept if key is MISSING or kept.key == key]

    def after(self, version: int) -> dict[object, _Text]:
        """For the keys that were written after `version`, their texts then (None: missing)."""
        if not isinstance(version, int) or not 0 <= version <= self.version:
            raise StoreError(f"version {version!r} of a store at version {self.version}: a number from 0 to {self.version}")
        if version < self.floor:
            raise StoreError(
                f"version {version} is no longer kept, the history begins at {self.floor}; keep more: "
                f"open_store(..., history=...), now {self.kept.maxlen}"
            )
        texts: dict[object, _Text] = {}
        for kept in reversed(self.kept):
            if kept.row[0] <= version:
                break
            texts[kept.key] = kept.old
        return texts

    def at(self, version: int) -> dict[Any, Any]:
        """A plain copy of the content at `version`."""
        past = self.after(version)
        texts = {key: past.pop(key, entry.text) for key, entry in self.entries.items()} | past
        return {
            key: FORGOTTEN if text is _UNREAD else decode(text, unloaded="keep") for key, text in texts.items() if text is not None
        }

    def diff(self, a: int, b: int) -> list[Difference]:
        """The changes from version `a` to `b`."""
        first, last = self.after(a), self.after(b)
        found = []
        for key in [*reversed(first), *(key for key in reversed(last) if key not in first)]:
            entry = self.entries.get(key)
            now = None if entry is None else entry.text
            old, new = (FORGOTTEN if text is _UNREAD else frozen_of(text) for text in (first.get(key, now), last.get(key, now)))
            found += compare_values(old, new, (key,))
        return found

    def versions(self) -> PersistentMap:
        """The whole present content; what did not change since the last call is shared with it."""
        known = self._versions
        if known is None or known.version < self.floor:
            states: Iterable[tuple[object, tuple[int, object]]] = (
                (key, (entry.version, entry.frozen)) for key, entry in self.entries.items()
            )
            self._versions = PersistentMap(self.version, states)
        elif known.version != self.version:
            changed = {kept.key: None for kept in self.kept if kept.row[0] > known.version}
            self._versions = known.after(self.version, ((key, self._state(key)) for key in changed))
        assert self._versions is not None
        return self._versions

    def _state(self, key: object) -> tuple[int, object] | None:
        entry = self.entries.get(key)
        return None if entry is None else (entry.version, entry.frozen)
