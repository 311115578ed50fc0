"""The exit reasons of an incarnation: normal, shutdown, killed, or a crash.

An exit reason is ``"normal"``, ``"shutdown"``, ``Shutdown(term)``, ``Crash(error)``, ``"killed"``, ``"noproc"`` or ``"worker_lost"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "DEAD", "MAX_TEXT", "RUNNING", "STARTING", "STOPPING", "Crash", "Shutdown", "Status", "format_reason", "is_abnormal", "is_reason",
    "short", "where",
]

#: characters shown of a value
MAX_TEXT = 200


class Status(StrEnum):
    """The states of an incarnation."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DEAD = "dead"


#: the states by name: they are read for each message
STARTING, RUNNING, STOPPING, DEAD = Status


@dataclass(frozen=True, slots=True)
class Shutdown:
    """An orderly end with a reason of its own: not abnormal, yet it spreads over links.

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

    term: object = None


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


def is_reason(reason: object, word: str) -> bool:
    """Whether `reason` is the text `word`, whatever its own ``==`` does."""
    return isinstance(reason, str) and str.__eq__(reason, word)


def is_abnormal(reason: object) -> bool:
    """Whether a transient child is restarted after it."""
    return not (is_reason(reason, "normal") or is_reason(reason, "shutdown") or isinstance(reason, Shutdown))


def format_reason(reason: object) -> str:
    """The reason as a short text: ``crash: ValueError: x``."""
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


def short(value: object, form: Callable[[Any], str] = repr) -> str:
    """``form(value)``, at most `MAX_TEXT` characters of it; the name of its class where that raises."""
    try:
        text = str(form(value))
    except BaseException as exc:  # whatever a method of the user's raises must not lose the event
        if isinstance(exc, KeyboardInterrupt):
            raise
        text = f"<{type(value).__name__} whose {form.__name__} raises {type(exc).__name__}>"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
