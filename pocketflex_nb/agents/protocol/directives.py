"""The return values of handlers: Ok, Stop, Continue, Idle, NO_REPLY, IGNORE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["IGNORE", "NO_REPLY", "Continue", "Idle", "Ok", "Stop"]


class _Word:
    """A constant that stands for itself."""

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
    reply: object = field(default=_NOTHING, repr=False)

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

    value: object = None
    reply: object = field(default=_NOTHING, repr=False)

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

    reason: object = "normal"
    reply: object = _NOTHING

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given (None is one)."""
        return self.reply is not _NOTHING


@dataclass(frozen=True, slots=True)
class Ok:
    """The outcome of a task that succeeded.

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
