"""How does a life end, and what do messages about it look like? The small frozen facts that agents exchange.

An exit reason is ``"normal"``, ``"shutdown"``, ``Shutdown(term)``, ``Crash(error)``, ``"killed"``, ``"noproc"`` or ``"worker_lost"``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "DEAD",
    "IGNORE",
    "NO_REPLY",
    "RUNNING",
    "STARTING",
    "STOPPING",
    "TOLD",
    "Continue",
    "Crash",
    "Down",
    "Exit",
    "Idle",
    "Ok",
    "Registered",
    "Shutdown",
    "Stop",
    "TaskDone",
    "Unregistered",
    "is_abnormal",
    "is_reason",
    "short",
    "tell",
    "where",
]

#: characters that are told of a value
TOLD = 200



#: what a life is doing
STARTING, RUNNING, STOPPING, DEAD = "starting", "running", "stopping", "dead"


class _Word:
    """A value that stands for itself."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


#: returned by `init`: there is nothing to do, the start gives None
IGNORE = _Word("IGNORE")
#: returned by `handle_call`: the answer comes later, by ``caller.reply(value)``
NO_REPLY = _Word("NO_REPLY")
_NOTHING = _Word("_NOTHING")


@dataclass(frozen=True, slots=True)
class Shutdown:
    """An orderly end with something to say: not abnormal, yet it spreads over links.

    Parameters
    ----------
    term : object
        What it has to say.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Shutdown, Stop
    >>> class Reader(Agent):
    ...     async def handle_cast(self, message):
    ...         return Stop(Shutdown("no more pages"))
    >>> ref = Reader.start_sync()
    >>> ended = ref.monitor()
    >>> ref.cast("read")
    >>> ended.wait(5).reason        # a transient child is not restarted after this
    Shutdown(term='no more pages')
    """

    term: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Crash:
    """An abnormal end.

    Parameters
    ----------
    error : BaseException
        What was raised, with its traceback; `exc` is another name of it.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Divider(Agent):
    ...     async def handle_cast(self, message):
    ...         1 / message
    >>> ref = Divider.start_sync()
    >>> ended = ref.monitor()
    >>> ref.cast(0)
    >>> reason = ended.wait(5).reason
    >>> reason
    Crash(ZeroDivisionError('division by zero'))
    >>> type(reason.error)
    <class 'ZeroDivisionError'>
    """

    error: BaseException

    @property
    def exc(self) -> BaseException:
        """The same as `error`."""
        return self.error

    def __repr__(self) -> str:
        return f"Crash({short(self.error)})"

    @property
    def where(self) -> str:
        """``file:line`` of the innermost line, or ``""``."""
        return where(self.error)


@dataclass(frozen=True, slots=True)
class Idle:
    """Returned by `init` or a handler: when no message comes for `seconds`, `handle_info` gets ``"timeout"``, once.

    Parameters
    ----------
    seconds : float
        Without a message. System messages (`AgentRef.suspend`, `AgentRef.replace_state`, ...) start the time anew.
    reply : object, optional
        For the call that is being handled.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Idle, Stop
    >>> class Session(Agent):
    ...     async def init(self):
    ...         return Idle(0.01)
    ...     async def handle_info(self, message):
    ...         return Stop("shutdown")
    >>> Session.start_sync().monitor().wait(5).reason
    'shutdown'
    """

    seconds: float
    reply: Any = field(default=_NOTHING, repr=False)

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given (None is one)."""
        return self.reply is not _NOTHING


@dataclass(frozen=True, slots=True)
class Continue:
    """Returned by `init` or a handler: `handle_continue` gets `value` before any message of the mailbox.

    Parameters
    ----------
    value : object
        For `handle_continue`.
    reply : object, optional
        For the call that is being handled: it is sent first, then `handle_continue` runs.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Continue
    >>> class Index(Agent):
    ...     async def init(self, words):
    ...         return Continue(words)      # the start need not wait for the long part
    ...     async def handle_continue(self, value):
    ...         self.words = sorted(value)
    ...     async def handle_call(self, message, caller):
    ...         return self.words[0]
    >>> ref = Index.start_sync(["pear", "apple"])
    >>> ref.call_sync("first")
    'apple'
    >>> ref.stop_sync()
    """

    value: Any = None
    reply: Any = field(default=_NOTHING, repr=False)

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given (None is one)."""
        return self.reply is not _NOTHING


@dataclass(frozen=True, slots=True)
class Stop:
    """Returned by `init` or a handler: the agent ends with `reason`; `terminate` runs first, then `reply` is sent.

    Parameters
    ----------
    reason : object
        Exit reason.
    reply : object, optional
        For the call that is being handled.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Stop
    >>> class Till(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return Stop("normal", reply="closed")
    >>> ref = Till.start_sync()
    >>> ended = ref.monitor()
    >>> ref.call_sync("close")
    'closed'
    >>> ended.wait(5).reason
    'normal'
    """

    reason: Any = "normal"
    reply: Any = _NOTHING

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given (None is one)."""
        return self.reply is not _NOTHING


@dataclass(frozen=True, slots=True)
class Ok:
    """A task's good outcome.

    Parameters
    ----------
    value : object
        What it returned.

    Examples
    --------
    >>> from pocketflex_nb.agents import spawn
    >>> task = spawn(len, "four")
    >>> task.result_sync()
    4
    >>> task.outcome
    Ok(value=4)
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Exit:
    """A task's bad outcome; and the message that an agent with ``trap_exit`` gets from a link.

    Parameters
    ----------
    ref : AgentRef or TaskRef
        Who ended.
    reason : object
        Exit reason.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import stream
    >>> async def whole(text):
    ...     return int(text)
    >>> async def main():
    ...     return [outcome async for outcome in stream(whole, ["7", "x"])]
    >>> good, bad = asyncio.run(main())
    >>> good, bad.reason
    (Ok(value=7), Crash(ValueError("invalid literal for int() with base 10: 'x'")))
    """

    ref: Any
    reason: Any


@dataclass(frozen=True, slots=True)
class Down:
    """A monitored agent or task is gone. Exactly one comes per monitor.

    Parameters
    ----------
    ref : AgentRef
        Who.
    reason : object
        Exit reason; ``"noproc"`` if it was gone already.
    zombie : bool
        It was killed and its code still runs, fenced off.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Idler.start_sync()
    >>> ended = ref.monitor()
    >>> ref.exit("kill")
    >>> down = ended.wait(5)
    >>> down.ref is ref, down.reason
    (True, 'killed')
    """

    ref: Any
    reason: Any
    zombie: bool = False


@dataclass(frozen=True, slots=True)
class TaskDone:
    """The value of a task that is not linked, as a message to the agent that spawned it.

    Parameters
    ----------
    ref : TaskRef
        Which task.
    value : object
        What it returned.

    Examples
    --------
    >>> from pocketflex_nb.agents import NO_REPLY, Agent, TaskDone, spawn
    >>> class Desk(Agent):
    ...     async def handle_call(self, message, caller):
    ...         self.caller = caller
    ...         spawn(len, message, link=False)      # the agent is free for other messages meanwhile
    ...         return NO_REPLY
    ...     async def handle_info(self, message):
    ...         if isinstance(message, TaskDone):
    ...             self.caller.reply(message.value)
    >>> ref = Desk.start_sync()
    >>> ref.call_sync("draft")
    5
    >>> ref.stop_sync()
    """

    ref: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Registered:
    """To a registry's listeners: `ref` took `key`.

    Parameters
    ----------
    registry : Registry
        Where.
    key : hashable
        Under which key.
    ref : AgentRef
        Who.
    value : object
        What it keeps there.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registered, Registry
    >>> class Porter(Agent):
    ...     async def init(self):
    ...         self.seen = []
    ...     async def handle_info(self, message):
    ...         if isinstance(message, Registered):
    ...             self.seen.append(message.key)
    ...     async def handle_call(self, message, caller):
    ...         return self.seen
    >>> class Guest(Agent):
    ...     pass
    >>> porter = Porter.start_sync()
    >>> rooms = Registry(listeners=[porter])
    >>> guest = Guest.start_sync(name=rooms.via("room 7"))
    >>> porter.call_sync("who came?")
    ['room 7']
    >>> guest.stop_sync()
    >>> porter.stop_sync()
    """

    registry: Any
    key: Any
    ref: Any
    value: Any = None


@dataclass(frozen=True, slots=True)
class Unregistered:
    """To a registry's listeners: `ref` gave `key` back (and, with ``on_death=True``, died).

    Parameters
    ----------
    registry : Registry
        Where.
    key : hashable
        Which key.
    ref : AgentRef
        Who.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registry, Unregistered
    >>> class Porter(Agent):
    ...     async def init(self):
    ...         self.gone = []
    ...     async def handle_info(self, message):
    ...         if isinstance(message, Unregistered):
    ...             self.gone.append(message.key)
    ...     async def handle_call(self, message, caller):
    ...         return self.gone
    >>> class Guest(Agent):
    ...     pass
    >>> porter = Porter.start_sync()
    >>> rooms = Registry(listeners=[porter], on_death=True)
    >>> Guest.start_sync(name=rooms.via("room 7")).stop_sync()
    >>> porter.call_sync("who left?")
    ['room 7']
    >>> porter.stop_sync()
    """

    registry: Any
    key: Any
    ref: Any


def is_reason(reason: Any, word: str) -> bool:
    """Whether `reason` is the text `word`, whatever its own ``==`` does."""
    return isinstance(reason, str) and str.__eq__(reason, word)


def is_abnormal(reason: Any) -> bool:
    """Whether a transient child is restarted after it."""
    return not (is_reason(reason, "normal") or is_reason(reason, "shutdown") or isinstance(reason, Shutdown))


def tell(reason: Any) -> str:
    """The reason as one short text: ``crash: ValueError: x``."""
    if isinstance(reason, str):
        return str(reason)
    if isinstance(reason, Shutdown):
        return f"shutdown: {short(reason.term)}"
    error = reason.error if isinstance(reason, Crash) else reason
    if isinstance(error, BaseException):
        return f"crash: {type(error).__name__}: {short(error, str)}".rstrip(": ")
    return short(error)


def where(error: BaseException) -> str:
    """``file:line`` where `error` was raised, or ``""``."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}" if tb is not None else ""


def short(value: Any, form: Any = repr) -> str:
    """``form(value)``, at most `TOLD` characters of it; the name of its class where that raises."""
    try:
        text = str(form(value))
    except BaseException as exc:  # whatever a method of the user's raises must not lose the event
        if isinstance(exc, KeyboardInterrupt):
            raise
        text = f"<{type(value).__name__} whose {form.__name__} raises {type(exc).__name__}>"
    return text if len(text) <= TOLD else text[: TOLD - 1] + "…"
