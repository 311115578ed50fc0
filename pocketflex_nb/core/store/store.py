"""`Store`: the dict that the nodes of a run share, with versions, writers and history.

How a read and a write stay cheap. Every key has a state object beside the dict, with its live value and its last frozen copy; reading
uses that object alone. A write of an immutable value to a known key is a plain sequence of assignments that the interpreter does not
interrupt (it switches threads and delivers signals at calls and backward jumps, and there is none among them), so it takes no lock; it
first checks whether the page has space, and takes the slow path, under the lock, when it has none: at the end of a page, and while a
compound operation runs. In a free-threaded Python every write takes the slow path.
"""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.frozen.freezer import LONG, MISSING, PLAIN, Freezer, Opaque, is_plain
from pocketflex_nb.core.frozen.persistent_map import PersistentMap, Snapshot
from pocketflex_nb.core.self_display import SelfDisplay
from pocketflex_nb.core.store import history as past
from pocketflex_nb.core.store.bounded_copies import WRITTEN_BOUND, too_large
from pocketflex_nb.core.store.change_log import FIELDS, ChangeLog, RecordPos, add_change, record_at
from pocketflex_nb.core.store.conflicts import (
    WARN_ONLY,
    ConflictPolicy,
    ConflictWarning,
    Reported,
    is_fenced,
    merged_value,
    other_writer,
    replaced_values,
    report_conflict,
    report_late_write,
    rules_of,
)
from pocketflex_nb.core.store.exclusive import exclusive
from pocketflex_nb.core.store.key_state import UNTRACKED, KeyState
from pocketflex_nb.core.store.mutation_tracking import detect_mutation, detect_mutations_so_far
from pocketflex_nb.core.store.working_copies import WorkingCopies, holds, loan, owner_of
from pocketflex_nb.core.store.writer import OUTSIDE, Writer, writer_of
from pocketflex_nb.core.value_text import value_text

if TYPE_CHECKING:
    from pocketflex_nb.core.frozen.diff import Difference
    from pocketflex_nb.core.port_types import RunningAgent, WalkFrame
    from pocketflex_nb.core.store.changes import Change, Written
    from pocketflex_nb.core.store.key_lock import KeyLock, Lock
    from pocketflex_nb.core.store.watch import StoreListener, Watch

__all__ = ["ConflictWarning", "Snapshot", "Store", "as_store"]

_FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

_frame, _agent = CURRENT_FRAME.get, CURRENT_AGENT.get
_get, _set, _delete = dict.__getitem__, dict.__setitem__, dict.__delitem__
_SHORT = PLAIN - {str, bytes}  # classes whose values are small whatever they are
_now = time.time


class Store(WorkingCopies, SelfDisplay):
    """The shared store: a dict that keeps, per key, its version, who wrote it and when.

    Parameters
    ----------
    initial : mapping or iterable of pairs, optional
        What it begins with; its top level is copied. Keys are never given as keywords, so that no key can clash with an option.
    on_conflict : {"warn", "raise", "ignore"}
        What a lost update does besides being an event: when a node overwrites or deletes a key that another concurrent run or
        branch wrote after this node's `prep` began. ``"warn"`` gives a `ConflictWarning`, once for each key and pair of nodes;
        ``"raise"`` raises `ConflictError` and writes nothing; ``"ignore"`` leaves it at the event.
    merge : mapping of key to callable, optional
        Rules that resolve such a write instead, without an event: ``rule(theirs, mine)`` gives what is written, theirs being
        what stands in the store. With ``{"notes": operator.add}`` every node writes its own contribution, and concurrent ones
        are added up; what is written one after the other overwrites, as ever. A rule of three arguments gets ``(base, theirs,
        mine)``, base being what stood there when this node's `prep` began, or None. A key inside of a value is named with dots:
        ``{"stats.n": rule}`` for ``store["stats"]["n"]``, ``{"rows.0.title": rule}`` for what stands in a list or an object.
    transient : iterable of keys, optional
        Keys whose values are never copied, compared or journaled (a client, a connection): history and snapshots hold a mark
        for them.
    history : int
        Changes kept, the oldest dropped first; fewer when their old values would take more than 32 MiB.

    Attributes
    ----------
    version : int
        Number of the last change; 0 at the beginning.

    Notes
    -----
    Equality, order, `json.dumps` and ``isinstance(store, dict)`` are a dict's. Nested changes, such as
    ``store["notes"].append(x)``, are found at the end of the node that read the key: lists, dicts, sets, dataclasses and
    pydantic models are compared with their last copy, up to 64 KiB of estimated work for each key, beyond which the change is
    called ``"maybe"``. Not promised: changes through a reference that was kept from an earlier node, or that came from
    ``dict(store)``. Outside of runs, nested changes are found when `snapshot`, `diff`, `history`, `at` or `who` is next
    asked. Objects of other classes of yours count as changed when one of their attributes does, declared or not; objects of
    libraries when they are replaced; arrays of up to 64 KiB (numpy, `bytearray`) when their bytes do.
    The store runs no code of a value's class: no `__eq__`, `__iter__`, `__repr__`, no property.

    A node that reads a list, dict, set or record while another run or branch works on it is handed a copy, as it was when that one
    began; what both did is merged when they end, and where both changed the same place, that is a lost update like a flat one.
    A node that reads a key again and again without changing it, because it waits for another one, is shown what the others did
    after 0.1 s. What cannot be copied (objects of other classes, values of more than 16 384 parts) is shared as it is.

    What a failed try of a node that may be tried again (`max_retries`, `Retry`, `timeout`) wrote is taken back, nested values in
    place, except keys that somebody else has written since. A step that was abandoned keeps what it was handed, and the store goes
    on with other objects.

    Cost: a read about 4 to 5 times a dict's; a write about half a microsecond; neither grows with the number of keys. The
    methods are safe to call from any thread and from any loop; a value's own methods are as safe as the value.

    Examples
    --------
    >>> from pocketflex_nb import Store
    >>> store = Store({"topic": "sun", "notes": []})
    >>> store.increment("tries")
    1
    >>> before = store.version
    >>> store["notes"].append("it shines")
    >>> store.diff(before)
    [<Difference notes[0] added: 'it shines'>]
    >>> store.at(0)
    {'topic': 'sun', 'notes': []}
    """

    __slots__ = (
        "__weakref__", "_begin", "_busy", "_change_log", "_conflicts", "_listeners", "_lock", "_locks", "_persistent_map", "_reported",
        "_states", "_transient", "_untracked", "version",
    )

    def __init__(
        self,
        initial: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (),
        /,
        *,
        on_conflict: Literal["warn", "raise", "ignore"] = "warn",
        merge: Mapping[Any, Callable[..., Any]] | None = None,
        transient: Iterable[object] = (),
        history: int = 10_000,
        **unknown: object,
    ) -> None:
        if unknown:
            _refuse_options(unknown)
        if not isinstance(history, int) or isinstance(history, bool) or history < 1:
            raise ValueError(f"Store(history={history!r}): a number of changes, 1 or more, is needed")
        super().__init__(initial)
        self.version = 0
        self._conflicts = WARN_ONLY if on_conflict == "warn" and not merge else rules_of(on_conflict, merge)
        self._transient = frozenset((transient,) if isinstance(transient, str) else transient)
        self._lock = threading.RLock()
        self._busy = int(_FREE_THREADED)
        self._states = {}
        self._begin: list[object] = [0, None, "set", MISSING, MISSING, OUTSIDE, 0, _now(), 0]
        self._change_log = ChangeLog(history)
        self._change_log.fast_limit = 0 if _FREE_THREADED else self._change_log.end
        self._untracked: dict[KeyState, WorkingCopies] | None = None
        self._persistent_map: PersistentMap | None = None
        self._listeners = None
        self._locks: dict[object, KeyLock] | None = None
        self._reported: Reported | None = None

    # reading ---------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: object) -> Any:
        try:
            state = self._states[key]
        except KeyError:
            return self._first(key)
        if state.plain:
            return state.value
        return state.value if state.tracked_by is _frame() else self._hand(state)

    def get(self, key: object, default: object = None, /) -> Any:
        """The value of `key`, or `default` when it is missing."""
        state: KeyState | None
        try:
            state = self._states[key]
        except KeyError:
            state = self._state_of(key)
            if state is None:
                return default
        if state.plain:
            return state.value
        return state.value if state.tracked_by is _frame() else self._hand(state)

    def _first(self, key: object) -> object:
        """Read a key that has no state object yet."""
        if self._state_of(key) is not None:
            return self[key]
        try:
            return _get(self, key)  # raises, or asks a subclass's __missing__
        except KeyError as exc:
            raise exc from None

    def _state_of(self, key: object) -> KeyState | None:
        """The state object of `key`, made now if the store began with the key; None if there is no such key."""
        state = self._states.get(key)
        if state is not None or key not in self:
            return state
        with self._lock:
            state = self._states.get(key)
            if state is None and key in self:
                value = _get(self, key)
                frozen, _ = self._frozen(key, value, MISSING)
                state = KeyState(key, value, frozen, 0, OUTSIDE, self._begin)
                state.set_kind(is_plain(value), key in self._transient)
                self._states[key] = state
            return state

    def _touch(self, state: KeyState) -> None:
        """Mark a key to be checked for nested changes: at the end of the current node, or when changes are asked for."""
        frame: WalkFrame | None = _frame()
        if frame is None:
            if self._untracked is None:
                self._untracked = {}
            self._untracked[state] = self
        elif frame.touched is None:
            frame.touched = {state: self}
        else:
            frame.touched[state] = self
        state.tracked_by = frame

    def _frozen(self, key: object, value: object, old: object) -> tuple[object, int]:
        """The frozen `value` and the bytes that it adds to what `old` holds."""
        if key in self._transient:
            return Opaque(type(value), f"<{type(value).__name__}, transient>"), 0
        if value.__class__ in _SHORT:
            return value, 0
        freezer = Freezer(WRITTEN_BOUND)
        try:
            return freezer.freeze(value, old), freezer.fresh
        except Exception:  # too much, changed by another thread meanwhile, or of a class of the user's that raises
            return too_large(value), 0

    # writing ---------------------------------------------------------------------------------------------------------
    def __setitem__(self, key: object, value: Any) -> None:
        frame, cls, before = _frame(), type(value), self.version
        try:
            state = self._states[key]
        except (KeyError, TypeError):
            self._write(key, value)
            return
        if (
            frame is None
            or not (cls is int or cls in _SHORT or (cls is str and len(value) < LONG))
            or (frame.parent is not None and is_fenced(frame.parent))
            or frame.life is not None
        ):
            self._write(key, value)
            return
        try:
            writer = frame.writers[frame.node]
        except (KeyError, TypeError):
            writer = writer_of(frame, self._change_log.unresolved)
        if frame.store is not self:
            frame.store, frame.put = self, _set.__get__(self)
        log, key, version = self._change_log, state.key, before + 1
        record = (version, key, "set", state.frozen, value, writer, 0, _now() if frame.timed else None, 0)
        # From here on nothing is called before `_set`, so nothing comes between: see the module's docstring.
        if (
            self.version != before  # somebody came between, and what was read may be old
            or (state.version > frame.start_version and state.writer is not writer)
            or version >= log.fast_limit
            or not state.is_fast_path
            or frame.fenced
        ):
            self._write(key, value)
            return
        self.version = state.version = version
        state.value = state.frozen = value
        state.writer, page, at = writer, log.page, (version - log.base) * FIELDS
        page += record
        frame.put(key, value)
        if frame.page is None:
            frame.page, frame.at = page, at
        else:
            add_change(frame, page, at)

    def _write(self, key: object, value: object) -> None:
        """Write on the slow path: any value, by any writer."""
        frame: WalkFrame | None = _frame()
        if self._is_late(frame):
            return
        state = self._state_of(key)
        frozen = self._frozen(key, value, MISSING if state is None else state.frozen)
        found, done = self._put(key, value, frozen, frame)
        if found is not None and frame is not None:
            self._report_conflict(key, frame, found, done)

    @exclusive
    def _put(self, key: object, value: object, frozen: tuple[object, int], frame: WalkFrame | None) -> tuple[Writer | None, bool]:
        """Write unless a conflict forbids it; returns the other writer of a conflict, and whether it was written."""
        state = self._state_of(key)
        other = self._other(key, state, frame)
        if other is not None and state is not None and frame is not None and (rule := self._conflicts.merge.get(key)) is not None:
            bases = replaced_values(self._change_log, key, frame.start_version, self.version)
            value, other = merged_value(rule, key, state.value, value, bases), None
            frozen = self._frozen(key, value, state.frozen)
        if other is not None and self._conflicts.policy is ConflictPolicy.RAISE:
            return other, False
        self._commit(key, state, value, frozen, frame)
        return other, True

    def _commit(self, key: object, state: KeyState | None, value: object, frozen: tuple[object, int], frame: WalkFrame | None) -> None:
        """Set `key`, write the record, and notify subscribers. The lock is held."""
        copy_, weight = frozen
        plain, hidden, version = is_plain(value), key in self._transient, self.version + 1
        writer = writer_of(frame, self._change_log.unresolved)
        record = [version, key, "set", MISSING if state is None else state.frozen, copy_, writer, 0, _now(), -weight]
        known = state is not None
        if state is None:
            state = KeyState(key, value, copy_, version, writer)
        elif state.value is not value and not (state.plain and not hidden):
            self._give_way(state, frame)
        place = self._lay(record)
        state.value, state.frozen, state.version, state.writer, state.tracked_by = value, copy_, version, writer, UNTRACKED
        state.set_kind(plain, hidden)
        if not known:
            self._change_log.tombstones.pop(key, None)
            self._states[key] = state
        _set(self, key, value)
        self._note(place, frame, weight)
        if not state.plain:
            self._touch(state)

    def _give_way(self, state: KeyState, frame: WalkFrame | None) -> None:
        """Save the value that is about to be replaced for attempts that may fail, and for other nodes that work on it."""
        self._set_aside_copies(state, frame)
        if frame is not None and frame.undo is not None:
            frame.undo.setdefault((id(self), state.key), state.value)

    def _lay(self, record: Sequence[object]) -> RecordPos:
        """Append a record to the last page, and count the version that it makes; returns its position. The lock is held."""
        log, version = self._change_log, self.version + 1
        if version == log.end:
            log.turn(self._states)
        page, at = log.page, (version - log.base) * FIELDS
        page += record  # and nothing is called before the next line, so that no interrupt comes between
        self.version = version
        return page, at

    def _note(self, place: RecordPos, frame: WalkFrame | None, weight: int) -> None:
        """Complete the writing of the last record: count its bytes, list it in the frame, and publish it. The lock is held."""
        page, at = place
        self._change_log.weigh(weight, self.version)
        if frame is not None:
            add_change(frame, page, at)
        if self._listeners:
            self._publish(place)

    # late writes and lost ones ---------------------------------------------------------------------------------------
    def _is_late(self, frame: WalkFrame | None, told: bool = True) -> bool:
        """Whether a write comes too late: its step was abandoned, or its agent was given up. Reported once per step, if at all."""
        agent: RunningAgent | None = _agent()
        if not is_fenced(frame) and (agent is None or not agent.fenced):
            return False
        if frame is not None and told:
            report_late_write(frame, self._once())
        return True

    def _once(self) -> Reported:
        """What was reported already."""
        if self._reported is None:
            with self._lock:
                self._reported = self._reported or Reported()
        return self._reported

    def _other(self, key: object, state: KeyState | None, frame: WalkFrame | None) -> Writer | None:
        """Another run or branch that wrote `key` since the current node began, if any."""
        return other_writer(self, self._change_log, key, state, frame)

    def _report_conflict(
        self, key: object, frame: WalkFrame, other: Writer, done: bool, path: tuple[object, ...] = ()
    ) -> None:
        """Report a lost update."""
        mine = writer_of(frame, self._change_log.unresolved)
        report_conflict(frame, key, path, mine, other, done, self._conflicts.policy, self._once())

    # a dict's other methods ------------------------------------------------------------------------------------------
    def __delitem__(self, key: object) -> None:
        if key not in self:
            raise KeyError(key)
        self._remove(key, check=True)

    def _remove(self, key: object, check: bool) -> object:
        """Delete `key` and return its value; KeyError if it is missing."""
        frame: WalkFrame | None = _frame()
        if self._is_late(frame):
            return self[key]
        value, other, done = self._take(key, frame, check)
        if other is not None and frame is not None:
            self._report_conflict(key, frame, other, done)
        return value

    @exclusive
    def _take(self, key: object, frame: WalkFrame | None, check: bool) -> tuple[object, Writer | None, bool]:
        state = self._state_of(key)
        if state is None:
            raise KeyError(key)
        other = self._other(key, state, frame) if check else None
        if other is not None and self._conflicts.policy is ConflictPolicy.RAISE:
            return state.value, other, False
        view = state.copies.get(owner_of(frame)) if state.copies and frame is not None else None
        log, value = self._change_log, state.value if view is None else view.value
        if not state.plain or key in self._transient:
            self._give_way(state, frame)
        writer = writer_of(frame, log.unresolved)
        place = self._lay([self.version + 1, key, "delete", state.frozen, MISSING, writer, 0, _now(), -1])
        state.is_fast_path = False
        del self._states[key]
        _delete(self, key)
        log.tombstones[key] = self.version, writer
        self._note(place, frame, 1)
        return value, other, True

    def pop(self, key: object, *default: object) -> Any:
        """Remove `key` and return its value, or `default` when it is missing. Loses no update, so it never conflicts.

        Parameters
        ----------
        key : hashable
            Which key.
        *default : object
            At most one; without it a missing key raises KeyError.
        """
        if len(default) > 1:
            raise TypeError(f"pop expected at most 2 arguments, got {len(default) + 1}")
        try:
            return self._remove(key, check=False)
        except KeyError:
            if default:
                return default[0]
            raise

    def popitem(self) -> tuple[Any, Any]:
        """Remove the newest key and return it with its value."""
        with self._lock:
            for key in reversed(self):
                return key, self._remove(key, check=False)
        raise KeyError("popitem(): dictionary is empty")

    def clear(self) -> None:
        """Remove every key."""
        for key in list(self):
            if key in self:
                self._remove(key, check=True)

    def setdefault(self, key: object, default: object = None) -> Any:
        """The value of `key`, which is set to `default` first when it is missing. Atomic.

        Parameters
        ----------
        key : hashable
            Which key.
        default : object
            What to set when it is missing.
        """
        return self[key] if not self.insert_new(key, default) and key in self else default

    def update(self, *args: Any, **more: object) -> Any:  # wider than a dict's
        """Write many keys, as a dict does; or, with a key and a function, change one key atomically and return its new value.

        Parameters
        ----------
        other : mapping or iterable of pairs
            As for a dict; each key is written like ``store[key] = value``.
        key, fn
            ``store.update("notes", lambda notes: notes + [x])`` writes what `fn` makes of the present value. `fn` is called
            once, under the store's lock: it must be quick and must not wait. No other write comes between, so nothing is lost
            and nothing conflicts.
        default : object
            What `fn` gets when the key is missing.
        """
        if len(args) != 2:
            for key, value in dict(*args, **more).items():
                self[key] = value
            return None
        key, fn = args
        default = more.pop("default", None)
        if not callable(fn) or more:
            raise TypeError(f"update({key!r}, {value_text(fn)}): give a key and a function, or one mapping")
        return self._change(key, lambda value: _settled(key, fn(value)), default)

    @exclusive
    def _change(self, key: object, fn: Callable[[object], object], default: object) -> object:
        frame, state = _frame(), self._state_of(key)
        value = default if state is None else state.value
        if self._is_late(frame):
            return value if state is None or state.plain else loan(state)
        if state is not None and not state.plain and (state.copies is not None or holds(state.tracked_by, state)):
            value = self._apart(state, frame)
        value = fn(value)
        state = self._state_of(key)  # `fn` may have written, too
        self._commit(key, state, value, self._frozen(key, value, MISSING if state is None else state.frozen), frame)
        return value

    def increment(self, key: object, n: Any = 1, limit: Any = None, reset: object = None) -> Any:
        """Add `n` atomically and return the new value.

        Parameters
        ----------
        key : hashable
            A missing one counts from 0.
        n : number
            What to add; may be negative.
        limit, reset : number, optional
            When the sum would be beyond `limit` (above it, or below it for a negative `n`), the value becomes `reset`, or
            `limit` itself if no `reset` is given.

        References
        ----------
        Erlang's ``ets:update_counter/3`` with threshold and set value.
        """

        def add(value: object) -> object:
            try:
                total = value + n
                beyond = limit is not None and (total > limit if n >= 0 else total < limit)
            except TypeError as exc:
                raise TypeError(f"increment({key!r}, {n!r}): the value is {value_text(value)}, not a number") from exc
            return total if not beyond else limit if reset is None else reset

        return self._change(key, add, 0)

    @exclusive
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
        if key in self or self._is_late(frame):
            return False
        self._commit(key, None, value, self._frozen(key, value, MISSING), frame)
        return True

    @exclusive
    def cas(self, key: object, old: object, new: object) -> bool:
        """Set `key` to `new` if it is equal to `old`; returns whether it was set. False when it is missing. Atomic.

        Parameters
        ----------
        key : hashable
            Which key.
        old : object
            What must stand there, by ``==``.
        new : object
            What takes its place.
        """
        frame, state = _frame(), self._state_of(key)
        if state is None or not (state.value is old or bool(state.value == old)) or self._is_late(frame):
            return False
        self._commit(key, state, new, self._frozen(key, new, state.frozen), frame)
        return True

    def copy(self) -> Store:
        """A new store with the same keys, values and options, and with versions and history of its own."""
        return type(self)(self if _frame() is None else self._handed(), **self._options())

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, object]) -> Store:
        twin = memo[id(self)] = type(self)(**self._options())
        hidden = self._transient
        dict.update(twin, {key: value if key in hidden else copy.deepcopy(value, memo) for key, value in self.items()})
        return twin

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled without transient keys, versions and history."""
        kept = {key: value for key, value in self.items() if key not in self._transient}
        return _rebuilt, (type(self), kept, self._options())

    def _options(self) -> dict[str, Any]:
        merge = {key: rule for key, (rule, _) in self._conflicts.merge.items()} or None
        return {"on_conflict": str(self._conflicts.policy), "merge": merge, "transient": self._transient, "history": self._change_log.limit}

    @classmethod
    def fromkeys(cls, keys: Iterable[object], value: object = None, /) -> Store:
        """A new store with these `keys`, each with the same `value`."""
        return cls(dict.fromkeys(keys, value))

    def __or__(self, other: object) -> Any:
        if not isinstance(other, dict):
            return NotImplemented
        twin = self.copy()
        dict.update(twin, other)
        return twin

    def __ror__(self, other: object) -> Any:
        return dict(other) | dict(self) if isinstance(other, dict) else NotImplemented

    def __ior__(self, other: object) -> Store:
        self.update(other)
        return self

    def __repr__(self) -> str:
        names = [value_text(key, 40) for key, _ in zip(self, range(8), strict=False)]
        more = f", {len(self) - len(names)} more" if len(self) > len(names) else ""
        return f"<Store at version {self.version}: {', '.join(names) + more if names else 'empty'}>"

    def _ipython_key_completions_(self) -> list[str]:
        return [key for key in self if isinstance(key, str)]

    # the past --------------------------------------------------------------------------------------------------------
    def who(self, key: object) -> Written:
        """The last writer of `key`, and when it wrote; KeyError if the key is missing.

        Parameters
        ----------
        key : hashable
            Which key.
        """
        from pocketflex_nb.core.store.changes import written_of  # a quarter of the import's time, which most flows never need

        self._catch_up()
        state = self._state_of(key)
        if state is None:
            raise KeyError(key)
        with self._lock:
            return written_of(self._change_log.last_of(state))

    def history(self, key: object = MISSING) -> list[Change]:
        """The kept changes of `key`, or of all keys, oldest first.

        Parameters
        ----------
        key : hashable, optional
            Which key; without it, all.
        """
        self._catch_up()
        with self._lock:
            return past.kept_changes(self._change_log, self.version, key)

    def snapshot(self) -> Snapshot:
        """The whole store as it is now, frozen. Costs as much as changed since the last snapshot; the first costs all keys once."""
        self._catch_up()
        with self._lock:
            self._persistent_map = past.map_at(self._persistent_map, self._change_log, self.version, self._state_of, self)
            return Snapshot(self._persistent_map, _now())

    def at(self, version: int) -> dict[Any, Any]:
        """A plain copy of the store as it was at that `version`.

        Parameters
        ----------
        version : int
            From 0 to what `version` is now.

        Raises
        ------
        StoreError
            When that is longer ago than the history kept.

        Notes
        -----
        What could not be copied (transient keys, objects of unknown classes, values too large) is the live object if the key
        was not written since, else an `Opaque` mark.
        """
        self._catch_up()
        with self._lock:
            values = past.past_values(self._change_log, version, self.version)
            return past.content_at(values, self._state_of, self)

    def diff(self, a: int | Snapshot, b: int | Snapshot | None = None) -> list[Difference]:
        """The changes from `a` to `b`.

        Parameters
        ----------
        a, b : int or Snapshot
            Versions or snapshots, of this store or, if both are snapshots, of any two; `b` is now when it is left out.

        Returns
        -------
        list of Difference
            Paths inside the values, such as ``("notes", 2, "title")``.
        """
        if isinstance(a, Snapshot) and (b is None or isinstance(b, Snapshot)):
            return a.diff(self.snapshot() if b is None else b)
        self._catch_up()
        with self._lock:
            first, last = (
                past.past_values(self._change_log, end.version if isinstance(end, Snapshot) else end, self.version)
                for end in (a, self.version if b is None else b)
            )
            return past.differences(first, last, self._state_of)

    def _catch_up(self) -> None:
        """Find the nested changes made outside of runs, and those that the current node has made so far."""
        untracked, self._untracked = self._untracked, None
        for state in untracked or ():
            if state.tracked_by is None:
                state.tracked_by = UNTRACKED
            self._detect_mutation(state, None)
        frame: WalkFrame | None = _frame()
        if frame is not None:
            detect_mutations_so_far(self, frame)

    _detect_mutation = detect_mutation

    # others ----------------------------------------------------------------------------------------------------------
    def lock(self, key: object, *, timeout: float | None = None) -> Lock:
        """A lock named `key`, for ``with`` in threads and ``async with`` on any loop; granted in the order of arrival.

        Parameters
        ----------
        key : hashable
            A name; it need not be a key of the store, and reading and writing do not ask for it.
        timeout : float, optional
            Seconds to wait; `TimeoutError` after that.

        Raises
        ------
        StoreError
            When the task or thread that asks holds it already, or would block the loop that its holder needs.
        """
        from pocketflex_nb.core.store.key_lock import KeyLock, Lock

        with self._lock:
            if self._locks is None:
                self._locks = {}
            known = self._locks.get(key)
            if known is None:
                known = self._locks[key] = KeyLock(key)
        return Lock(known, timeout)

    def watch(self, *keys: object, limit: int = 1_000) -> Watch:
        """An async iterator of the changes of `keys`, or of all keys, from now on.

        Parameters
        ----------
        *keys : hashable
            Which keys; none: all.
        limit : int
            Keys with a change that was not read yet; beyond it the oldest change is dropped and counted in `Watch.missed`.

        Notes
        -----
        Changes of one key that were not read yet become one, from the first `old` to the last `new`. Works on the loop that
        iterates, whichever thread writes. Nested changes arrive when they are found, at a node's end.

        Examples
        --------
        ``async for change in store.watch("notes"): print(change.new)``
        """
        from pocketflex_nb.core.store.watch import Watch

        watch = Watch(keys, limit, self._forget)
        self._listen(watch)
        return watch

    def subscribe(self, fn: Callable[[Change], object], *keys: object) -> Callable[[], None]:
        """Call ``fn(change)`` after each change of `keys`, or of all keys, in the thread that wrote.

        Parameters
        ----------
        fn : callable
            Gets each `Change`.
        *keys : hashable
            Which keys; none: all.

        Returns
        -------
        callable
            Ends it.

        Notes
        -----
        `fn` must be quick; what it raises is logged, and does not reach the writer.
        """
        from pocketflex_nb.core.store.watch import Listener

        listener = Listener(fn, keys)
        self._listen(listener)
        return lambda: self._forget(listener)

    @exclusive
    def _listen(self, listener: StoreListener) -> None:
        if self._listeners is None:
            from pocketflex_nb.core.store.watch import Listeners

            self._listeners = Listeners()
        self._listeners.add(listener)
        self._busy += 1  # writes take the long way while somebody listens

    @exclusive
    def _forget(self, listener: StoreListener | None) -> None:
        if self._listeners is not None:
            self._busy -= self._listeners.remove(listener)

    def _publish(self, pos: RecordPos) -> None:
        """Pass a change to watches and subscribers. The lock is held; never waits."""
        from pocketflex_nb.core.store.changes import change_of

        if self._listeners is not None and not self._listeners.publish(record_at(pos).key, lambda: change_of(pos)):
            self._forget(None)


def as_store(shared: object, **options: Any) -> Store:
    """A `Store` with the content of a mapping, whose top level is copied. A `Store` is returned as it is.

    Raises
    ------
    TypeError
        When `shared` is not a mapping.
    """
    if isinstance(shared, Store):
        return shared
    if not isinstance(shared, Mapping):
        raise TypeError(
            f"the shared store must be a mapping, such as a dict or a Store, not {value_text(shared, 60)} of class "
            f"{type(shared).__name__!r}: give it a key, {{'input': ...}}, or use run(), which takes any object"
        )
    return Store(shared, **options)


def _refuse_options(unknown: Mapping[str, object]) -> None:
    name = next(iter(unknown))
    known = ("on_conflict", "merge", "transient", "history")
    raise TypeError(f"Store has no option {name!r}{nearest(name, known)}; keys are given as a mapping: Store({{{name!r}: ...}})")


def _settled(key: object, value: object) -> object:
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(f"update({key!r}, fn): fn is async, but it runs under a lock: await before, or use store.lock()")
    return value


def _rebuilt(cls: type[Store], content: dict[object, object], options: dict[str, Any]) -> Store:
    return cls(content, **options)
