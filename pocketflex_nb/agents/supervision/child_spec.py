"""`child` and `ChildSpec`: how one child is started and restarted, checked before anything starts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from pocketflex_nb.agents.actor.agent import Agent
from pocketflex_nb.agents.protocol.errors import BadSpec, check_time
from pocketflex_nb.core.errors import nearest

__all__ = ["ChildSpec", "as_spec", "check_significant", "check_specs", "child"]

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
    id, restart, significant, name, isolation, strict, persist
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
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict)
    id: Hashable = None
    restart: str = "permanent"
    shutdown: float | str | None = 5.0
    significant: bool = False
    name: Hashable = None
    type: str = "worker"
    tree: Any = None
    isolation: str | None = None
    strict: bool | None = None
    persist: Any = None


def child(
    cls: object,
    *args: object,
    id: Hashable = None,
    restart: str = "permanent",
    shutdown: float | str | None = _DEFAULT,
    significant: bool = False,
    name: Hashable = None,
    isolation: str | None = None,
    strict: bool | None = None,
    persist: object = None,
    **kwargs: object,
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
    persist : str or Path, optional
        A file that keeps the agent's state over restarts and kernels, see `Agent`; None is what the class says.

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
    if isinstance(cls, type) and hasattr(cls, "_pfx_behaviour"):
        given = {"name": name, "strict": strict}
        tree = cls(*args, **kwargs, **{key: value for key, value in given.items() if value is not None})
        args, kwargs, name = (), {}, None
    elif not (isinstance(cls, type) and issubclass(cls, Agent)):
        raise BadSpec(f"child({cls!r}): give the class of an Agent or a Supervisor" + _hint(cls))
    if tree is not None and persist is not None:
        raise BadSpec(f"child({cls.__name__}, persist=...): a supervisor has no state; give it to its children")
    spec = ChildSpec(
        cls, args, kwargs, id, restart, shutdown, significant, name, tree=tree, isolation=isolation, strict=strict, persist=persist
    )
    return _checked(_completed(spec))


def as_spec(item: object) -> ChildSpec:
    """A `ChildSpec` from an entry of a supervisor's list: a spec, a class, a template agent, a supervisor."""
    if isinstance(item, ChildSpec):
        return _checked(_completed(item))
    if isinstance(item, Agent):
        args, kwargs = getattr(item, "_pfx_template", ((), {}))
        return child(type(item), *args, **kwargs)
    if hasattr(type(item), "_pfx_behaviour"):
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
        raise BadSpec(f"child {spec.id!r}: restart={spec.restart!r}: no such restart type{nearest(str(spec.restart), _RESTARTS)}")
    if isinstance(spec.shutdown, str):
        if spec.shutdown != "kill":
            raise BadSpec(f'child {spec.id!r}: shutdown={spec.shutdown!r}; give seconds, "kill" or None')
    else:
        check_time(spec.shutdown, f"child {spec.id!r}: shutdown")
    if spec.isolation not in (None, "process"):
        raise BadSpec(f"child {spec.id!r}: isolation={spec.isolation!r}: no such isolation{nearest(str(spec.isolation), ['process'])}")
    if spec.significant and spec.restart == "permanent":
        raise BadSpec(f"child {spec.id!r} is significant and permanent, so it would never end: make it transient or temporary")
    try:
        hash(spec.id)
    except TypeError:
        raise BadSpec(f"child id {spec.id!r} is not hashable: use a str or a number") from None
    return spec


def _hint(cls: object) -> str:
    return f", not its instance: child({type(cls).__name__}, ...)" if isinstance(cls, Agent) else ""


def check_specs(specs: list[ChildSpec], auto_shutdown: str) -> None:
    """Raise for a list of specs that contradict each other."""
    seen: set[Hashable] = set()
    for spec in specs:
        if spec.id in seen:
            raise BadSpec(f"two children have the id {spec.id!r}: give one of them another id=")
        seen.add(spec.id)
        check_significant(spec, auto_shutdown)


def check_significant(spec: ChildSpec, auto_shutdown: str) -> None:
    """Raise for a significant child whose end would have no effect."""
    if spec.significant and auto_shutdown == "never":
        raise BadSpec(f'child {spec.id!r} is significant, and auto_shutdown is "never": give auto_shutdown="any_significant"')


