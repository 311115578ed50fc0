"""How does a life end, and what do messages about it look like? The small frozen facts that agents exchange.

An exit reason is ``"normal"``, ``"shutdown"``, ``Shutdown(term)``, ``Crash(error)``, ``"killed"``, ``"noproc"`` or ``"worker_lost"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "DEAD",
    "IGNORE",
    "NO_REPLY",
    "RUNNING",
    "STARTING",
    "STOPPING",
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
    "tell",
    "where",
]


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


@dataclass(frozen=True, slots=True)
class Shutdown:
    """An orderly end with something to say: not abnormal, yet it spreads over links.

    Parameters
    ----------
    term : object
        What it has to say.
    """

    term: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Crash:
    """An abnormal end.

    Parameters
    ----------
    error : BaseException
        What was raised, with its traceback; `exc` is another name of it.
    """

    error: BaseException

    @property
    def exc(self) -> BaseException:
        """The same as `error`."""
        return self.error

    def __repr__(self) -> str:
        return f"Crash({self.error!r})"

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
        Without a message.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Continue:
    """Returned by `init` or a handler: `handle_continue` gets `value` before any message of the mailbox.

    Parameters
    ----------
    value : object
        For `handle_continue`.
    """

    value: Any = None


_NOTHING = _Word("_NOTHING")


@dataclass(frozen=True, slots=True)
class Stop:
    """Returned by `init` or a handler: the agent ends with `reason`; `terminate` runs first, then `reply` is sent.

    Parameters
    ----------
    reason : object
        Exit reason.
    reply : object, optional
        For the call that is being handled.
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
    """

    registry: Any
    key: Any
    ref: Any


def is_abnormal(reason: Any) -> bool:
    """Whether a transient child is restarted after it."""
    return not (reason == "normal" or reason == "shutdown" or isinstance(reason, Shutdown))


def tell(reason: Any) -> str:
    """The reason as one short text: ``crash: ValueError: x``."""
    if isinstance(reason, str):
        return reason
    if isinstance(reason, Shutdown):
        return f"shutdown: {_short(reason.term)}"
    error = reason.error if isinstance(reason, Crash) else reason
    if isinstance(error, BaseException):
        return f"crash: {type(error).__name__}: {_short(error, str)}".rstrip(": ")
    return _short(error)


def where(error: BaseException) -> str:
    """``file:line`` where `error` was raised, or ``""``."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}" if tb is not None else ""


def _short(value: Any, form: Any = repr) -> str:
    try:
        text = str(form(value))
    except Exception:  # a repr of the user's that raises must not lose the event
        text = type(value).__name__
    return text if len(text) <= 200 else text[:199] + "…"
