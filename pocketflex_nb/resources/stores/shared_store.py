"""`SharedStore`: a `Store` shared by several kernels, kept by a backend and replicated here.

Every write goes to the backend first, in one round trip, and is done when the backend confirms it. Every read first asks for what
changed since the last one, also in one round trip, so that it sees all that was written before it; only what changed is sent. The
replica serves values, history and pictures.

The class is the verbs; what they need stands beside it: `Replication` (the replica and the transport to the backend), `ConflictRule`
(lost updates and merge rules), `retrying` (the loop of every read-modify-write), `Twin` (the copies of nodes that run in parallel).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.errors import EncodingError
from pocketflex_nb.core.frozen.copies import NotCopied
from pocketflex_nb.core.frozen.freezer import MISSING, thaw
from pocketflex_nb.core.store.change_log import Record
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState
from pocketflex_nb.core.store.watch import Listeners, StoreListener
from pocketflex_nb.core.store.writer import OUTSIDE, Writer
from pocketflex_nb.resources.stores.async_api import AsyncApi
from pocketflex_nb.resources.stores.backends.backend import StoreBackend, VersionConflict
from pocketflex_nb.resources.stores.change_feed import SharedWatch, follow
from pocketflex_nb.resources.stores.leases import Lease, fenced
from pocketflex_nb.resources.stores.nested_merge import ReadMark
from pocketflex_nb.resources.stores.optimistic_writes import is_exact, retrying
from pocketflex_nb.resources.stores.replica import ReplicaEntry
from pocketflex_nb.resources.stores.replicated_reads import ReplicatedReads
from pocketflex_nb.resources.stores.replication import NOTHING

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["SharedStore"]

_frame, _agent = CURRENT_FRAME.get, CURRENT_AGENT.get

#: what the store has registered with a node: a key's entry, or the mark of its first read
_Tracked = KeyState | ReplicaEntry | ReadMark


class SharedStore(ReplicatedReads, AsyncApi):
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

    - Values are kept as text (:mod:`pocketflex_nb.core.codec.encoder`): another process reads an equal value, not the same object; what
      cannot be written is an `EncodingError` at the write. `transient` keys stay in this process.
    - Reading and writing cost a round trip each: some 50 us to a local Redis or PostgreSQL, 10 us to SQLite. They block the
      thread: plain prep and post of a launched run stand on the engine thread, so on slow networks write ``async def``
      steps and the awaited twins (`aget`, `aset`, `aupdate`, `aincrement`, `ainsert_new`, `acas`).
    - `update` calls its function again when somebody else wrote in between, each time with a fresh copy of the present value.
    - Nested changes are sent at the node's end, whatever the size. Outside of runs they are sent when something is next written, when
      the past is asked for, and by `close`: there, use `update`.
    - `lock` has a lease, and writes inside it carry its fencing token: when the lease has ended they are refused (`LockLost`).
    - A replica of the whole content is kept in memory.

    It is safe to use from any thread; its operations come one after the other.

    Examples
    --------
    >>> from pocketflex_nb import open_store
    >>> with open_store("memory:plan") as mine, open_store("memory:plan") as yours:
    ...     with mine.lock("plan"):
    ...         mine["plan"] = ["search"]
    ...     yours.update("plan", lambda plan: [*plan, "write"])
    ...     mine["plan"], mine.who("plan").version
    ['search', 'write']
    (['search', 'write'], 2)
    """

    def __init__(self, backend: StoreBackend, reopen: Callable[..., SharedStore], **options: object) -> None:
        super().__init__(backend, **options)
        self._reopen = reopen

    # writing ---------------------------------------------------------------------------------------------------------
    def _send(
        self, key: object, text: str | None, frame: WalkFrame | None, expect: int | None, live: object = None,
        entry: ReplicaEntry | None = None,
    ) -> None:
        """Write one key, and apply it; raises `VersionConflict` when it is not at version `expect`."""
        if frame is None and self._untracked:
            self._flush()
        with self._lock:
            applied = self._replication.send(key, text, frame, expect, live, entry)
            if applied is not NOTHING:
                self._show(applied)
        if self._listeners is not None:
            self._listeners.deliver(self._lock)

    def __setitem__(self, key: object, value: object) -> None:
        if key in self._transient:
            self._set_transient(key, value)
            return
        frame: WalkFrame | None = _frame()
        if (frame is not None or _agent() is not None) and self._is_late(frame):
            return
        text = self._encoded(key, value)
        if frame is None:
            self._set_outside(key, value, text)
        else:
            self._set_inside(key, value, text, frame)

    def _set_transient(self, key: object, value: object) -> None:
        self._transient_values[key] = value
        dict.__setitem__(self, key, value)

    def _set_outside(self, key: object, value: object, text: str) -> None:
        """Write a key from code outside of runs: it overwrites the present value."""
        if self._untracked and (before := self._replica.entries.get(key)) is not None:
            self._untracked.pop(before, None)  # type: ignore[call-overload]  # what was changed in the value before is written over
        self._send(key, text, None, None, value)
        self._touch_new(key, value)

    def _touch_new(self, key: object, value: object) -> None:
        """Have nested changes of a value that was just written looked for."""
        entry = self._replica.entries.get(key)
        if entry is not None and not entry.plain and entry.value is value:
            self._touch(entry)  # type: ignore[arg-type]  # as above

    def _set_inside(self, key: object, value: object, text: str, frame: WalkFrame) -> None:
        """Write a key from a step of a run: what others wrote since the step began is detected."""
        mark, before = self._refresh(), self._replica.entries.get(key)
        if frame.touched and before is not None:
            frame.touched.pop(before, None)  # what was changed in the value before is written over
        is_checked = mark is not None and getattr(frame.run, "store", None) is self

        def merge(_: ReplicaEntry | None) -> tuple[object, str, int | None, Writer | None]:
            if mark is None or not is_checked:
                return value, text, None, None
            other, version = self._rule.writer_since(key, mark.since, frame)
            if other is not None and self._rule.has_rule(key):
                merged = self._rule.merged(key, value, self._replica.after(max(mark.since, self._replica.floor)).get(key))
                return merged, self._encoded(key, merged), version, None
            if other is not None and self._rule.refuses:
                self._report_conflict(key, frame, other, False)
            return value, text, version, other

        def send(_: ReplicaEntry | None, write: tuple[object, str, int | None, Writer | None]) -> tuple[object, Writer | None]:
            live, text, expect, other = write
            self._send(key, text, frame, expect, live)
            return live, other

        live, other = retrying(self._reads(key).__next__, merge, send)
        self._touch_new(key, live)
        if other is not None:
            self._report_conflict(key, frame, other, True)

    def _remove(self, key: object, check: bool) -> Any:
        if key in self._transient_values:
            dict.pop(self, key, None)
            return self._transient_values.pop(key)
        frame: WalkFrame | None = _frame()
        mark = self._refresh()

        def look(entry: ReplicaEntry | None) -> tuple[object, int | None, Writer | None]:
            """The value, the version to delete (None: it is too late to), and who else has written."""
            if entry is None:
                raise KeyError(key)
            if self._is_late(frame):
                return entry.value, None, None
            if not check:
                return self._value_of(entry), entry.version, None
            other = None
            if frame is not None and mark is not None and getattr(frame.run, "store", None) is self:
                other, _ = self._rule.writer_since(key, mark.since, frame)
                if other is not None and self._rule.refuses:
                    self._report_conflict(key, frame, other, False)
            return entry.value, entry.version, other

        def send(_: ReplicaEntry | None, found: tuple[object, int | None, Writer | None]) -> tuple[object, Writer | None]:
            value, version, other = found
            if version is not None:
                self._send(key, None, frame, version)
            return value, other

        value, other = retrying(self._reads(key).__next__, look, send)
        if other is not None and frame is not None:
            self._report_conflict(key, frame, other, True)
        return value

    def _value_of(self, entry: ReplicaEntry) -> object:
        return entry.value if entry.is_whole else self._decoded(entry)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the newest key and return it with its value."""
        while True:
            keys = list(self._whole())
            if not keys:
                raise KeyError("popitem(): dictionary is empty")
            try:
                return keys[-1], self._remove(keys[-1], check=False)
            except KeyError:  # somebody else was quicker
                continue

    def _change(self, key: object, fn: Callable[[Any], Any], default: object) -> Any:
        frame: WalkFrame | None = _frame()
        if key in self._transient:
            value = fn(self._transient_values.get(key, default))
            self._set_transient(key, value)
            return value
        self._refresh()

        def compute(entry: ReplicaEntry | None) -> tuple[object, str | None]:
            value = default if entry is None else self._decoded(entry)
            if self._is_late(frame):
                return value, None
            value = fn(value)
            return value, self._encoded(key, value)

        def send(entry: ReplicaEntry | None, write: tuple[object, str | None]) -> object:
            value, text = write
            if text is not None:
                self._send(key, text, frame, 0 if entry is None else entry.version, value)
            return value

        return retrying(self._reads(key).__next__, compute, send)

    def increment(self, key: object, n: Any = 1, limit: Any = None, reset: Any = None) -> Any:
        """Add `n` atomically and return the new value, as `Store.increment` does; one round trip, even with concurrent adds.

        Parameters
        ----------
        key : hashable
            Which key.
        n : number
            What to add; may be negative.
        limit, reset : number, optional
            When the sum would be beyond `limit`, the value becomes `reset`, or `limit` itself if no `reset` is given.
        """
        frame: WalkFrame | None = _frame()
        is_plain_sum = is_exact(n) and (limit is None or (is_exact(limit) and (reset is None or is_exact(reset))))
        if not is_plain_sum or key in self._transient:
            return super().increment(key, n, limit, reset)
        if self._transport.is_closed or ((frame is not None or _agent() is not None) and self._is_late(frame)):
            return self._change(key, lambda value: value, 0)
        if frame is not None:
            self._refresh()
        applies = frame is not None or self._following is not None
        with self._lock:
            added = self._replication.add(key, n, limit, reset, frame, applies=applies)
            if added is None:
                return super().increment(key, n, limit, reset)
            value, version, applied = added
            if applied is not NOTHING:
                self._show(applied)
            elif not applies and version > self.version:
                self.version = version
        if self._listeners is not None:
            self._listeners.deliver(self._lock)
        return value

    def insert_new(self, key: object, value: object) -> bool:
        """Set `key` unless it exists; returns whether it was set. Atomic.

        Parameters
        ----------
        key : hashable
            Which key.
        value : object
            What to set.
        """
        frame: WalkFrame | None = _frame()
        if self._is_late(frame) or key in self._transient_values:
            return False
        if key in self._transient:
            self._set_transient(key, value)
            return True
        self._refresh()
        try:
            self._send(key, self._encoded(key, value), frame, 0, value)
        except VersionConflict:
            return False
        return True

    def cas(self, key: object, old: object, new: object) -> bool:
        """Set `key` to `new` if it is equal to `old`; returns whether it was set. False when it is missing. Atomic.

        Parameters
        ----------
        key : hashable
            Which key.
        old : object
            What must be there, by ``==``.
        new : object
            What takes its place.
        """
        frame: WalkFrame | None = _frame()
        self._refresh()

        def is_equal(entry: ReplicaEntry | None) -> bool:
            return entry is not None and bool(self._value_of(entry) == old) and not self._is_late(frame)

        def send(entry: ReplicaEntry | None, is_equal: bool) -> bool:
            if is_equal and entry is not None:
                self._send(key, self._encoded(key, new), frame, entry.version, new)
            return is_equal

        return retrying(self._reads(key).__next__, is_equal, send)

    # nested changes: what the engine asks at a node's end, and after a failed or abandoned attempt -----------------------
    def _detect_mutation(self, state: _Tracked, frame: WalkFrame | None) -> None:
        if isinstance(state, ReadMark):
            state.is_over = state.tracked_by is UNTRACKED
            return
        if not isinstance(state, ReplicaEntry) or state.plain or (frame is not None and self._is_late(frame)):
            return
        try:
            text = self._encoded(state.key, state.value)
        except EncodingError:
            self._put_back(state)
            raise
        if text != state.text:
            self._send_nested(state, text, frame)

    def _put_back(self, entry: ReplicaEntry) -> None:
        """Restore the live value to the stored one: its nested changes cannot be sent."""
        with self._lock:
            if self._replica.entries.get(entry.key) is entry:
                entry.reload()
                dict.__setitem__(self, entry.key, entry.value)

    def _send_nested(self, changed: ReplicaEntry, text: str, frame: WalkFrame | None) -> None:
        """Send a value that was changed in place, merged with the present value, if that differs."""
        key, rule = changed.key, self._rule

        def merge(current: ReplicaEntry | None) -> tuple[object, str, list[tuple[object, ...]]] | None:
            """The value, its text, and the paths of lost updates; None when the key was deleted or overwritten meanwhile."""
            if current is changed:
                return changed.value, text, []
            if current is None or rule.is_own(current, changed, frame):
                return None
            lost: list[tuple[object, ...]] = []
            if rule.has_rule(key) and current.text != changed.text:
                value = rule.merged(key, changed.value, changed.text)
            else:
                value, lost = rule.merged_nested(changed, current)
            if lost and frame is not None and rule.refuses:
                self._report_conflict(key, frame, current.writer.resolve(), False, lost[0])
            return value, self._encoded(key, value), lost

        def send(
            current: ReplicaEntry | None, write: tuple[object, str, list[tuple[object, ...]]] | None
        ) -> list[tuple[Writer, tuple[object, ...]]]:
            if write is None or current is None:
                return []
            value, text, lost = write
            writer = current.writer
            if text != current.text:
                self._send(key, text, frame, current.version, value, changed if current is changed else None)
            return [(writer.resolve(), path) for path in lost]

        for writer, path in retrying(self._reads(key).__next__, merge, send):
            if frame is not None:
                self._report_conflict(key, frame, writer, True, path)

    def _flush(self) -> None:
        """Send the nested changes that were made outside of runs."""
        untracked, self._untracked = self._untracked, None
        for state in untracked or ():
            state.tracked_by = UNTRACKED
            self._detect_mutation(state, None)

    def _record_so_far(self, state: _Tracked, frame: WalkFrame) -> None:
        if not isinstance(state, ReadMark):
            self._detect_mutation(state, frame)

    def _restore_in_place(self, state: _Tracked, frame: WalkFrame) -> tuple[object, object] | None:
        if not isinstance(state, ReplicaEntry) or state.plain or self._encoded(state.key, state.value) == state.text:
            return None
        return self._withdraw(state, frame)

    def _withdraw(self, state: _Tracked, frame: WalkFrame) -> tuple[object, object] | None:
        if not isinstance(state, ReplicaEntry) or state.plain:
            return None
        with self._lock:
            old = state.value
            state.reload()
            state.tracked_by = UNTRACKED
            if self._replica.entries.get(state.key) is state:
                dict.__setitem__(self, state.key, state.value)
        return old, state.value

    def _undo_write(self, last: Record, old: object, before: object, frame: WalkFrame) -> bool:
        key, entry = last.key, self._replica.entries.get(last.key)
        version = self._replica.gone.get(key, (0, OUTSIDE))[0] if entry is None else entry.version
        if version != last.version:
            return False
        value = thaw(old)
        try:
            text = None if old is MISSING else self._encoded(key, value)
            self._send(key, text, frame, 0 if entry is None else version, value)
        except VersionConflict:  # by somebody else meanwhile
            pass
        except EncodingError as exc:
            raise NotCopied(str(exc)) from exc
        return True

    # others ----------------------------------------------------------------------------------------------------------
    def lock(  # type: ignore[override]  # with a lease
        self, key: object, *, timeout: float | None = None, lease: float = 30.0, renew: bool = True
    ) -> Lease:
        """A lock named `key` for all who share the store, for ``with`` in threads and ``async with`` on any loop.

        Parameters
        ----------
        key : hashable
            A name; it need not be a key of the store, and reading and writing do not ask for it.
        timeout : float, optional
            Seconds to wait; `TimeoutError` after that.
        lease : float
            Seconds after which the lock ends when its holder is killed or stopped.
        renew : bool
            Have a thread renew the lease while the holder lives; False bounds the time under the lock.

        Notes
        -----
        Writes of the same task or thread inside ``with``, and of the tasks and plain runs that it waits for, carry the lock's token;
        once the lease has ended, or somebody else has the lock, they raise `LockLost` and change nothing. A run that is launched inside
        is on its own. `fenced` does the same for another thread or process. Who waits asks every 20 ms; the order among those who wait
        is not kept.

        Leases in a SQLite file go by the machine's own monotonic clock, which setting the time does not change; those at a server go by
        the server's clock. Should that be set forward, a lock may be given away early: its token then keeps the late holder from writing.
        """
        return Lease(self, key, self._replication.name(key), timeout=timeout, lease=lease, renew=renew)

    def fenced(self, key: object, token: int) -> AbstractContextManager[None]:
        """Inside, writes are refused unless lock `key` is held with `token`, as ``with store.lock(key) as lock`` gave it.

        Parameters
        ----------
        key : hashable
            The name of the lock.
        token : int
            Its `Lease.token`, as the holder was given it.
        """
        return fenced(self._origin, self._replication.name(key), token)

    def follow(self) -> None:
        """Keep the replica up to date in a thread, and notify watches. Calling it twice does nothing."""
        self._deep()
        with self._lock:
            if self._following is None or not self._following.is_alive():
                self._following = follow(self, self._transport, self._finish)

    def watch(self, *keys: object, limit: int = 1_000) -> SharedWatch:
        """An iterator of the changes of `keys`, or of all keys, from now on: ``async for``, or ``for`` in a thread.

        Parameters
        ----------
        *keys : hashable
            Which keys; none: all.
        limit : int
            Keys with a change that was not read yet; beyond it the oldest change is dropped and counted in `Watch.missed`.

        Notes
        -----
        Changes by other processes arrive within milliseconds, those in a SQLite file within 40 ms. Changes of one key that were not
        read yet become one.
        """
        watch = SharedWatch(keys, limit, self._forget)
        self._listen(watch)
        return watch

    def _listen(self, listener: StoreListener) -> None:
        self._pull()
        with self._lock:
            if self._listeners is None:
                self._listeners = Listeners()
            self._listeners.add(listener)
        self.follow()

    def close(self) -> None:
        """Close connections and files; stored data stays. Closing twice does nothing."""
        if not self._transport.is_closed:
            try:
                if self._untracked:
                    self._flush()
            finally:
                self._transport.is_closed = True
                for listener in self._listeners or ():
                    if isinstance(listener, SharedWatch):
                        listener.close()
                self._finish()

    def __dir__(self) -> list[str]:
        """What Tab offers: all but the former names."""
        return [name for name in super().__dir__() if name != "mirrored"]

    def __enter__(self) -> SharedStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return self._reopen, (self._transport.backend.address, self._transport.backend.keep, self._options())
