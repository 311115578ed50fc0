"""`PartitionSupervisor`: N copies of one child; a key always goes to the same copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from pocketflex_nb.agents.host.agent_host import Engine
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee, InternalMessage
from pocketflex_nb.agents.messaging.monitors import Pending
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import BadSpec, NotRunning
from pocketflex_nb.agents.supervision.behaviour import SupervisorBehaviour, SupervisorIncarnation
from pocketflex_nb.agents.supervision.child_spec import as_spec
from pocketflex_nb.agents.supervision.supervisor import AnySupervisor
from pocketflex_nb.agents.supervision.supervisor_options import SupervisorOptions
from pocketflex_nb.agents.supervision.supervisor_ref import SupervisorRef

__all__ = ["PartitionIncarnation", "PartitionRef", "PartitionSupervisor", "PartitionSupervisorBehaviour", "partition_of"]


def partition_of(key: object, partitions: int) -> int:
    """The number of the partition of `key`, in every process the same.

    Parameters
    ----------
    key : int, str, bytes, or anything whose `repr` tells it apart
        Whole numbers go by ``abs(key) % partitions``, everything else by a hash of its text.
    partitions : int
        How many there are.

    Returns
    -------
    int
        From 0 to ``partitions - 1``.

    Examples
    --------
    >>> from pocketflex_nb.agents import partition_of
    >>> partition_of(7, 4), partition_of("user 12", 4) == partition_of("user 12", 4)
    (3, True)
    """
    if partitions < 1:
        raise NotRunning(f"for {key!r}", ": there are no partitions now; resize(n) makes some")
    if isinstance(key, int):
        return abs(int(key)) % partitions
    data = key if isinstance(key, bytes) else f"{type(key).__name__}:{key!r}".encode()
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big") % partitions


class PartitionSupervisorBehaviour(SupervisorBehaviour):
    """The agent that runs a `PartitionSupervisor`."""

    async def init(self, options: SupervisorOptions) -> Stop | None:
        """Start the copies."""
        self.partitions = options.partitions
        return await super().init(options)

    async def resize(self, partitions: int) -> None:
        """Stop the copies from `partitions` on; start the others."""
        self.partitions = partitions
        kept, surplus = self.order[:partitions], self.order[partitions:]  # their ids are 0 to N-1, in this order
        for child in reversed(surplus):
            await self._stop(child)
        for child in kept:
            if child.ref is None and not child.is_restarting and not await self._start_again(child):
                child.is_restarting = True
                self.retry_later(child, "shutdown")


class PartitionRef(SupervisorRef):
    """The address of a partition supervisor; ``ref(key)`` is the copy for `key`, or None while it does not run."""

    __slots__ = ()

    def route(self, key: object) -> AgentRef:
        """See `PartitionSupervisor.route`."""
        number = partition_of(key, self._agent().partitions)
        found = next((child.ref for child in list(self._agent().order) if child.spec.id == number), None)
        if found is None:
            raise NotRunning(f"{self.name}/{number}", ": it does not run now")
        ref: AgentRef = found
        return ref

    def __call__(self, key: object) -> AgentRef | None:
        """The copy for `key`, or None while it does not run."""
        try:
            return self.route(key)
        except NotRunning:
            return None

    def resize(self, partitions: int) -> Pending:
        """See `PartitionSupervisor.resize`."""
        tree = self._agent()
        most = tree.options.partitions
        if isinstance(partitions, bool) or not isinstance(partitions, int) or not 0 <= partitions <= most:
            raise BadSpec(f"resize({partitions!r}): give a whole number from 0 to {most}")

        async def resize(incarnation: Addressee) -> None:
            await incarnation.agent.resize(partitions)

        return self._ordered(resize, lambda incarnation: None, InternalMessage)


class PartitionIncarnation(SupervisorIncarnation):
    """One incarnation of a partition supervisor."""

    __slots__ = ()
    ref_class = PartitionRef
    ref: PartitionRef


class PartitionSupervisor(AnySupervisor):
    """N copies of one child, with ids 0 to N-1.

    Parameters
    ----------
    spec : child(...), class or template
        What is copied.
    partitions : int or None
        How many; None is the number of cores.
    with_args : callable or None
        ``with_args(args, i) -> args`` gives the arguments of copy `i`.
    auto_shutdown : str
        Only "never": partitions have no significant children.
    strategy, max_restarts, max_seconds, name, clock, engine, keep, strict
        See `Supervisor`.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, PartitionSupervisor
    >>> class Cache(Agent):
    ...     async def init(self):
    ...         self.seen = {}
    ...     async def handle_call(self, message, caller):
    ...         self.seen[message] = self.seen.get(message, 0) + 1
    ...         return self.seen[message]
    >>> caches = PartitionSupervisor(Cache, partitions=4).start_sync()
    >>> [caches.route(key).call_sync(key) for key in ("ann", "bob", "ann")]      # the same copy for "ann" each time
    [1, 1, 2]
    >>> caches.stop_sync()
    """

    _pfx_behaviour = PartitionSupervisorBehaviour
    _pfx_incarnation = PartitionIncarnation

    def __init__(
        self,
        spec: object,
        *,
        partitions: int | None = None,
        with_args: Callable[[tuple[Any, ...], int], Iterable[object]] | None = None,
        strategy: str = "one_for_one",
        max_restarts: int = 3,
        max_seconds: float = 5.0,
        auto_shutdown: str = "never",
        name: Hashable = None,
        clock: Clock | None = None,
        engine: Engine = None,
        keep: bool = False,
        strict: bool = False,
    ) -> None:
        count = (os.cpu_count() or 1) if partitions is None else partitions
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadSpec(f"partitions={partitions!r}: give a whole number, 1 or more")
        if auto_shutdown != "never":
            raise BadSpec(f"auto_shutdown={auto_shutdown!r}: partitions have no significant children")
        if strategy not in ("one_for_all", "one_for_one", "rest_for_one"):
            raise BadSpec(f"strategy={strategy!r}: no such strategy")
        base = as_spec(spec)
        if base.significant:
            raise BadSpec(f"child {base.id!r} is significant: a partition supervisor has no significant children")
        if base.tree is not None:
            raise BadSpec("a partition copies agents, not supervisors")
        if base.name is not None:
            raise BadSpec(f"name={base.name!r}: the copies cannot all have one name; use route(key)")
        given = with_args or (lambda args, i: args)
        specs = tuple(replace(base, id=i, args=tuple(given(base.args, i))) for i in range(count))
        options = SupervisorOptions(specs, strategy, max_restarts, max_seconds, strict=strict, partitions=count)
        super().__init__(options, name=name, clock=clock, engine=engine, keep=keep)

    @property
    def ref(self) -> PartitionRef:
        """Its address; ``ps.ref(key)`` is the copy for `key`, or None while that does not run."""
        ref: PartitionRef = super().ref  # type: ignore[assignment]  # its incarnations are of PartitionIncarnation
        return ref

    def route(self, key: object) -> AgentRef:
        """The copy that `key` belongs to: the same in every process.

        Parameters
        ----------
        key : int, str, bytes, or anything whose `repr` tells it apart
            See `partition_of`.

        Raises
        ------
        NotRunning
            There are no partitions now, or that copy does not run.
        """
        ref: AgentRef = self.ref.route(key)
        return ref

    def resize(self, partitions: int) -> Pending:
        """Run only the first `partitions` copies, from 0 up to as many as there were; await it to wait for the stops and starts.

        Parameters
        ----------
        partitions : int
            From 0 to as many as there were at the start.

        Raises
        ------
        ValueError
            More than there were at the start.
        """
        return self.ref.resize(partitions)

    def __getitem__(self, number: int) -> Any:
        return self.ref[number]
