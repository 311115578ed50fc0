"""What can go wrong among agents? One branch of the tree of :mod:`pocketflex_nb.core.errors`.

::

    AgentError(RuntimeError)
    ├── AgentDown                        the target died before it replied: `.reason`
    │   └── NotRunning(LookupError)      it was dead or unknown at the time of the call
    ├── CallTimeout(TimeoutError)        no reply in time; the target goes on
    ├── CallingSelf                      call or stop on oneself
    ├── NotOwner(PermissionError)        only the owner may do this
    ├── BadSpec(ValueError)              a spec, option or time that cannot be
    ├── BadReturn(TypeError)             a handler returned what it may not
    ├── Unhandled(NotImplementedError)   a call or cast nobody handles
    ├── NotPortable(TypeError)           strict mode or a process: a value that cannot travel
    ├── StartError                       a child did not start: `.id`, `.reason`
    ├── SupervisorExit                   the supervisor gave up inside ``async with``: `.reason`
    ├── AlreadyStarted                   `.ref` lives under that name or id
    ├── AlreadyPresent                   a child spec of that id is there, not running
    ├── StillRunning                     stop the child first
    ├── Restarting                       the child is between two tries
    ├── NotFound(LookupError)            no such child
    └── MaxChildren                      `.limit` reached
    ReplyError                           raise it in a handler: its error goes to the caller, the agent lives
"""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.reasons import Crash, tell
from pocketflex_nb.core.errors import AgentError, PocketflexError

__all__ = [
    "AgentDown",
    "AgentError",
    "AlreadyPresent",
    "AlreadyStarted",
    "BadReturn",
    "BadSpec",
    "CallTimeout",
    "CallingSelf",
    "MaxChildren",
    "NotFound",
    "NotOwner",
    "NotPortable",
    "NotRunning",
    "ReplyError",
    "Restarting",
    "StartError",
    "StillRunning",
    "SupervisorExit",
    "Unhandled",
    "check_time",
]


class AgentDown(AgentError):
    """The target died before it replied.

    Attributes
    ----------
    reason : object
        Exit reason; ``__cause__`` is the exception of a `Crash`.
    """

    def __init__(self, reason: Any = "killed", who: str = "") -> None:
        super().__init__(reason, who)
        self.reason, self.who = reason, who
        if isinstance(reason, Crash):
            self.__cause__ = reason.error

    def __str__(self) -> str:
        return f"agent {self.who!r} ended before it replied ({tell(self.reason)})"


class NotRunning(AgentDown, LookupError):
    """The target was dead or unknown when it was called; raised at once."""

    def __init__(self, who: Any = "", hint: str = "") -> None:
        super().__init__("noproc", str(who))
        self.args = (who, hint)
        self.hint = hint

    def __str__(self) -> str:
        return f"no agent {self.who!r} runs here{self.hint}"


class CallTimeout(AgentError, TimeoutError):
    """No reply in time. The target is not cancelled; a late reply is dropped."""

    def __init__(self, who: str = "", seconds: float | None = None, what: str = "") -> None:
        super().__init__(who, seconds, what)
        self.who, self.seconds, self.what = who, seconds, what

    def __str__(self) -> str:
        what = f" to {self.what}" if self.what else ""
        return f"agent {self.who!r} did not answer{what} within {self.seconds} s; it goes on: give a longer timeout=, or None"


class CallingSelf(AgentError):
    """An agent called or stopped itself: it would wait for ever."""

    def __init__(self, who: str = "") -> None:
        super().__init__(who)
        self.who = who

    def __str__(self) -> str:
        return f"agent {self.who!r} waits for itself: call the method directly, or return Stop(...)"


class NotOwner(AgentError, PermissionError):
    """Only the owner may ask."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "only the owner may do this"


class BadSpec(AgentError, ValueError):
    """A child spec, option or time that cannot be. Raised before anything starts."""


class BadReturn(AgentError, TypeError):
    """A handler returned what it may not."""


class Unhandled(AgentError, NotImplementedError):
    """A call or cast that the agent does not handle."""


class NotPortable(AgentError, TypeError):
    """A value that cannot be sent to another process."""


class StartError(AgentError):
    """A child, agent or supervisor did not start.

    Attributes
    ----------
    id : object
        Which.
    reason : object
        Exit reason; ``__cause__`` is the exception of a `Crash`.
    """

    def __init__(self, id: Any = None, reason: Any = None) -> None:
        super().__init__(id, reason)
        self.id, self.reason = id, reason
        if isinstance(reason, Crash):
            self.__cause__ = reason.error

    def __str__(self) -> str:
        return f"{self.id!r} did not start ({tell(self.reason)})"


class SupervisorExit(AgentError):
    """The supervisor of this ``async with`` gave up, and its body was cancelled."""

    def __init__(self, reason: Any = "shutdown") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the supervisor gave up ({tell(self.reason)}); its events tell why"


class AlreadyStarted(AgentError):
    """Somebody lives under that name or id: `ref`."""

    def __init__(self, ref: Any = None, name: Any = None) -> None:
        super().__init__(ref, name)
        self.ref, self.name = ref, name

    def __str__(self) -> str:
        return f"{self.name!r} is taken by {self.ref!r}: stop it first, or choose another name"


class _ChildError(AgentError):
    _text = "{id!r}"

    def __init__(self, id: Any = None, hint: str = "") -> None:
        super().__init__(id, hint)
        self.id, self.hint = id, hint

    def __str__(self) -> str:
        return self._text.format(id=self.id) + self.hint


class AlreadyPresent(_ChildError):
    """A spec of that id is there, not running."""

    _text = "child {id!r} is there and does not run: restart_child or delete_child it"


class StillRunning(_ChildError):
    """The child runs."""

    _text = "child {id!r} still runs: terminate_child it first"


class Restarting(_ChildError):
    """The child is between two tries to start it."""

    _text = "child {id!r} is being restarted: terminate_child it first"


class NotFound(_ChildError, LookupError):
    """No such child."""

    _text = "no child {id!r}"


class MaxChildren(AgentError):
    """`max_children` is reached."""

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"no more than {self.limit} children here: wait for one to end, or raise max_children="


class ReplyError(PocketflexError):
    """Raise it in a handler: `exc` is raised at the caller, and the agent lives."""

    def __init__(self, exc: BaseException) -> None:
        if not isinstance(exc, BaseException):
            exc = AgentError(exc)
        super().__init__(exc)
        self.exc = exc


def check_time(value: Any, what: str, *, zero: bool = True, none: bool = True) -> None:
    """Refuse a time that cannot be: not a number, negative, or 0 where that makes no sense."""
    if value is None and none:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise BadSpec(f"{what}={value!r}: give seconds, {least}{', or None for no limit' if none else ''}")
