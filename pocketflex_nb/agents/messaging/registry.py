"""`Registry` and `Via`: unique or duplicate keys of agents, free as soon as their owner has ended."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from pocketflex_nb.agents.messaging.agent_ref import AgentRef, Referenced
from pocketflex_nb.agents.messaging.envelopes import Addressee
from pocketflex_nb.agents.protocol.errors import AlreadyStarted, BadSpec, NotOwner
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, short
from pocketflex_nb.agents.protocol.info_messages import Registered, Unregistered
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.concurrency.portal_future import PortalFuture
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["NEAR", "Registry", "Via"]

#: keys among which the nearest name is looked for
NEAR = 1_000


class Via:
    """A name in a registry, for ``name=``, `call` and `cast`.

    Notes
    -----
    Made by `Registry.via`.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registry, call_sync
    >>> class Worker(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return message.upper()
    >>> desks = Registry()
    >>> ref = Worker.start_sync(name=desks.via("north"))
    >>> call_sync(desks.via("north"), "hello")
    'HELLO'
    >>> ref.stop_sync()
    """

    __slots__ = ("key", "registry")

    def __init__(self, registry: Registry, key: Hashable) -> None:
        self.registry, self.key = registry, key

    def __repr__(self) -> str:
        return f"via({self.key!r})"


class Registry:
    """Agents by key.

    Parameters
    ----------
    keys : "unique" or "duplicate"
        Whether a key has at most one owner.
    listeners : iterable of AgentRef
        Get `Registered` and `Unregistered` messages.
    on_death : bool
        Also send `Unregistered` when an owner dies (OTP does not).

    Notes
    -----
    Entries vanish before monitors and supervisors hear of the owner's death. Keys are told apart by type: 1, 1.0 and True are three.
    Every method may be called from any thread; all but `lock` are plain calls.

    Examples
    --------
    >>> from pocketflex_nb import Agent, Registry
    >>> class Worker(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return f"{message} is done"
    >>> workers = Registry()
    >>> ref = Worker.start_sync(name=workers.via("w1"))
    >>> workers.whereis("w1").call_sync("the draft")
    'the draft is done'
    >>> ref.stop_sync()
    >>> workers.count()
    0
    """

    def __init__(self, keys: str = "unique", *, listeners: Iterable[Ref] = (), on_death: bool = False) -> None:
        if keys not in ("unique", "duplicate"):
            raise BadSpec(f"keys={keys!r}: no such kind of registry{nearest(keys, ['unique', 'duplicate'])}")
        self.is_unique = keys == "unique"
        self._listeners = list(listeners)
        self._on_death = on_death
        self._lock = threading.RLock()
        self._entries: dict[Hashable, dict[int, tuple[Referenced, Hashable, Any]]] = {}  # tagged key -> number -> (incarnation, key, value)
        self._numbers = count(1)
        self._locks: dict[Hashable, deque[_Turn]] = {}
        self._waiting: dict[Hashable, list[PortalFuture]] = {}

    # owners ----------------------------------------------------------------------------------------------------------
    def register(self, key: Hashable, value: object = None) -> None:
        """Register the current agent under `key`.

        Parameters
        ----------
        key : hashable
            A str, a number, or a tuple of them.
        value : object
            Kept with it, for `lookup` and `dispatch`.

        Raises
        ------
        NotOwner
            Called outside any agent.
        AlreadyStarted
            Somebody has it, with that agent's ref.
        """
        self._claim(key, self._me("register"), value)

    def _claim(self, key: Hashable, incarnation: Referenced, value: object = None) -> None:
        """Register `incarnation` under `key` with `value`, as `register` does for the current agent."""
        tagged = _tagged(key)
        with self._lock:
            entries = self._entries.get(tagged)
            if entries is None:
                entries = self._entries[tagged] = {}
            elif self.is_unique:
                for number, (owner, _, _) in list(entries.items()):
                    if owner.ref.is_alive:
                        raise AlreadyStarted(owner.ref, key)
                    del entries[number]  # its loop was closed
            number = next(self._numbers)
            entries[number] = (incarnation, key, value)
            incarnation.names = incarnation.names if incarnation.names is not None else {}
            incarnation.names.setdefault((self, tagged), []).append(number)
            if self.is_unique and incarnation.known is None:
                incarnation.known = Via(self, key)
            waiting = self._waiting.pop(tagged, ())
        for future in waiting:
            if not future.done():
                future.set_result(incarnation.ref)
        self._notify(Registered(self, key, incarnation.ref, value))

    def unregister(self, key: Hashable) -> None:
        """Remove the current agent's `key`; nothing happens if it has none.

        Parameters
        ----------
        key : hashable
            One of its keys.

        Raises
        ------
        NotOwner
            Called outside any agent.
        """
        incarnation = self._me("unregister")
        if self._drop(_tagged(key), incarnation):
            self._notify(Unregistered(self, key, incarnation.ref))

    def update_value(self, key: Hashable, fn: Callable[[Any], Any]) -> tuple[Any, Any] | None:
        """Replace the value of the current agent's `key` by ``fn(value)``; returns ``(new, old)``, or None if it is not the owner.

        Parameters
        ----------
        key : hashable
            One of its keys.
        fn : callable
            Gets the old value and returns the new one, under the registry's lock: keep it short, it must not wait.

        Raises
        ------
        NotOwner
            Called outside any agent.
        TypeError
            The registry's keys are not unique.
        """
        incarnation = self._me("update_value")
        if not self.is_unique:
            raise TypeError("update_value needs a registry with unique keys")
        with self._lock:
            entries = self._entries.get(_tagged(key), {})
            for number, (owner, _, old) in entries.items():
                if owner is not incarnation:
                    break
                new = fn(old)
                entries[number] = (incarnation, key, new)
                return new, old
            return None

    def _forget(self, tagged: Hashable, incarnation: Addressee) -> None:
        """Remove the entry under `tagged` of an ended `incarnation`."""
        key = self._drop(tagged, incarnation)
        if key and self._on_death:
            self._notify(Unregistered(self, key[0], incarnation.ref))

    def _drop(self, tagged: Hashable, incarnation: Addressee) -> tuple[Hashable] | None:
        """Remove the entries of `incarnation` under `tagged`; returns the key in a tuple. Independent of the number of other entries."""
        with self._lock:
            numbers = incarnation.names.pop((self, tagged), ()) if incarnation.names else ()
            entries = self._entries.get(tagged, {})
            gone = [entry for number in numbers if (entry := entries.pop(number, None)) is not None]
            if not entries:
                self._entries.pop(tagged, None)
        return (gone[0][1],) if gone else None

    def _me(self, what: str) -> Referenced:
        incarnation: Referenced | None = CURRENT_AGENT.get()
        if incarnation is None:
            raise NotOwner(f"{what}() was called outside any agent: an agent registers itself, in init or a handler")
        if incarnation.fenced or incarnation.status is DEAD:
            raise NotOwner(f"{what}(): {incarnation.name!r} was killed")
        return incarnation

    def _notify(self, message: object) -> None:
        for listener in self._listeners:
            listener.send(message)

    # everybody -------------------------------------------------------------------------------------------------------
    def via(self, key: Hashable) -> Via:
        """`key` of this registry as an agent's name: ``Counter.start(name=reg.via("writer"))``.

        Parameters
        ----------
        key : hashable
            A str, a number, or a tuple of them.

        Raises
        ------
        TypeError
            The registry's keys are not unique.
        """
        if not self.is_unique:
            raise TypeError("via() needs a registry with unique keys: a name stands for one agent")
        return Via(self, key)

    def whereis(self, key: Hashable) -> AgentRef | None:
        """The ref of the first owner, or None.

        Parameters
        ----------
        key : hashable
            Which key.
        """
        found = self.lookup(key)
        return found[0][0] if found else None

    def lookup(self, key: Hashable) -> list[tuple[AgentRef, Any]]:
        """``[(ref, value), ...]``, oldest first.

        Parameters
        ----------
        key : hashable
            Which key; one that nobody has gives an empty list.
        """
        with self._lock:
            return [(owner.ref, value) for owner, _, value in self._entries.get(_tagged(key), {}).values() if owner.ref.is_alive]

    def keys(self, ref: AgentRef) -> list[Hashable]:
        """The keys of one agent.

        Parameters
        ----------
        ref : AgentRef
            Which agent.
        """
        with self._lock:
            owned = list((getattr(ref, "_incarnation", None) and ref._incarnation.names) or {})
            mine = [self._entries[tagged] for registry, tagged in owned if registry is self and tagged in self._entries]
            return [key for entries in mine for owner, key, _ in entries.values() if owner.ref is ref and ref.is_alive]

    def values(self, key: Hashable, ref: AgentRef | None = None) -> list[Any]:
        """The values under `key` (of one agent).

        Parameters
        ----------
        key : hashable
            Which key.
        ref : AgentRef or None
            Only what this agent keeps there; None: every owner's.
        """
        return [value for owner, value in self.lookup(key) if ref is None or owner is ref]

    def select(
        self, predicate: Callable[[Any, AgentRef, Any], object] = lambda key, ref, value: True
    ) -> list[tuple[Hashable, AgentRef, Any]]:
        """The entries ``(key, ref, value)`` for which ``predicate(key, ref, value)`` is true.

        Parameters
        ----------
        predicate : callable
            Called for each entry; without one, all entries are given.
        """
        return [entry for entry in self._all() if predicate(*entry)]

    def count(self) -> int:
        """Number of entries."""
        with self._lock:
            return sum(owner.ref.is_alive for entries in self._entries.values() for owner, _, _ in entries.values())

    def dispatch(self, key: Hashable, fn: Callable[[list[tuple[AgentRef, Any]]], object]) -> None:
        """Call ``fn([(ref, value), ...])`` here, if there is any entry; its exceptions are passed on.

        Parameters
        ----------
        key : hashable
            Which key.
        fn : callable
            Gets all entries of `key` in one list, oldest first.
        """
        found = self.lookup(key)
        if found:
            fn(found)

    def publish(self, topic: Hashable, message: object) -> int:
        """Send `message` to every owner of `topic` (as an info); a failure at one does not prevent the others.

        Parameters
        ----------
        topic : hashable
            A key; with ``Registry("duplicate")`` many agents may have it.
        message : object
            For each owner's `handle_info`.

        Returns
        -------
        int
            To how many.
        """
        sent = 0
        failed: Exception | None = None
        for ref, _ in self.lookup(topic):
            try:
                ref.send(message)
                sent += 1
            except Exception as exc:
                failed = failed or exc
        if failed is not None and not sent:
            raise failed
        return sent

    @asynccontextmanager
    async def lock(self, key: Hashable) -> AsyncIterator[None]:
        """Lock `key`, in order of arrival, from any loop; freed when the holder ends.

        Parameters
        ----------
        key : hashable
            What to hold. Locks stand apart from entries: the key need not be registered.
        """
        tagged, me = _tagged(key), CURRENT_AGENT.get()
        turn = _Turn(me)
        with self._lock:
            queue = self._locks.setdefault(tagged, deque())
            queue.append(turn)
            is_first = queue[0] is turn
        free = self._freer(tagged, turn)
        if me is not None:
            me.cleanups = [*(me.cleanups or ()), free]
        try:
            if not is_first:
                await turn.wait
            yield
        finally:
            free()
            if me is not None and me.cleanups:
                me.cleanups = [c for c in me.cleanups if c is not free] or None

    def _freer(self, tagged: Hashable, turn: _Turn) -> Callable[..., None]:
        def free(_: object = None) -> None:
            with self._lock:
                queue = self._locks.get(tagged)
                if not queue or turn not in queue:
                    return
                was_first = queue[0] is turn
                queue.remove(turn)
                if not queue:
                    del self._locks[tagged]
                elif was_first:
                    queue[0].wait.set_result(None)

        return free

    def _expect(self, key: Hashable) -> PortalFuture:
        """A `PortalFuture` of the next owner of `key`, or of the one it has."""
        waiting = PortalFuture(asyncio.get_running_loop())
        with self._lock:
            found = self.lookup(key)
            if found:
                waiting.set_result(found[0][0])
            else:
                self._waiting.setdefault(_tagged(key), []).append(waiting)
        return waiting

    def _some_keys(self, most: int) -> list[str]:
        """The keys as texts, to find a misspelt one among them; none when there are more than `most`."""
        with self._lock:
            if len(self._entries) > most:
                return []
            return [short(key, str) for entries in self._entries.values() for _, key, _ in [next(iter(entries.values()))]]

    def _all(self) -> list[tuple[Hashable, AgentRef, Any]]:
        with self._lock:
            found = [entry for entries in self._entries.values() for entry in entries.values() if entry[0].ref.is_alive]
            return [(key, incarnation.ref, value) for incarnation, key, value in found]

    def __repr__(self) -> str:
        return f"<Registry {'unique' if self.is_unique else 'duplicate'}, {self.count()} entries>"


class _Turn:
    """One waiter for a lock."""

    __slots__ = ("holder", "wait")

    def __init__(self, holder: Referenced | None) -> None:
        self.holder = holder
        self.wait = PortalFuture(asyncio.get_running_loop())


def _tagged(key: Hashable) -> Hashable:
    if isinstance(key, tuple):
        return (tuple, tuple(_tagged(part) for part in key))
    try:
        hash(key)
    except TypeError:
        raise BadSpec(f"key {key!r} is not hashable: use a str, a number or a tuple of them") from None
    return (type(key), key)


