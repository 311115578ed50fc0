"""The errors of the package, in one tree; every message says what happened, where, and how to mend it.

::

    PocketflexError
    ├── FlowError(ValueError)            a flow that cannot be walked as it is drawn
    │   ├── CheckError                   found before the run: `.problems` lists every one
    │   ├── UnknownAction(LookupError)   strict flow, no edge of that name
    │   └── DiagramError(SyntaxError)    Mermaid text: line, column, caret, nearest name
    ├── StoreError(RuntimeError)
    │   ├── ConflictError                another run wrote the key meanwhile (`on_conflict="raise"`)
    │   └── LockLost                     the lease ended while its holder still wrote
    ├── RunError(RuntimeError)
    │   ├── RunCancelled                 `result()` of a cancelled run
    │   ├── StepCancelled                a step was left by a cancellation that nobody here asked for
    │   ├── NodeTimeout(TimeoutError)    one attempt of a node took too long
    │   ├── RunTimeout(TimeoutError)     the run took too long
    │   ├── StepLimit                    `max_steps` reached; the hot path is named
    │   ├── BudgetSpent                  steps, seconds, tokens or cost of a `budget=` are spent
    │   ├── BreakerOpen                  a circuit breaker refuses the call
    │   └── CannotAsk                    nobody could answer here
    ├── AgentError(RuntimeError)         see :mod:`pocketflex_nb.agents`
    ├── ModelError(RuntimeError)         see :mod:`pocketflex_nb.llm`
    ├── EncodingError(TypeError)         a value that cannot be written down: `.path`
    ├── DecodingError(ValueError)        text that cannot be read back
    │   └── NotLoaded                    because its class is not loaded here
    ├── JournalError(RuntimeError)       a journal that cannot be read, written or gone on with
    │   ├── NotOnTape                    a strict tape has no result for a step: `.address`, `.tape`
    │   ├── RecordedError                what a node failed with in an earlier process, for its error edge: `.kind`
    │   ├── RunHeld                      another process writes that run
    │   └── StateHeld                    another process, or agent, has that agent's state
    └── ResourceError(RuntimeError)      a store or queue outside of this process: `.url`, masked
        ├── BadURL(ValueError)
        ├── MissingExtra(ImportError)    the client is not installed; the pip line is in the message
        ├── CallFailed                   nobody will reply to a `queue.call`: `.reason`
        ├── Unreachable(ConnectionError) no server answers: `.host`, `.port`
        └── Refused(PermissionError)     the server answers, and refuses: password, database, rights
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "AgentError", "BadURL", "BreakerOpen", "BudgetSpent", "CallFailed", "CannotAsk", "CheckError", "ConflictError", "DecodingError",
    "DiagramError", "EncodingError", "FlowError", "JournalError", "LockLost", "MissingExtra", "ModelError", "NodeTimeout", "NotLoaded",
    "NotOnTape", "PocketflexError", "RecordedError", "Refused",
    "ResourceError", "RunCancelled", "RunError", "RunHeld", "RunTimeout", "StateHeld", "StepCancelled", "StepLimit", "StoreError",
    "UnknownAction", "Unreachable", "nearest",
]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message that names the nearest known name.

    Returns
    -------
    str
        ``"; did you mean 'research'?"``, or ``"; known: 'a', 'b'"`` when nothing is near, or ``""`` when nothing is known.
    """
    from difflib import get_close_matches  # only a mistake pays for it

    names = sorted({str(k) for k in known})
    close = get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return ""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return "; known: " + ", ".join(repr(n) for n in names[:12]) + more


class PocketflexError(Exception):
    """Any error that this package raises on its own account."""


class FlowError(PocketflexError, ValueError):
    """A flow that cannot be walked as it is drawn."""


class CheckError(FlowError):
    """Found before anything moved. `problems` holds every finding, errors first."""

    def __init__(self, message: str, problems: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class UnknownAction(FlowError, LookupError):
    """A node of a strict flow returned an action that has no edge."""

    def __init__(self, message: str, *, node: str = "", action: object = None, known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.node, self.action, self.known = node, action, tuple(known)


class DiagramError(FlowError, SyntaxError):
    """Mermaid text that cannot be read or wired.

    Attributes
    ----------
    line, column : int
        1-based place in the text.
    source : str
        That line as written.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0, source: str = "") -> None:
        self.reason, self.line, self.column, self.source = message, line, column, source
        where = f"line {line}: " if line else ""
        caret = f"\n  {source}\n  {' ' * max(column - 1, 0)}^" if source else ""
        super().__init__(f"{where}{message}{caret}")
        self.msg = self.args[0]  # what a traceback prints of a SyntaxError

    def __str__(self) -> str:
        return str(self.args[0])


class StoreError(PocketflexError, RuntimeError):
    """A store refused an operation."""


class ConflictError(StoreError):
    """A key was overwritten that another concurrent run or branch had written meanwhile."""

    def __init__(self, message: str, *, key: object = "", writer: str = "", other: str = "") -> None:
        super().__init__(message)
        self.key, self.writer, self.other = key, writer, other


class LockLost(StoreError):
    """The lease of a lock ended while its holder still wrote."""


class RunError(PocketflexError, RuntimeError):
    """A run that could not continue."""


class RunCancelled(RunError):
    """The run was cancelled: `result()` has nothing to give. The store is kept."""


class StepCancelled(RunError):
    """A step was left by a `CancelledError` that nobody here requested, its cause: a failure like any other."""


class NodeTimeout(RunError, TimeoutError):
    """One attempt of a node took longer than its `timeout`."""


class RunTimeout(RunError, TimeoutError):
    """The run took longer than its `timeout`. The store is kept."""


class StepLimit(RunError):
    """`max_steps` was reached. `hot` lists the busiest nodes with their visits."""

    def __init__(self, message: str, *, hot: Iterable[tuple[str, int]] = ()) -> None:
        super().__init__(message)
        self.hot = tuple(hot)


class BudgetSpent(RunError):
    """A `budget=` of steps, seconds, tokens or cost is spent. The store is kept."""

    def __init__(self, message: str, *, what: str = "", spent: float = 0, allowed: float = 0) -> None:
        super().__init__(message)
        self.what, self.spent, self.allowed = what, spent, allowed


class BreakerOpen(RunError):
    """A circuit breaker is open and refuses the call until `retry_in` seconds have passed."""

    def __init__(self, message: str, *, retry_in: float = 0.0) -> None:
        super().__init__(message)
        self.retry_in = retry_in


class CannotAsk(RunError):
    """`ask()` stands where no answer could arrive."""


class AgentError(PocketflexError, RuntimeError):
    """Root of the agents' errors."""


class ModelError(PocketflexError, RuntimeError):
    """Root of the errors of language models: one could not be asked, or gave no answer."""


class EncodingError(PocketflexError, TypeError):
    """A value cannot be written down. `path` leads to the part that cannot: the keys, indices and field names from the top."""

    def __init__(self, message: str, *, path: Iterable[object] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)


class DecodingError(PocketflexError, ValueError):
    """What was read is not what this package writes, or no longer fits the class that it names."""


class NotLoaded(DecodingError):
    """What was read needs a class or a library that is not loaded here; nothing is imported because of what was read."""


class JournalError(PocketflexError, RuntimeError):
    """A journal cannot be read or written, or a run in it cannot go on. What was recorded before is kept."""


class RecordedError(JournalError):
    """What a node failed with in an earlier process: an error of that text.

    Attributes
    ----------
    kind : str
        Its class: ``"builtins:ValueError"``.
    told : str
        Class and text, as events have it: ``"ValueError: no such page"``.
    """

    def __init__(self, told: str, *, kind: str = "") -> None:
        name = kind.rpartition(":")[2].rpartition(".")[2]
        super().__init__(told.removeprefix(f"{name}: ") if name else told)
        self.kind, self.told = kind, told


class NotOnTape(JournalError):
    """A run on a strict tape came to a step that the tape has no result for.

    Attributes
    ----------
    address : str
        The step, or the question that it asked.
    tape : str
        The file and the run that was to be played.
    """

    def __init__(self, message: str, *, address: str = "", tape: str = "") -> None:
        super().__init__(message)
        self.address, self.tape = address, tape


class RunHeld(JournalError):
    """A journalled run belongs to another process, which alone may write to it."""


class StateHeld(JournalError):
    """The kept state of an agent belongs to another living one, which alone may write it."""


class ResourceError(PocketflexError, RuntimeError):
    """A store or a queue outside of this process cannot be used. `url` is where, without its secrets."""

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class BadURL(ResourceError, ValueError):
    """A URL that names no store or queue."""


class MissingExtra(ResourceError, ImportError):
    """The client of that server is not installed. `extra` is what to install: ``pip install 'pocketflex_nb[redis]'``."""

    def __init__(self, message: str, *, url: str = "", extra: str = "") -> None:
        super().__init__(message, url=url)
        self.extra = extra


class CallFailed(ResourceError):
    """A call over a queue gets no reply: its message is a dead letter.

    Attributes
    ----------
    reason : str
        What the last consumer raised, or how it was lost.
    """

    def __init__(self, message: str, *, url: str = "", reason: str = "") -> None:
        super().__init__(message, url=url)
        self.reason = reason


class Unreachable(ResourceError, ConnectionError):
    """No server answers at `host` and `port`, or it went away and did not come back in time."""

    def __init__(self, message: str, *, url: str = "", host: str = "", port: int = 0) -> None:
        super().__init__(message, url=url)
        self.host, self.port = host, port


class Refused(ResourceError, PermissionError):
    """The server answers, and refuses: the password, the database, or the right to do it."""
