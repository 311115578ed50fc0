"""How is a store shared by several kernels? A `Store` whose truth is elsewhere, and which keeps a mirror of it.

Every write goes to the place first, in one round trip, and is done when the place says so. Every read first asks for what changed
since the last one, also in one round trip, so that it sees all that was written before it; only what changed is sent. The mirror
answers for values, history and pictures.
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from pocketflex_nb.core.context import FRAME
from pocketflex_nb.core.diff import Difference
from pocketflex_nb.core.errors import EncodingError, LockLost, NotLoaded, StoreError, Unreachable
from pocketflex_nb.core.ledger import OUTSIDE, UNMARKED, Writer, add_change, writer_of
from pocketflex_nb.core.preview import preview
from pocketflex_nb.core.snapshot import MISSING, is_plain
from pocketflex_nb.core.store import Store
from pocketflex_nb.core.values import decode, encode
from pocketflex_nb.core.versions import Snapshot
from pocketflex_nb.resources.awaited import Awaited
from pocketflex_nb.resources.follow import SharedWatch, follow
from pocketflex_nb.resources.leases import Lease, fence_of, fenced
from pocketflex_nb.resources.mirror import Entry, Kept, Mirror, frozen_of
from pocketflex_nb.resources.place import Changed, Lost, Place, Row
from pocketflex_nb.resources.who import SharedWritten, who_text

__all__ = ["SharedStore"]

#: characters of a key, as it is kept
_KEY = 1_000
_EXACT = 2**53
_frame = FRAME.get
_still: ContextVar[bool] = ContextVar("pocketflex_nb_mirrored", default=False)
_T = TypeVar("_T")


class _Visit:
    """One visit of a node to the store: the version that it began to see. Stands among what the node touched, until its end."""

    __slots__ = ("is_over", "mark", "plain", "since")

    def __init__(self, since: int) -> None:
        self.since, self.is_over, self.plain = since, False, False
        self.mark: Any = UNMARKED


class SharedStore(Awaited, Store):
    """A `Store` that several kernels, processes or machines share. Made by `open_store`.

    Attributes
    ----------
    url : str
        Where it is, without secrets.
    version : int
        Number of the last change that is known here.

    Notes
    -----
    It is used as a `Store` is, and as a flow's ``shared``. What differs:

    - Values are kept as text (:mod:`pocketflex_nb.core.values`): another process reads an equal value, not the same object; what
      cannot be written is an `EncodingError` at the write. `transient` keys stay in this process.
    - Reading and writing cost a round trip each: some 50 us to a local Redis or PostgreSQL, 10 us to SQLite. They block the
      thread: plain prep and post of a launched run stand on the engine thread, so on slow networks write ``async def``
      steps and the awaited twins (`aget`, `aset`, `aupdate`, `aincrement`, `ainsert_new`, `acas`).
    - `update` calls its function again when somebody else wrote in between, each time with a fresh copy of the present value.
    - Nested changes are sent at the node's end, whatever the size. Outside of runs they are sent when something is next written, when
      the past is asked for, and by `close`: there, use `update`.
    - `lock` has a lease, and writes inside it carry its fencing token: when the lease has ended they are refused (`LockLost`).
    - The whole content is mirrored in memory.

    It is safe to use from any thread; its operations come one after the other.
    """

    def __init__(self, place: Place, reopen: Callable[..., SharedStore], **options: Any) -> None:
        super().__init__((), **options)
        self._place, self._reopen, self._closed = place, reopen, False
        self._mirror = Mirror(place.keep)
        self._mark, self._marks = uuid.uuid4().hex[:12], itertools.count(1)
        self._mine: dict[int, tuple[Writer, Any, Entry | None]] = {}
        self._names: dict[Any, str] = {}
        self._aside: dict[Any, Any] = {}
        self._readers: list[Any] = []
        self._following: Any = None
        self._finish = weakref.finalize(self, place.close)
        self._load()

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        return self._place.address.safe

    # the mirror ------------------------------------------------------------------------------------------------------
    def _load(self) -> None:
        version, rows = self._asked(lambda place: place.load())
        self._mirror.load(version, rows)
        self.version = version
        dict.clear(self)
        dict.update(self, {key: entry.value for key, entry in self._mirror.entries.items()})

    def _asked(self, ask: Callable[[Place], _T]) -> _T:
        """Ask what may be asked twice."""
        while True:
            if self._closed:
                raise self._is_closed()
            try:
                return ask(self._place)
            except Lost:
                self._place.reopen()

    def _is_closed(self) -> StoreError:
        return StoreError(f"the store {self.url} is closed; open it again: open_store(...)")

    def _pull(self) -> None:
        """Take in what was written since."""
        if _still.get():
            return
        with self._lock:
            known = self._mirror.version
            if self._closed:
                raise self._is_closed()
            try:
                version, rows = self._place.since(known)
            except Lost:
                version, rows = self._asked(lambda place: place.since(known))
            if version != known or rows:
                self._take_in(known, version, rows)
        if self._outbox:
            self._deliver()

    def _take_in(self, known: int, version: int, rows: list[Row]) -> None:
        if rows and rows[0][0] == known + 1:
            for row in rows:
                self._apply(row, self._mine.pop(row[0], None))
        else:  # too long ago, or the place was emptied
            self._mine.clear()
            self._load()

    def _apply(self, row: Row, own: tuple[Writer, Any, Entry | None] | None) -> None:
        kept = self._mirror.apply(row, own)
        if row[0] > self.version:
            self.version = row[0]
        if row[2] is None:
            dict.pop(self, kept.key, None)
        else:
            dict.__setitem__(self, kept.key, self._mirror.entries[kept.key].value)
        if self._readers:
            self._publish_kept(kept)

    def _name(self, key: Any) -> str:
        """A key as text. Keys that are equal have one text, as in a dict: 1, 1.0 and True."""
        try:
            return self._names[key]
        except KeyError:
            pass
        plain = int(key) if key.__class__ in (bool, float) and key == int(key) else key
        name = encode(plain, at=(key,))
        if len(name) > _KEY:
            raise EncodingError(f"a key of {len(name)} characters; at most {_KEY}: keep it shorter, and the text as a value", path=(key,))
        if len(self._names) > 100_000:
            self._names.clear()
        self._names[key] = name
        return name

    @contextmanager
    def mirrored(self) -> Iterator[None]:
        """Inside, reads answer from the mirror with no round trip: what was known last, which `follow` keeps fresh."""
        token = _still.set(True)
        try:
            yield
        finally:
            _still.reset(token)

    def follow(self) -> None:
        """Have a thread keep the mirror fresh, and tell those who watch. Calling it twice does nothing."""
        self._deep()
        with self._lock:
            if self._following is None or not self._following.is_alive():
                self._following = follow(self)

    # reading ---------------------------------------------------------------------------------------------------------
    def _seen(self) -> _Visit | None:
        """Ask for what is new; the visit of the node in flight, begun now if this is the first it asks."""
        frame = _frame()
        if frame is None:
            self._pull()
            return None
        self._pull()
        visits = frame.__dict__.setdefault("visits", {})
        visit: _Visit | None = visits.get(id(self))
        if visit is None or visit.is_over:
            visit = visits[id(self)] = _Visit(self._mirror.version)
            self._touch(visit)  # type: ignore[arg-type]  # of a Cell's, only `mark` and `plain` are asked
        return visit

    def _entry(self, key: Any) -> Entry | None:
        self._seen()
        return self._mirror.entries.get(key)

    def _live(self, entry: Entry) -> Any:
        if not entry.plain:
            if not entry.is_whole:
                self._read_again(entry)
            if entry.mark is not _frame():
                self._touch(entry)  # type: ignore[arg-type]  # as above
        return entry.value

    def _read_again(self, entry: Entry) -> None:
        """A class was not loaded when the value came; perhaps it is now."""
        try:
            entry.value, entry.is_whole = decode(entry.text), True
        except NotLoaded as exc:
            exc.add_note(f"read from {entry.key!r} of the store {self.url}")
            raise
        dict.__setitem__(self, entry.key, entry.value)

    def __getitem__(self, key: Any) -> Any:
        if self._aside and key in self._aside:
            return self._aside[key]
        entry = self._entry(key)
        if entry is None:
            raise KeyError(key)
        return self._live(entry)

    def get(self, key: Any, default: Any = None, /) -> Any:
        """The value of `key`, or `default`."""
        if key in self._aside:
            return self._aside[key]
        entry = self._entry(key)
        return default if entry is None else self._live(entry)

    def __contains__(self, key: object) -> bool:
        return key in self._aside or self._entry(key) is not None

    def _whole(self) -> dict[Any, Any]:
        """A plain dict of what is there now; the values are the live ones."""
        self._seen()
        with self._lock:
            for entry in self._mirror.entries.values():
                if not entry.is_whole:
                    try:
                        self._read_again(entry)
                    except NotLoaded:  # shown as it is
                        pass
            return dict(dict.items(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole())

    def __reversed__(self) -> Iterator[Any]:
        return iter([*self._whole()][::-1])

    def __len__(self) -> int:
        self._seen()
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
        return self is other or self._whole() == (other._whole() if isinstance(other, SharedStore) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # as a dict

    def __repr__(self) -> str:
        names = [preview(key, 40) for key in itertools.islice(list(dict.keys(self)), 8)]
        more = f", {dict.__len__(self) - 8} more" if dict.__len__(self) > 8 else ""
        return f"<Store {self.url} at version {self.version}: {', '.join(names) + more if names else 'empty'}>"

    # writing ---------------------------------------------------------------------------------------------------------
    def _send(self, key: Any, text: str | None, frame: Any, expect: int | None, live: Any = None, entry: Entry | None = None) -> None:
        """Write one key, and take it in; raises `Changed` when it is not at version `expect`."""
        name, mark = self._name(key), f"{self._mark}.{next(self._marks)}"
        who, fence = who_text(frame, mark), fence_of(self._mark)
        if self._closed:
            raise self._is_closed()
        if frame is None and self._loose:
            self._flush()
        with self._lock:
            try:
                version = self._place.write(name, text, who, expect, fence)
            except LockLost as exc:
                raise self._fenced(exc, key) from None
            except Lost:
                version = self._again(mark, lambda: self._place.write(name, text, who, expect, fence))
            self._own((version, name, text, who), live, frame, entry)
        if self._outbox:
            self._deliver()

    def _fenced(self, lost: LockLost, key: Any) -> LockLost:
        name = decode(str(lost))
        return LockLost(
            f"the write of {key!r} to {self.url} was refused: lock({name!r}) is no longer held with the token of this writer, its lease "
            "has ended; take the lock again and read again what stands there, or give it a longer lease="
        )

    def _again(self, mark: str, send: Callable[[], int]) -> int:
        """The connection broke in the middle of a write: find out whether it was done, and do it if it was not."""
        for _ in range(5):
            self._place.reopen()
            try:
                known = self._mirror.version
                version, rows = self._place.since(known)
                if version != known and not (rows and rows[0][0] == known + 1):
                    break
                done = [row for row in rows if mark in row[3]]
                return done[0][0] if done else send()
            except Lost:
                continue
        raise Unreachable(
            f"the connection to {self.url} broke while a value was being written, and whether it was written cannot be told; "
            "read it before writing again", url=self.url, host=self._place.address.host, port=self._place.address.port,
        )

    def _own(self, row: Row, live: Any, frame: Any, entry: Entry | None) -> None:
        """Take in a change that was made here. The lock is held."""
        writer = writer_of(frame, self._ledger.unresolved)
        before = self._mirror.entries.get(self._mirror.key(row[1])) if frame is not None else None
        old = MISSING if before is None else before.frozen
        own = (writer, live, entry)
        if row[0] == self._mirror.version + 1:
            self._apply(row, own)
        else:
            self._mine[row[0]] = own
            self._place.wake()
            if not is_plain(live):  # its nested changes are looked for from now on
                self._pull()
        if frame is not None:
            self._note_change(row, old, writer, frame)

    def _note_change(self, row: Row, old: Any, writer: Writer, frame: Any) -> None:
        """Have the run's log list the change."""
        version, name, text, _ = row
        key = self._mirror.key(name)
        now = self._mirror.entries.get(key)
        new = now.frozen if now is not None and now.text == text else frozen_of(text)
        record = [version, key, "delete" if text is None else "set", old, new, writer, 0, time.time(), 0]
        add_change(frame, record, 0)

    def _encoded(self, key: Any, value: Any) -> str:
        for _ in range(20):
            try:
                return encode(value, at=(key,))
            except RuntimeError:  # changed by another thread meanwhile
                time.sleep(0)
        return encode(value, at=(key,))

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in self._transient:
            self._set_aside(key, value)
            return
        frame = _frame()
        if self._is_late(frame):
            return
        text = self._encoded(key, value)
        visit = self._seen() if frame is not None else None
        before = self._mirror.entries.get(key)
        while True:
            other, expect, merged = None, None, value
            if visit is not None and getattr(frame.run, "store", None) is self:
                other, expect = self._other_since(key, visit.since, frame)
                if other is not None and self._merge and key in self._merge:
                    base = self._mirror.after(max(visit.since, self._mirror.floor)).get(key)
                    merged, other = self._merged_with(key, value, base), None
                    text = self._encoded(key, merged)
                elif other is not None and self._on_conflict == "raise":
                    self._tell(key, frame, other, False)
            try:
                self._send(key, text, frame, expect, merged)
                break
            except Changed:
                self._pull()
        touched = self._loose if frame is None else frame.touched
        if touched and before is not None:
            touched.pop(before, None)  # type: ignore[call-overload]  # what was changed in the value before is written over
        entry = self._mirror.entries.get(key)
        if entry is not None and not entry.plain and entry.value is merged:
            self._touch(entry)  # type: ignore[arg-type]  # as above
        if other is not None:
            self._tell(key, frame, other, True)

    def _set_aside(self, key: Any, value: Any) -> None:
        self._aside[key] = value
        dict.__setitem__(self, key, value)

    def _other_since(self, key: Any, since: int, frame: Any) -> tuple[Writer | None, int]:
        """Who else wrote `key` after version `since`, and the version that it has now."""
        entry = self._mirror.entries.get(key)
        version, writer = self._mirror.gone.get(key, (0, OUTSIDE)) if entry is None else (entry.version, entry.writer)
        is_lost = version > since and writer is not OUTSIDE and not writer.is_related(frame)
        return (writer.resolve() if is_lost else None), 0 if entry is None else version

    def _merged_with(self, key: Any, mine: Any, base: Any) -> Any:
        """What the rule of `key` makes of what stands there, and what is written; `base` is the text that stood there before."""
        assert self._merge is not None
        rule, takes_base = self._merge[key]
        entry = self._mirror.entries.get(key)
        if entry is None:
            return mine
        theirs = decode(entry.text)
        if not takes_base:
            return rule(theirs, mine)
        return rule(decode(base) if isinstance(base, str) else None, theirs, mine)

    def _remove(self, key: Any, check: bool) -> Any:
        if key in self._aside:
            dict.pop(self, key, None)
            return self._aside.pop(key)
        frame = _frame()
        visit = self._seen()
        while True:
            entry = self._mirror.entries.get(key)
            if entry is None:
                raise KeyError(key)
            if self._is_late(frame):
                return entry.value
            other = None
            if check and visit is not None and getattr(frame.run, "store", None) is self:
                other, _ = self._other_since(key, visit.since, frame)
                if other is not None and self._on_conflict == "raise":
                    self._tell(key, frame, other, False)
            try:
                self._send(key, None, frame, entry.version)
            except Changed:
                self._pull()
                continue
            if other is not None:
                self._tell(key, frame, other, True)
            return self._value_of(entry)

    def _value_of(self, entry: Entry) -> Any:
        return entry.value if entry.is_whole else decode(entry.text)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the newest key and give it with its value."""
        while True:
            keys = list(self._whole())
            if not keys:
                raise KeyError("popitem(): dictionary is empty")
            try:
                return keys[-1], self._remove(keys[-1], check=False)
            except KeyError:  # somebody else was quicker
                continue

    def _change(self, key: Any, fn: Callable[[Any], Any], default: Any) -> Any:
        frame = _frame()
        if key in self._transient:
            value = fn(self._aside.get(key, default))
            self._set_aside(key, value)
            return value
        turn = 0
        while True:
            self._seen()
            entry = self._mirror.entries.get(key)
            value = default if entry is None else decode(entry.text)
            if self._is_late(frame):
                return value
            value = fn(value)
            try:
                self._send(key, self._encoded(key, value), frame, 0 if entry is None else entry.version, value)
                return value
            except Changed:
                turn += 1
                time.sleep(random.uniform(0, min(0.05, 0.0005 * 2**turn)))

    def increment(self, key: Any, n: Any = 1, limit: Any = None, reset: Any = None) -> Any:
        """Add `n` atomically and give the new value, as `Store.increment` does; one round trip, whoever else adds meanwhile."""
        frame = _frame()
        if key in self._transient or not (_is_small(n) and (limit is None or (_is_small(limit) and (reset is None or _is_small(reset))))):
            return super().increment(key, n, limit, reset)
        if self._closed or self._is_late(frame):
            return self._change(key, lambda value: value, 0)
        if frame is not None:
            self._seen()
        name, mark = self._name(key), f"{self._mark}.{next(self._marks)}"
        who, fence = who_text(frame, mark), fence_of(self._mark)
        with self._lock:
            try:
                added = self._place.add(name, n, limit, reset, who, fence)
            except LockLost as exc:
                raise self._fenced(exc, key) from None
            except Lost:
                return self[key] if self._was_added(mark) else super().increment(key, n, limit, reset)
            if added is None:
                return super().increment(key, n, limit, reset)
            version, text = added
            value = int(text) if text.isdigit() else decode(text)
            if frame is None and not self._following:  # the mirror takes it in when it is next asked
                self.version = max(self.version, version)
                return value
            self._own((version, name, text, who), value, frame, None)
        if self._outbox:
            self._deliver()
        return value

    def _was_added(self, mark: str) -> bool:
        """Whether the sum that was sent when the connection broke has been made."""

        def refuse() -> int:
            raise _NotDone

        try:
            self._again(mark, refuse)
        except _NotDone:
            return False
        return True

    def insert_new(self, key: Any, value: Any) -> bool:
        """Set `key` unless it is there already; whether it was set. Atomic."""
        frame = _frame()
        if self._is_late(frame) or key in self._aside:
            return False
        if key in self._transient:
            self._set_aside(key, value)
            return True
        self._seen()
        try:
            self._send(key, self._encoded(key, value), frame, 0, value)
        except Changed:
            return False
        return True

    def cas(self, key: Any, old: Any, new: Any) -> bool:
        """Set `key` to `new` if it is equal to `old`; whether it was set. False when it is missing. Atomic."""
        frame = _frame()
        while True:
            entry = self._entry(key)
            if entry is None or not bool(self._value_of(entry) == old) or self._is_late(frame):
                return False
            try:
                self._send(key, self._encoded(key, new), frame, entry.version, new)
                return True
            except Changed:
                continue

    # nested changes --------------------------------------------------------------------------------------------------
    def _catch_up(self) -> None:
        super()._catch_up()
        self._pull()

    def _flush(self) -> None:
        """Send the nested changes that were made outside of runs."""
        loose, self._loose = self._loose, None
        for cell in loose or ():
            cell.mark = UNMARKED
            self._look(cell, None)

    def _look(self, cell: Any, frame: Any) -> None:
        if cell.__class__ is _Visit:
            cell.is_over = cell.mark is UNMARKED
            return
        if cell.plain or (frame is not None and self._is_late(frame)):
            return
        try:
            text = self._encoded(cell.key, cell.value)
        except EncodingError:
            self._put_back(cell)
            raise
        if text != cell.text:
            self._send_nested(cell, text, frame)

    def _put_back(self, cell: Any) -> None:
        """Have the live value be again what is kept: what was changed in it cannot be."""
        with self._lock:
            current: Any = self._mirror.entries.get(cell.key)
            if current is cell:
                cell.holds(decode(cell.text, unloaded="keep"), cell.text, cell.version, cell.who, cell.writer)
                dict.__setitem__(self, cell.key, cell.value)

    def _send_nested(self, cell: Any, text: str, frame: Any) -> None:
        """Send a value that was changed in place, or what a rule makes of it and of what stands there by now."""
        key, value = cell.key, cell.value
        rule = self._merge is not None and key in self._merge
        while True:
            current = self._mirror.entries.get(key)
            is_lost = current is not cell
            if is_lost and self._is_settled(key, current, frame):
                return
            if is_lost and rule:
                value = self._merged_with(key, cell.value, cell.text)
                text = self._encoded(key, value)
            try:
                self._send(key, text, frame, 0 if current is None else current.version, value, None if is_lost and rule else cell)
            except Changed:
                self._pull()
                continue
            if is_lost and not rule and current is not None and frame is not None:
                self._tell(key, frame, current.writer.resolve(), True)
            return

    def _is_settled(self, key: Any, current: Entry | None, frame: Any) -> bool:
        """The key was written or deleted since the value was read; whether nothing of the nested change is to be sent any more."""
        if current is None:
            return True  # deleted meanwhile
        writer = current.writer
        if writer is OUTSIDE or (frame is not None and writer.is_related(frame)):
            return True
        if self._on_conflict == "raise" and frame is not None and not (self._merge and key in self._merge):
            self._tell(key, frame, writer.resolve(), False)
        return False

    # the past --------------------------------------------------------------------------------------------------------
    def _deep(self) -> Mirror:
        """The mirror, with all the past that is kept."""
        self._catch_up()
        mirror = self._mirror
        if mirror.is_shallow and not _still.get():
            with self._lock:
                mirror.deepen(self._asked(lambda place: place.past(mirror.floor)))
        return mirror

    def who(self, key: Any) -> SharedWritten:
        """Who wrote `key` last, when, and in which kernel; KeyError if it is not there."""
        self._catch_up()
        with self._lock:
            return self._mirror.written(key)

    def history(self, key: Any = MISSING) -> list[Any]:
        """The kept changes of `key`, or of all keys, by whichever kernel, oldest first."""
        mirror = self._deep()
        with self._lock:
            return mirror.history(key)

    def snapshot(self) -> Snapshot:
        """The whole store as it is now, frozen."""
        self._catch_up()
        with self._lock:
            return Snapshot(self._mirror.versions(), time.time())

    def at(self, version: int) -> dict[Any, Any]:
        """A plain copy of the store as it was when its `version` was that number; `StoreError` if that is no longer kept."""
        mirror = self._deep()
        with self._lock:
            return mirror.at(version)

    def diff(self, a: int | Snapshot, b: int | Snapshot | None = None) -> list[Difference]:
        """What changed from `a` to `b`, versions or snapshots; `b` is now when it is left out."""
        if isinstance(a, Snapshot) and (b is None or isinstance(b, Snapshot)):
            return a.diff(self.snapshot() if b is None else b)
        mirror = self._deep()
        with self._lock:
            last = mirror.version if b is None else b.version if isinstance(b, Snapshot) else b
            return mirror.diff(a.version if isinstance(a, Snapshot) else a, last)

    # others ----------------------------------------------------------------------------------------------------------
    def lock(  # type: ignore[override]  # with a lease
        self, key: Any, *, timeout: float | None = None, lease: float = 30.0, renew: bool = True
    ) -> Lease:
        """A lock named `key` for all who share the store, for ``with`` in threads and ``async with`` on any loop.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; `TimeoutError` after that.
        lease : float
            Seconds after which the lock ends when its holder is killed or stopped.
        renew : bool
            Have a thread renew the lease while the holder lives; False bounds the time under the lock.

        Notes
        -----
        Writes of the same task or thread inside ``with`` carry the lock's token; once the lease has ended, or somebody else has the
        lock, they raise `LockLost` and change nothing. `fenced` does the same for another thread or process. Who waits asks every
        20 ms; the order among those who wait is not kept.
        """
        return Lease(self, key, self._name(key), timeout=timeout, lease=lease, renew=renew)

    def fenced(self, key: Any, token: int) -> AbstractContextManager[None]:
        """Inside, writes are refused unless lock `key` is held with `token`, as it was given by ``with store.lock(key) as lock``."""
        return fenced(self._mark, key, self._name(key), token)

    def watch(self, *keys: Any, limit: int = 1_000) -> SharedWatch:
        """An iterator of the changes of `keys`, or of all keys, from now on: ``async for``, or ``for`` in a thread.

        Notes
        -----
        Changes by other processes arrive within milliseconds, those in a SQLite file within 40 ms. Changes of one key that were not
        read yet become one.
        """
        watch = SharedWatch(keys, limit, self._forget)
        self._listen(watch)
        return watch

    def _listen(self, listener: Any) -> None:
        self._pull()
        with self._lock:
            self._readers = [*self._readers, listener.reference()]
        self.follow()

    def _forget(self, listener: Any) -> None:
        with self._lock:
            self._readers = [known for known in self._readers if known() is not None and known() is not listener]

    def _publish_kept(self, kept: Kept) -> None:
        """Hand a change to those who listen. The lock is held; nobody is waited for."""
        for reference in self._readers:
            listener = reference()
            if listener is None:
                self._forget(None)
            elif listener.wants(kept.key) and not listener.push(kept.change):
                self._outbox = self._outbox if self._outbox is not None else deque()
                self._outbox.append((listener, kept.change))

    def close(self) -> None:
        """Let go of connections and files; what is kept stays. Closing twice does nothing."""
        if not self._closed:
            try:
                if self._loose:
                    self._flush()
            finally:
                self._closed = True
                for reference in self._readers:
                    listener = reference()
                    if isinstance(listener, SharedWatch):
                        listener.close()
                self._finish()

    def __enter__(self) -> SharedStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def copy(self) -> Store:
        """A `Store` of this process with the same keys and values."""
        return Store(self._whole())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Store:
        return Store({key: decode(entry.text) for key, entry in self._mirror.entries.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reopen, (self._place.address, self._place.keep, self._options())


class _NotDone(Exception):
    """What was sent before the connection broke has not been done."""


def _is_small(number: Any) -> bool:
    return number.__class__ in (int, float) and -_EXACT <= number <= _EXACT
