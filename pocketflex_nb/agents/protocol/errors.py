"""The errors of agents: one branch of the tree of :mod:`pocketflex_nb.core.errors`.

::

    AgentError(RuntimeError)
    ├── AgentDown                        the target ended before it replied: `.reason`
    │   └── NotRunning(LookupError)      it had ended or was unknown at the time of the call
    ├── CallTimeout(TimeoutError)        no reply in time; the target continues
    ├── CallingSelf                      call or stop on oneself
    ├── NotOwner(PermissionError)        only the owner may do this
    ├── BadSpec(ValueError)              an invalid spec, option or time
    ├── BadReturn(TypeError)             a handler returned an invalid value
    ├── Unhandled(NotImplementedError)   a call or cast without a handler
    ├── NotPortable(TypeError)           strict mode or a process: a value that cannot be sent
    ├── StartError                       a child did not start: `.id`, `.reason`
    ├── SupervisorExit                   the supervisor gave up inside ``async with``: `.reason`
    ├── AlreadyStarted                   a running agent has that name or id: `.ref`
    │   └── NameTaken(StartError)        a supervisor's child did not start for that
    ├── AlreadyPresent                   a child spec of that id exists, not running
    ├── StillRunning                     stop the child first
    ├── Restarting                       the child is between two attempts to start
    ├── NotFound(LookupError)            no such child
    └── MaxChildren                      `.limit` reached
    ReplyError                           raise it in a handler: its error goes to the caller, the agent continues
"""

from __future__ import annotations

from collections.abc import Hashable

from pocketflex_nb.agents.protocol.exit_reasons import Crash, format_reason, short
from pocketflex_nb.agents.protocol.ref import Ref
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
    "NameTaken",
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
    """The target ended before it replied.

    Attributes
    ----------
    reason : object
        Exit reason; ``__cause__`` is the exception of a `Crash`.

    Notes
    -----
    Raised by calls and by `stop`. Under a supervisor the next call by name reaches the agent that was started in its place;
    ``call(name, message, wait=2.0)`` waits for it.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, AgentDown
    >>> class Divider(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return 1 / message
    >>> ref = Divider.start_sync()
    >>> try:
    ...     ref.call_sync(0)
    ... except AgentDown as down:
    ...     print(down.reason, "<-", repr(down.__cause__))
    Crash(ZeroDivisionError('division by zero')) <- ZeroDivisionError('division by zero')
    """

    def __init__(self, reason: object = "killed", who: str = "") -> None:
        super().__init__(reason, who)
        self.reason, self.who = reason, who
        self._told = format_reason(reason)  # now: told later, a chain of a thousand of them would be told one inside the other
        if isinstance(reason, Crash):
            self.__cause__ = reason.error

    def __str__(self) -> str:
        return f"agent {self.who!r} ended before it replied ({self._told})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._told!r}, {self.who!r})"


class NotRunning(AgentDown, LookupError):
    """The target had ended or was unknown when it was called; raised at once.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, call_sync
    >>> class Writer(Agent):
    ...     pass
    >>> ref = Writer.start_sync(name="writer")
    >>> call_sync("wirter", "hello")
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.NotRunning: no agent 'wirter' runs here; did you mean 'writer'?
    >>> ref.stop_sync()
    """

    def __init__(self, who: object = "", hint: str = "") -> None:
        super().__init__("noproc", str(who))
        self.args = (who, hint)
        self.hint = hint

    def __str__(self) -> str:
        return f"no agent {self.who!r} runs here{self.hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.who!r})"


class CallTimeout(AgentError, TimeoutError):
    """No reply in time. The target is not cancelled; a late reply is dropped.

    Attributes
    ----------
    who : str
        The agent's name.
    seconds : float
        How long was waited, by the agent's clock.
    what : str
        The message, in short.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent
    >>> class Slow(Agent):
    ...     async def handle_call(self, message, caller):
    ...         await asyncio.sleep(60)
    >>> ref = Slow.start_sync(name="slow")
    >>> try:
    ...     ref.call_sync("report", timeout=0.05)
    ... except TimeoutError as error:
    ...     print(error.who, error.seconds)
    slow 0.05
    >>> ref.exit("kill")         # it slept on: `cancel_on_timeout=True` would have ended that
    """

    def __init__(self, who: str = "", seconds: float | None = None, what: str = "") -> None:
        super().__init__(who, seconds, what)
        self.who, self.seconds, self.what = who, seconds, what

    def __str__(self) -> str:
        what = f" to {self.what}" if self.what else ""
        return f"agent {self.who!r} did not reply{what} within {self.seconds} s and is still running: pass a longer timeout=, or None"


class CallingSelf(AgentError):
    """An agent called or stopped itself: it would wait for ever.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Loop(Agent):
    ...     async def handle_call(self, message, caller):
    ...         return await self.ref.call(message)
    >>> ref = Loop.start_sync(name="loop")
    >>> try:
    ...     ref.call_sync("go")
    ... except RuntimeError as error:
    ...     print(error.__cause__)
    agent 'loop' called itself and would wait forever: call the method directly, or return Stop(...)
    """

    def __init__(self, who: str = "") -> None:
        super().__init__(who)
        self.who = who

    def __str__(self) -> str:
        return f"agent {self.who!r} called itself and would wait forever: call the method directly, or return Stop(...)"


class NotOwner(AgentError, PermissionError):
    """Only the owner may do this: of a task, the agent that spawned it; of a registry's entry, the agent itself.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, Registry
    >>> Registry().register("writer")
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.NotOwner: register() was called outside any agent: an agent registers itself, in init or a handler
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "only the owner may do this"


class BadSpec(AgentError, ValueError):
    """An invalid child spec, option or time. Raised before anything starts.

    Examples
    --------
    >>> from pocketflex_nb.agents import Supervisor
    >>> Supervisor(strategy="one_for_al")
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.BadSpec: strategy='one_for_al': no such strategy; did you mean 'one_for_all'?
    """


class BadReturn(AgentError, TypeError):
    """A handler returned an invalid value.

    Notes
    -----
    The agent crashes of it. A handler of casts or infos returns None, `Idle`, `Continue` or `Stop`; only `handle_call` returns a value.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Adder(Agent):
    ...     async def handle_cast(self, message):
    ...         return message + 1
    >>> ref = Adder.start_sync(name="adder")
    >>> ended = ref.monitor()
    >>> ref.cast(1)
    >>> print(ended.wait(5).reason.error)
    a handler of 'adder' returned 2: give None, Idle, Continue or Stop
    """


class Unhandled(AgentError, NotImplementedError):
    """A call or cast that the agent does not handle.

    Notes
    -----
    The agent crashes of it, so that a misspelt message is not lost in silence.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent
    >>> class Idler(Agent):
    ...     pass
    >>> ref = Idler.start_sync()
    >>> try:
    ...     ref.call_sync("work")
    ... except RuntimeError as error:
    ...     print(error.__cause__)
    Idler received the call 'work' but has no handle_call: define it, or use @handles.call
    """


class NotPortable(AgentError, TypeError):
    """A value that cannot be sent to another process.

    Notes
    -----
    Raised where a message is sent to an agent with ``strict=True`` or ``isolation="process"``: send plain data, and open files and
    clients inside the agent.
    """


class StartError(AgentError):
    """A child, agent or supervisor did not start.

    Attributes
    ----------
    id : object
        Which.
    reason : object
        Exit reason; ``__cause__`` is the exception of a `Crash`.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, StartError
    >>> class Reader(Agent):
    ...     async def init(self, path):
    ...         self.text = open(path).read()
    >>> try:
    ...     Reader.start_sync("no-such-file", name="reader")
    ... except StartError as error:
    ...     print(error.id, type(error.__cause__).__name__)
    reader FileNotFoundError
    """

    def __init__(self, id: object = None, reason: object = None) -> None:
        super().__init__(id, reason)
        self.id, self.reason = id, reason
        self._told = format_reason(reason)
        if isinstance(reason, Crash):
            self.__cause__ = reason.error

    def __str__(self) -> str:
        return f"{short(self.id)} did not start ({self._told})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({short(self.id)}, {self._told!r})"


class SupervisorExit(AgentError):
    """The supervisor of this ``async with`` gave up, and its body was cancelled.

    Attributes
    ----------
    reason : object
        Exit reason of the supervisor.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, Supervisor, SupervisorExit, child
    >>> class Worker(Agent):
    ...     async def handle_cast(self, message):
    ...         1 / message
    >>> async def main():
    ...     async with Supervisor([child(Worker, name="worker")], max_restarts=0) as sup:
    ...         sup["worker"].cast(0)
    ...         await asyncio.sleep(60)          # cut short: one crash is more than this supervisor bears
    >>> asyncio.run(main())
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.SupervisorExit: the supervisor gave up (shutdown): see its events for the cause
    """

    def __init__(self, reason: object = "shutdown") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the supervisor gave up ({format_reason(self.reason)}): see its events for the cause"


class AlreadyStarted(AgentError):
    """A running agent has that name or id: `ref`.

    Attributes
    ----------
    ref : AgentRef
        Who has it.
    name : hashable
        What is taken.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, AlreadyStarted
    >>> class Writer(Agent):
    ...     pass
    >>> first = Writer.start_sync(name="writer")
    >>> try:
    ...     ref = Writer.start_sync(name="writer")
    ... except AlreadyStarted as taken:
    ...     ref = taken.ref                      # go on with the one that runs
    >>> ref is first
    True
    >>> ref.stop_sync()
    """

    def __init__(self, ref: Ref | None = None, name: Hashable = None) -> None:
        super().__init__(ref, name)
        self.ref, self.name = ref, name

    def __str__(self) -> str:
        return f"{self.name!r} is already taken by {self.ref!r}: stop that agent first, or choose another name"


class NameTaken(StartError, AlreadyStarted):
    """A child did not start, because its name is taken: a `StartError` that is an `AlreadyStarted` too.

    Attributes
    ----------
    id : object
        Which child.
    ref : AgentRef
        Who has the name.
    name : hashable
        What is taken.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, AlreadyStarted, Supervisor, child
    >>> class Writer(Agent):
    ...     pass
    >>> first = Writer.start_sync(name="writer")
    >>> try:
    ...     Supervisor([child(Writer, name="writer")]).start_sync()
    ... except AlreadyStarted as taken:
    ...     print(type(taken).__name__, taken.id, taken.ref is first)
    NameTaken writer True
    >>> first.stop_sync()
    """

    def __init__(self, id: object, taken: AlreadyStarted) -> None:
        StartError.__init__(self, id, Crash(taken))
        self.args = (id, taken)
        self.ref, self.name = taken.ref, taken.name

    def __str__(self) -> str:
        return f"{short(self.id)} did not start: {self.__cause__}"


class _ChildError(AgentError):
    _text = "{id!r}"

    def __init__(self, id: object = None, hint: str = "") -> None:
        super().__init__(id, hint)
        self.id, self.hint = id, hint

    def __str__(self) -> str:
        return self._text.format(id=self.id) + self.hint


class AlreadyPresent(_ChildError):
    """A child spec of that id exists and is not running: restart or delete that child.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> async def main():
    ...     async with Supervisor([child(Idler, id="a")]) as sup:
    ...         await sup.terminate_child("a")   # stopped, its spec stays
    ...         await sup.start_child(child(Idler, id="a"))
    >>> asyncio.run(main())
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.AlreadyPresent: child 'a' is already present and not running: call restart_child or delete_child
    """

    _text = "child {id!r} is already present and not running: call restart_child or delete_child"


class StillRunning(_ChildError):
    """The child runs: a supervisor deletes or restarts only one that does not.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> async def main():
    ...     async with Supervisor([child(Idler, id="a")]) as sup:
    ...         sup.delete_child("a")
    >>> asyncio.run(main())
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.StillRunning: child 'a' is still running: call terminate_child first
    """

    _text = "child {id!r} is still running: call terminate_child first"


class Restarting(_ChildError):
    """The child is between two attempts to start it.

    Notes
    -----
    Raised by `restart_child` and `delete_child` of supervisors while a restart that failed is tried again.
    """

    _text = "child {id!r} is being restarted: call terminate_child first"


class NotFound(_ChildError, LookupError):
    """The supervisor has no such child.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, Supervisor, child
    >>> class Idler(Agent):
    ...     pass
    >>> async def main():
    ...     async with Supervisor([child(Idler, id="writer")]) as sup:
    ...         await sup.terminate_child("wirter")
    >>> asyncio.run(main())
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.NotFound: no child 'wirter'; did you mean 'writer'?
    """

    _text = "no child {id!r}"


class MaxChildren(AgentError):
    """`max_children` is reached.

    Attributes
    ----------
    limit : int
        How many there may be.

    Examples
    --------
    >>> import asyncio
    >>> from pocketflex_nb.agents import Agent, DynamicSupervisor
    >>> class Idler(Agent):
    ...     pass
    >>> async def main():
    ...     async with DynamicSupervisor(max_children=1) as ds:
    ...         await ds.start_child(Idler)
    ...         await ds.start_child(Idler)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    pocketflex_nb.agents.protocol.errors.MaxChildren: max_children=1 is reached: wait for a child to end, or raise the limit
    """

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"max_children={self.limit} is reached: wait for a child to end, or raise the limit"


class ReplyError(PocketflexError):
    """Raise it in a handler: `exc` is raised in the caller, and the agent continues.

    Attributes
    ----------
    exc : BaseException
        What the caller gets.

    Examples
    --------
    >>> from pocketflex_nb.agents import Agent, ReplyError
    >>> class Stock(Agent):
    ...     async def handle_call(self, message, caller):
    ...         raise ReplyError(KeyError(message))
    >>> ref = Stock.start_sync()
    >>> ref.call_sync("tea")
    Traceback (most recent call last):
    KeyError: 'tea'
    >>> ref.is_alive
    True
    >>> ref.stop_sync()
    """

    def __init__(self, exc: BaseException) -> None:
        if not isinstance(exc, BaseException):
            exc = AgentError(exc)
        super().__init__(exc)
        self.exc = exc


def check_time(value: object, what: str, *, zero: bool = True, none: bool = True) -> None:
    """Raise for an invalid time: not a number, negative, or 0 where that makes no sense."""
    if value is None and none:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise BadSpec(f"{what}={value!r}: give seconds, {least}{', or None for no limit' if none else ''}")
