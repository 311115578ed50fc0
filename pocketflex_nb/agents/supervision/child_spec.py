"""What is a child? The spec a supervisor starts it from, checked before anything starts; and the rules of restarting."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from pocketflex_nb.agents.actor.agent import Agent
from pocketflex_nb.agents.protocol.errors import BadSpec, check_time
from pocketflex_nb.agents.protocol.exit_reasons import is_abnormal
from pocketflex_nb.core.errors import nearest

__all__ = ["ChildInfo", "ChildSpec", "Counts", "Intensity", "as_spec", "check_significant", "check_specs", "child", "needs_restart"]

_RESTARTS = ("permanent", "temporary", "transient")
_DEFAULT: Any = object()


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start a child; made by `child`.

    Parameters
    ----------
    cls : type
        An agent's class, or a supervisor's.
    args, kwargs
        For its `init`.
    id, restart, significant, name, isolation, strict
        As for `child`.
    shutdown : float, "kill" or None
        Seconds it gets to end in an orderly way; None is as long as it takes.
    type : "worker" or "supervisor"
        What it is.
    tree : object
        For a supervisor: the object it was made from.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, child
    >>> class Writer(Agent):
    ...     async def init(self, topic):
    ...         self.topic = topic
    >>> spec = child(Writer, "tides", id="w1", restart="transient")
    >>> spec.id, spec.args, spec.restart, spec.shutdown
    ('w1', ('tides',), 'transient', 5.0)
    """

    cls: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    id: Any = None
    restart: str = "permanent"
    shutdown: float | str | None = 5.0
    significant: bool = False
    name: Any = None
    type: str = "worker"
    tree: Any = None
    isolation: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """A child as it is now.

    Parameters
    ----------
    id : hashable
        By which the supervisor knows it.
    ref : AgentRef or None
        Its address, while it lives.
    status : "running", "restarting" or "stopped"
        What it does.
    type : "worker" or "supervisor"
        What it is.
    restarts : int
        How often it was restarted.
    version : int
        Number of code versions seen.
    is_stale : bool
        It runs older code than the notebook has now.
    error : str or None
        Why it ended last.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> sup = Supervisor([child(Idler, id="a")]).start_sync()
    >>> [info] = sup.children()
    >>> info.id, info.status, info.restarts, info.ref is sup["a"]
    ('a', 'running', 0, True)
    >>> sup.stop_sync()
    """

    id: Any
    ref: Any
    status: str
    type: str
    restarts: int
    version: int = 1
    is_stale: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many children a supervisor has: specs, living ones, and of which type the specs are.

    Parameters
    ----------
    specs : int
        Children that it knows, running or not.
    active : int
        Those that live.
    supervisors, workers : int
        Of `specs`, by type.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Supervisor
    >>> class Idler(Agent):
    ...     pass
    >>> sup = Supervisor([Idler]).start_sync()
    >>> sup.count()
    Counts(specs=1, active=1, supervisors=0, workers=1)
    >>> specs, active, supervisors, workers = sup.count()
    >>> sup.stop_sync()
    """

    specs: int
    active: int
    supervisors: int
    workers: int

    def __iter__(self) -> Any:
        return iter((self.specs, self.active, self.supervisors, self.workers))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, Counts)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def child(
    cls: Any,
    *args: Any,
    id: Any = None,
    restart: str = "permanent",
    shutdown: float | str | None = _DEFAULT,
    significant: bool = False,
    name: Any = None,
    isolation: str | None = None,
    strict: bool | None = None,
    **kwargs: Any,
) -> ChildSpec:
    """A child of a supervisor: ``child(Writer, "draft", id="w1")``.

    Parameters
    ----------
    cls : type
        An `Agent`, `Supervisor`, `DynamicSupervisor`, ... class; `args` and `kwargs` are for its `init`.
    id : hashable
        Default: the name, else the class's name. No two children of a supervisor have the same.
    restart : "permanent", "transient" or "temporary"
        Always; after an abnormal end; never.
    shutdown : float, "kill" or None
        Seconds to end in an orderly way, then it is killed. Default 5.0; None (as long as it takes) for supervisors.
    significant : bool
        Its end may end the supervisor: see ``auto_shutdown``.
    name : hashable or Via
        Registered name.
    isolation : None or "process"
        A process of its own; None is what the class says.
        It is no security boundary: it keeps faults apart, not attackers.
    strict : bool or None
        Copy messages and refuse what could not travel; None is what the class, or the supervisor, says.

    Raises
    ------
    BadSpec
        It cannot be.

    Examples
    --------
    >>> from pocketflex_nb import Agent, Supervisor, child
    >>> class Greeter(Agent):
    ...     async def init(self, greeting):
    ...         self.greeting = greeting
    ...     async def handle_call(self, name, caller):
    ...         return f"{self.greeting} {name}"
    >>> sup = Supervisor([child(Greeter, "hello", id="greeter", restart="transient")]).start_sync()
    >>> sup["greeter"].call_sync("Ada")
    'hello Ada'
    >>> sup.stop_sync()
    """
    tree = None
    if isinstance(cls, type) and hasattr(cls, "_pfx_tree"):
        given = {"name": name, "strict": strict}
        tree = cls(*args, **kwargs, **{key: value for key, value in given.items() if value is not None})
        args, kwargs, name = (), {}, None
    elif not (isinstance(cls, type) and issubclass(cls, Agent)):
        raise BadSpec(f"child({cls!r}): give the class of an Agent or a Supervisor" + _hint(cls))
    spec = ChildSpec(cls, args, kwargs, id, restart, shutdown, significant, name, tree=tree, isolation=isolation, strict=strict)
    return _checked(_completed(spec))


def as_spec(item: Any) -> ChildSpec:
    """A `ChildSpec` from what may stand in a supervisor's list: a spec, a class, a template agent, a supervisor."""
    if isinstance(item, ChildSpec):
        return _checked(_completed(item))
    if isinstance(item, Agent):
        args, kwargs = getattr(item, "_pfx_template", ((), {}))
        return child(type(item), *args, **kwargs)
    if hasattr(type(item), "_pfx_tree"):
        return _checked(_completed(ChildSpec(type(item), tree=item, shutdown=_DEFAULT)))
    return child(item)


def _completed(spec: ChildSpec) -> ChildSpec:
    is_tree = spec.tree is not None
    shutdown = (None if is_tree else 5.0) if spec.shutdown is _DEFAULT else spec.shutdown
    name = spec.tree.name if is_tree else spec.name
    called = getattr(name, "key", name)
    id = spec.id if spec.id is not None else called if called is not None else spec.cls.__name__
    return replace(spec, id=id, shutdown=shutdown, type="supervisor" if is_tree else "worker")


def _checked(spec: ChildSpec) -> ChildSpec:
    if spec.restart not in _RESTARTS:
        raise BadSpec(f"child {spec.id!r}: restart={spec.restart!r} is none{nearest(str(spec.restart), _RESTARTS)}")
    if isinstance(spec.shutdown, str):
        if spec.shutdown != "kill":
            raise BadSpec(f'child {spec.id!r}: shutdown={spec.shutdown!r}; give seconds, "kill" or None')
    else:
        check_time(spec.shutdown, f"child {spec.id!r}: shutdown")
    if spec.isolation not in (None, "process"):
        raise BadSpec(f"child {spec.id!r}: isolation={spec.isolation!r} is none{nearest(str(spec.isolation), ['process'])}")
    if spec.significant and spec.restart == "permanent":
        raise BadSpec(f"child {spec.id!r} is significant and permanent, so it would never end: make it transient or temporary")
    try:
        hash(spec.id)
    except TypeError:
        raise BadSpec(f"child id {spec.id!r} is not hashable: use a str or a number") from None
    return spec


def _hint(cls: Any) -> str:
    return f", not its instance: child({type(cls).__name__}, ...)" if isinstance(cls, Agent) else ""


def check_specs(specs: list[ChildSpec], auto_shutdown: str) -> None:
    """Refuse a list of specs that cannot stand together."""
    seen: set[Any] = set()
    for spec in specs:
        if spec.id in seen:
            raise BadSpec(f"two children have the id {spec.id!r}: give one of them another id=")
        seen.add(spec.id)
        check_significant(spec, auto_shutdown)


def check_significant(spec: ChildSpec, auto_shutdown: str) -> None:
    """Refuse a significant child where its end could mean nothing."""
    if spec.significant and auto_shutdown == "never":
        raise BadSpec(f'child {spec.id!r} is significant, and auto_shutdown is "never": give auto_shutdown="any_significant"')


def needs_restart(restart: str, reason: Any) -> bool:
    """Whether a child that ended by itself is started again."""
    return restart == "permanent" or (restart == "transient" and is_abnormal(reason))


class Intensity:
    """Tells how many restarts within how many seconds are too many.

    Parameters
    ----------
    max_restarts : int
        One more than these within `max_seconds` (an entry exactly that old still counts) is too many.
    """

    __slots__ = ("entries", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
            raise BadSpec(f"max_restarts={max_restarts!r}: give a whole number, 0 or more")
        if max_seconds is None:
            raise BadSpec("max_seconds=None: give seconds, more than 0")
        check_time(max_seconds, "max_seconds", zero=False)
        self.max_restarts, self.max_seconds = max_restarts, max_seconds
        self.entries: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count one restart; False when it is one too many."""
        entries = self.entries
        entries.append(now)
        while entries and now - entries[0] > self.max_seconds + 1e-9:
            entries.popleft()
        return len(entries) <= self.max_restarts
