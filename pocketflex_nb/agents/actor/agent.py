"""`Agent`: the class that users write, and `handles`, which marks the methods that are its messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable
from typing import Any, TypeVar, overload

from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.start_agent import StartOptions, start_lone
from pocketflex_nb.agents.host.agent_host import Engine
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Caller
from pocketflex_nb.agents.protocol.errors import NotOwner, Unhandled
from pocketflex_nb.agents.protocol.exit_reasons import format_reason, short
from pocketflex_nb.agents.protocol.info_messages import Down, Exit, TaskDone
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["Agent", "handles", "has_newer_code", "latest_class"]

#: what the template of an agent has for `start`
_TEMPLATES = frozenset(("start", "start_sync"))
_F = TypeVar("_F", bound=Callable[..., Any])


class handles:
    """Marks methods that answer messages of their own name: ``await ref.pop()``, ``ref.push(1)``.

    Examples
    --------
    >>> class Stack(Agent):
    ...     async def init(self):
    ...         self.items = []
    ...     @handles.call
    ...     async def pop(self):
    ...         return self.items.pop()
    ...     @handles.cast
    ...     async def push(self, item):
    ...         self.items.append(item)
    >>> import asyncio
    >>> async def main():
    ...     stack = await Stack.start()
    ...     stack.push("a")
    ...     stack.push("b")
    ...     top = await stack.pop()
    ...     await stack.stop()
    ...     return top
    >>> asyncio.run(main())
    'b'
    """

    @overload
    @staticmethod
    def call(fn: _F) -> _F: ...
    @overload
    @staticmethod
    def call(fn: None = None, *, reentrant: bool = False) -> Callable[[_F], _F]: ...
    @staticmethod
    def call(fn: _F | None = None, *, reentrant: bool = False) -> _F | Callable[[_F], _F]:
        """The return value is the reply.

        Parameters
        ----------
        fn : callable
            The method, when it stands as a plain ``@handles.call``.
        reentrant : bool
            Let the next message in while this one waits.
        """
        return _mark("call", fn, reentrant)

    @overload
    @staticmethod
    def cast(fn: _F) -> _F: ...
    @overload
    @staticmethod
    def cast(fn: None = None, *, reentrant: bool = False) -> Callable[[_F], _F]: ...
    @staticmethod
    def cast(fn: _F | None = None, *, reentrant: bool = False) -> _F | Callable[[_F], _F]:
        """The caller does not wait; the return value is read as in `Agent.handle_cast`.

        Parameters
        ----------
        fn : callable
            The method, when it stands as a plain ``@handles.cast``.
        reentrant : bool
            Let the next message in while this one waits.
        """
        return _mark("cast", fn, reentrant)


def _mark(kind: str, fn: _F | None, reentrant: bool) -> _F | Callable[[_F], _F]:
    def mark(fn: _F) -> _F:
        fn._pfx_handles = (kind, reentrant)  # type: ignore[attr-defined]  # a mark on the user's function
        return fn

    return mark if fn is None else mark(fn)


def _default(fn: _F) -> _F:
    fn.is_default = True  # type: ignore[attr-defined]  # a mark on our own function
    return fn


class Agent:
    """An agent: private state, a mailbox, one message at a time.

    Override `init` and the handlers; each may be ``async def`` or ``def``. State is the attributes of `self`. Start it with
    ``await Counter.start(3)``, or under a supervisor with ``child(Counter, 3)``; an agent made by calling the class is a template of
    that: ``Counter(3)`` may stand in a supervisor's list.

    Parameters
    ----------
    *args, **kwargs
        For `init`, when it starts and at each restart.

    Attributes
    ----------
    trap_exit : bool
        Whether exit signals of links come to `handle_info` as `Exit` messages, and messages received before a shutdown are handled.
    isolation : None or "process"
        A process of its own: memory and kill are real, values travel by cloudpickle.
        It is no security boundary: it keeps faults apart, not attackers.
    strict : bool
        Deep-copy messages and refuse what could not travel to a process.
    strict_cast : bool
        Log casts that are lost because it is dead.
    reload : None or "on_restart"
        A restart takes the class now bound in ``__main__``.
    persist : None, str or Path
        A file that keeps its state, the attributes, over restarts and kernels: read after `init`, written after each message that it has
        handled, before the reply. Under a supervisor that has a name, or with a name of its own, the next kernel finds it.
    transient : set of str
        Attributes that `persist` leaves out; `init` sets them.
    ref : AgentRef
        Its own ref.

    Examples
    --------
    >>> class Counter(Agent):
    ...     async def init(self, n=0):
    ...         self.n = n
    ...     async def handle_call(self, message, caller):
    ...         self.n += message
    ...         return self.n
    >>> ref = Counter.start_sync(3)
    >>> ref.call_sync(4)
    7
    >>> ref.stop_sync()
    """

    trap_exit: bool = False
    isolation: str | None = None
    strict: bool = False
    strict_cast: bool = False
    reload: str | None = None
    persist: Any = None
    transient: Collection[str] = frozenset()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if hasattr(value, "_pfx_handles") and hasattr(AgentRef, name):
                raise TypeError(
                    f"{cls.__name__}.{name} cannot be a handler: AgentRef has an attribute {name!r} of its own; choose another name"
                )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from functools import partial

        self._pfx_template = (args, kwargs)
        for name in ("start", "start_sync"):
            setattr(self, name, partial(getattr(type(self), name), *args, **kwargs))

    @property
    def ref(self) -> AgentRef:
        """Its own ref, while it handles a message."""
        incarnation: Incarnation | None = CURRENT_AGENT.get()
        if incarnation is None or incarnation.agent is not self:
            raise AttributeError("self.ref is available only while the agent handles a message")
        return incarnation.ref

    # what users write ------------------------------------------------------------------------------------------------
    @_default
    async def init(self, *args: Any, **kwargs: Any) -> Any:
        """Set the state up. Return None, `Idle(seconds)`, `Continue(value)`, `IGNORE` or `Stop(reason)`."""
        if args or kwargs:
            raise TypeError(f"{type(self).__name__} takes no arguments: it has no `async def init(self, ...)`")

    async def handle_call(self, message: Any, caller: Caller) -> Any:
        """Answer a call: the return value is the reply; or `NO_REPLY` and later ``caller.reply(x)``, or ``Stop(reason, reply=x)``.

        ``Continue(value, reply=x)`` and ``Idle(seconds, reply=x)`` reply, and say how to go on.

        Parameters
        ----------
        message : object
            What was asked.
        caller : Caller
            Who waits for the answer.
        """
        raise Unhandled(f"{type(self).__name__} received the call {short(message)} but has no handle_call: define it, or use @handles.call")

    async def handle_cast(self, message: Any) -> Any:
        """Handle a message without a reply. Return None, `Idle`, `Continue` or `Stop`.

        Parameters
        ----------
        message : object
            What was sent by `AgentRef.cast`.
        """
        raise Unhandled(f"{type(self).__name__} received the cast {short(message)} but has no handle_cast: define it, or use @handles.cast")

    async def handle_info(self, message: Any) -> Any:
        """Handle any other message: `Down`, `Exit`, `TaskDone`, ``"timeout"``, messages of `send`.

        Parameters
        ----------
        message : object
            What came. Without a handler it is told in the log and dropped.
        """
        from pocketflex_nb.agents.host.agent_log import warn

        incarnation = CURRENT_AGENT.get()
        incarnation.note("unhandled", {"what": incarnation.host.log.describe(message)}, incarnation.cause)
        warn(f"agent {incarnation.name!r} received {_told(message)} but has no handle_info: the message is dropped")

    async def handle_continue(self, value: Any) -> Any:
        """Continue after `Continue(value)`, before any message of the mailbox.

        Parameters
        ----------
        value : object
            The one of the `Continue`.
        """
        raise Unhandled(f"{type(self).__name__} returned Continue({short(value)}) but has no handle_continue")

    @_default
    async def terminate(self, reason: object) -> None:
        """Clean up. Runs at `Stop`, at a crash and at the supervisor's shutdown; never at a kill.

        Parameters
        ----------
        reason : object
            Exit reason: ``"normal"``, ``"shutdown"``, `Shutdown`, `Crash`, or what `Stop` was given.
        """

    def code_change(self, old_cls: type) -> object:
        """Adapt the attributes after ``ref.upgrade(NewClass)``.

        Parameters
        ----------
        old_cls : type
            The class it had before.
        """

    def redact(self, state: dict[str, Any]) -> dict[str, Any]:
        """The attributes that ``ref.state()`` and the views may show.

        Parameters
        ----------
        state : dict
            A copy of the attributes; what is returned is shown in its place.
        """
        return state

    # its state in a file --------------------------------------------------------------------------------------------
    def _pfx_kept_state(self) -> tuple[dict[str, Any], list[str]]:
        """What `persist` keeps, and the names in it that `redact` hides."""
        state = {
            name: value for name, value in vars(self).items()
            if name not in self.transient and not name.startswith("_pfx_") and name not in _TEMPLATES
        }
        if type(self).redact is Agent.redact:
            return state, []
        shown = self.redact(dict(state))
        return state, [name for name, value in state.items() if name not in shown or (shown[name] is not value and shown[name] != value)]

    def _pfx_restore(self, state: dict[str, Any]) -> None:
        """Take what `persist` has kept."""
        vars(self).update(state)

    @staticmethod
    def forget_state(path: object, name: str) -> bool:
        """Remove the state that `persist` has kept of an agent, so that it starts clean; False when there is none.

        Parameters
        ----------
        path : str or Path
            The file.
        name : str
            The agent's name, or its path in the supervision tree: ``"team/writer"``.

        Raises
        ------
        StateHeld
            The agent lives, here or in another process.
        JournalError
            There is no such file, or it cannot be used.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "state.sqlite"
        >>> class Counter(Agent):
        ...     async def init(self):
        ...         self.n = 0
        ...     async def handle_call(self, message, caller):
        ...         self.n += message
        ...         return self.n
        >>> counter = Counter.start_sync(name="counter", persist=file)
        >>> counter.call_sync(3)
        3
        >>> counter.stop_sync()
        >>> again = Counter.start_sync(name="counter", persist=file)     # in this kernel or the next one
        >>> again.call_sync(4)
        7
        >>> again.stop_sync()
        >>> Agent.forget_state(file, "counter"), Agent.forget_state(file, "counter")
        (True, False)
        """
        from pocketflex_nb.core import ports

        assert ports.journal is not None  # the package root fills it
        return ports.journal.forget_agent(path, name)

    # starting --------------------------------------------------------------------------------------------------------
    @classmethod
    async def start(
        cls,
        *args: object,
        name: Hashable = None,
        clock: Clock | None = None,
        engine: Engine = None,
        keep: bool = False,
        isolation: str | None = None,
        strict: bool | None = None,
        persist: object = None,
        **kwargs: object,
    ) -> Any:
        """Start an agent without a supervisor, and wait until `init` has returned.

        Parameters
        ----------
        *args, **kwargs
            For `init`.
        name : hashable or Via
            Its name in the default registry, or ``reg.via(key)``.
        clock : Clock or None
            For its timers and timeouts.
        engine : None or "inline"
            None is the engine thread; "inline" the caller's loop.
        keep : bool
            Let it live on when the cell that started it is run again.
        isolation : None or "process"
            A process of its own; None: as the class says.
            It is no security boundary: it keeps faults apart, not attackers.
        strict : bool or None
            Deep-copy messages and refuse what could not travel to a process; None: as the class says.
        persist : str or Path, optional
            A file that keeps its state over restarts and kernels; None: as the class says.

        Returns
        -------
        AgentRef or None
            None when `init` returned `IGNORE`.

        Raises
        ------
        AlreadyStarted
            The name is taken.
        StartError
            `init` failed or returned `Stop`.
        """
        options = StartOptions(name=name, clock=clock, engine=engine, keep=keep, isolation=isolation, strict=strict, persist=persist)
        return await start_lone(cls, args, kwargs, options)

    @classmethod
    async def start_link(cls, *args: object, **kwargs: Any) -> Any:
        """`start` an agent that is linked to the current one from the start.

        Parameters
        ----------
        *args, **kwargs
            As for `start`.

        Returns
        -------
        AgentRef or None
            None when `init` returned `IGNORE`.

        Raises
        ------
        NotOwner
            Called outside any agent.
        BadSpec
            It would live on another loop.
        AlreadyStarted, StartError
            As `start`; the current agent is told by this alone, not over the link too.

        Examples
        --------
        >>> class Engine(Agent):
        ...     pass
        >>> class Car(Agent):
        ...     async def init(self):
        ...         self.engine = await Engine.start_link()
        >>> car = Car.start_sync()
        >>> ended = car.monitor()
        >>> car.state()["engine"].exit("overheated")
        >>> ended.wait(5).reason
        'overheated'
        """
        me: Incarnation | None = CURRENT_AGENT.get()
        if me is None:
            raise NotOwner(f"{cls.__name__}.start_link() was called outside any agent: use start(), or start_monitor()")
        rest, options = _split(kwargs)
        return await start_lone(cls, args, rest, options, linked_to=me)

    @classmethod
    async def start_monitor(cls, *args: object, **kwargs: Any) -> tuple[Any, Any]:
        """`start` an agent and monitor it from the start.

        Parameters
        ----------
        *args, **kwargs
            As for `start`.

        Returns
        -------
        (AgentRef, Monitor)
            ``(None, None)`` when `init` returned `IGNORE`.

        Raises
        ------
        AlreadyStarted, StartError
            As `start`.

        Examples
        --------
        >>> import asyncio
        >>> from pocketflex_nb.agents import Stop
        >>> class Mayfly(Agent):
        ...     async def handle_cast(self, message):
        ...         return Stop(message)
        >>> async def main():
        ...     ref, monitor = await Mayfly.start_monitor()
        ...     ref.cast("dusk")
        ...     return (await monitor).reason
        >>> asyncio.run(main())
        'dusk'
        """
        ref = await cls.start(*args, **kwargs)
        return (ref, ref.monitor()) if ref is not None else (None, None)

    @classmethod
    def start_sync(
        cls,
        *args: object,
        name: Hashable = None,
        clock: Clock | None = None,
        keep: bool = False,
        isolation: str | None = None,
        strict: bool | None = None,
        persist: object = None,
        **kwargs: object,
    ) -> Any:
        """`start` from plain code, on the engine thread; its other arguments are for `init`.

        Parameters
        ----------
        name, clock, keep, isolation, strict, persist
            As for `start`.

        Raises
        ------
        AlreadyStarted, StartError
            As `start`.
        """
        from pocketflex_nb.agents.host.agent_host import host_for

        options = StartOptions(name=name, clock=clock, engine=None, keep=keep, isolation=isolation, strict=strict, persist=persist)
        return host_for(None, clock).do_sync(start_lone, cls, args, kwargs, options)

    @classmethod
    def _pfx_make(cls, incarnation: Incarnation, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, object]:
        """The agent of `incarnation`, and what `init` returned."""
        if incarnation.isolation == "process":
            from pocketflex_nb.agents.isolation.process_proxy import make_proxy  # here: few agents have a process

            return make_proxy(incarnation, cls, args, kwargs)
        if cls.__init__ is Agent.__init__:
            agent = cls.__new__(cls)
        elif getattr(cls.init, "is_default", False):
            return cls(*args, **kwargs), None
        else:
            agent = cls()
        incarnation.agent = agent
        return agent, agent.init(*args, **kwargs)


def _split(given: dict[str, Any]) -> tuple[dict[str, object], StartOptions]:
    """The arguments for `init`, and the options of `Agent.start` with their defaults."""
    options = StartOptions(name=None, clock=None, engine=None, keep=False, isolation=None, strict=None, persist=None)
    rest = {name: value for name, value in given.items() if name not in options}
    return rest, options | {name: value for name, value in given.items() if name in options}  # type: ignore[return-value]  # the names are those of the options


def latest_class(cls: type) -> type:
    """The class now bound to the qualified name of `cls`, if that is the notebook's; else `cls`."""
    if cls.__module__ != "__main__" or "<locals>" in cls.__qualname__:
        return cls
    found: object = sys.modules.get("__main__")
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Agent) else cls


def has_newer_code(cls: type) -> bool:
    """Whether the notebook has newer code of `cls`."""
    return latest_class(cls) is not cls


def _told(message: object) -> str:
    if isinstance(message, (Down, Exit)):
        return f"{type(message).__name__} of {message.ref!r} ({format_reason(message.reason)})"
    if isinstance(message, TaskDone):
        return f"the value of {message.ref!r}"
    return short(message)
