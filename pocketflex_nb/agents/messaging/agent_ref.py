"""`AgentRef`: the address of one incarnation of an agent, for messages and signals only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Hashable
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol, Self

from pocketflex_nb.agents.host.agent_host import running_loop
from pocketflex_nb.agents.host.agent_log import PLAIN
from pocketflex_nb.agents.messaging.delayed_sends import Sending
from pocketflex_nb.agents.messaging.delivery import (
    CALL_MARGIN,
    call_across_loops,
    enqueue_call,
    enqueue_message,
    enqueue_posted_call,
    enqueue_system_message,
    portable,
    put_if_alive,
    stop_and_wait,
)
from pocketflex_nb.agents.messaging.envelopes import CAST, INFO, Addressee, InternalMessage, SystemMessage
from pocketflex_nb.agents.messaging.method_proxies import Within, ref_type
from pocketflex_nb.agents.messaging.monitors import Monitor, Pending
from pocketflex_nb.agents.messaging.portability_hooks import REMOTE_REFS, AbsentIncarnation, find_incarnation, process_origin
from pocketflex_nb.agents.protocol.errors import CallingSelf, CallTimeout, NotRunning, ReplyError, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, is_reason
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.agents.protocol.tree_position import TreePosition
from pocketflex_nb.concurrency.portal_future import PortalFuture
from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.core.wait_marks import waiting

__all__ = ["AgentRef", "AwaitableDict", "Referenced", "resolve_ref"]

class AwaitableDict(dict[str, Any]):
    """Facts that can be read at once or awaited: ``ref.state()`` and ``await ref.state()`` both return them."""

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text(repr(dict(self)))


class _AwaitableNone:
    """The result of a plain call, which may be awaited without harm."""

    def __await__(self) -> Generator[None, None, None]:
        return None
        yield

    def __repr__(self) -> str:
        return "None"

    def __bool__(self) -> bool:
        return False


class AgentRef:
    """The address of one incarnation of an agent.

    A restarted agent has a new ref; `slot` is the same then. Methods marked with ``@handles.call`` and ``@handles.cast`` can be called
    on the ref: ``await ref.pop()``, ``ref.push(1)``.

    Attributes
    ----------
    id : hashable
        The name, or the child's id.
    pid : int
        Number of this incarnation in this process.
    address : str
        Path in the supervision tree.

    Notes
    -----
    Given by `Agent.start`, `whereis`, ``sup["id"]``. It may be kept, sent in messages, copied (it stays the same) and used from any
    thread; a ref of a dead agent stays valid to ask for its `status` and `reason`.

    Examples
    --------
    >>> from pocketflex_nb import Agent
    >>> class Counter(Agent):
    ...     async def init(self, n=0):
    ...         self.n = n
    ...     async def handle_call(self, message, caller):
    ...         return self.n
    ...     async def handle_cast(self, message):
    ...         self.n += message
    >>> ref = Counter.start_sync(3, name="counter")
    >>> ref.cast(4)                  # returns at once
    >>> ref.call_sync("how many?")   # in a cell with `await`: await ref.call("how many?")
    7
    >>> ref.state(), ref.status
    ({'n': 7}, 'running')
    >>> ref.stop_sync()
    >>> ref.status, ref.reason
    ('dead', 'normal')
    """

    __slots__ = ("__weakref__", "_incarnation")

    def __init__(self, incarnation: Addressee) -> None:
        self._incarnation = incarnation

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def id(self) -> Hashable:
        """The name, or the child's id."""
        return self._incarnation.slot.id

    @property
    def name(self) -> str:
        """The id as text."""
        return str(self._incarnation.name)

    @property
    def pid(self) -> int:
        """Number of this incarnation in this process."""
        return int(self._incarnation.pid)

    @property
    def slot(self) -> TreePosition:
        """Its position in the tree, which a restarted agent takes over."""
        return self._incarnation.slot

    @property
    def address(self) -> str:
        """Path in the supervision tree."""
        return str(self._incarnation.address)

    @property
    def status(self) -> str:
        """``"starting"``, ``"running"``, ``"stopping"`` or ``"dead"``."""
        return str(self._incarnation.status)

    @property
    def is_alive(self) -> bool:
        """Whether messages still reach it."""
        return self._incarnation.status is not DEAD and not self._incarnation.host.loop.is_closed()

    @property
    def is_zombie(self) -> bool:
        """Whether it was killed and its code still runs, abandoned."""
        return self._incarnation.fenced and self._incarnation in self._incarnation.host.zombies

    @property
    def reason(self) -> Any:
        """Its exit reason; None while it runs."""
        return self._incarnation.reason

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} {self.pid}{'' if self.is_alive else ' dead'}>"

    def __reduce__(self) -> tuple[object, ...]:
        return resolve_ref, (self.pid, self._incarnation.name, self.address, getattr(self._incarnation, "origin", None) or process_origin())

    def __copy__(self) -> AgentRef:
        return self

    def __deepcopy__(self, memo: object) -> AgentRef:
        return self

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The methods of `ref_type`."""

    # messages --------------------------------------------------------------------------------------------------------
    async def call(
        self, message: object, *, timeout: float | None = 5.0, wait: float | None = None, cancel_on_timeout: bool = False
    ) -> Any:
        """Call the agent and return its reply.

        Parameters
        ----------
        message : object
            For `handle_call`; passed as it is, not copied (unless the agent is strict or has a process of its own).
        timeout : float or None
            Seconds, by the agent's clock.
        wait : float or None
            Seconds to wait for an agent of that name (of that place under its supervisor, if it had none) when this one is gone.
        cancel_on_timeout : bool
            Cancel the handler (or take the message back) when time is over. Else the agent goes on, and its late reply is dropped.

        Returns
        -------
        object
            What `handle_call` returned, or gave to ``caller.reply``.

        Raises
        ------
        NotRunning
            It is dead; at once.
        CallingSelf
            It is the caller; at once.
        AgentDown
            It died before it replied.
        CallTimeout
            No reply in time.
        """
        incarnation = self._incarnation
        if timeout.__class__ is not float or not timeout >= 0:
            check_time(timeout, "timeout")
        if wait is not None and not self.is_alive:
            incarnation = await incarnation.successor(wait)
        loop = running_loop()
        if loop is incarnation.loop:
            future = loop.create_future()
            enqueue_call(incarnation, message, future, CURRENT_AGENT.get(), timeout, cancel_on_timeout)
            if CURRENT_FRAME.get() is None:
                return await future
            with waiting("reply", f"reply of {incarnation.name}", timeout=timeout):
                return await future
        return await call_across_loops(incarnation, message, timeout, cancel_on_timeout)

    def call_sync(self, message: object, *, timeout: float | None = 5.0) -> Any:
        """`call` from plain code, such as a cell without ``await``. The stop button interrupts the waiting, not the agent.

        Parameters
        ----------
        message : object
            For `handle_call`.
        timeout : float or None
            Seconds, by the agent's clock; None: as long as it takes.

        Raises
        ------
        NotRunning, CallingSelf, AgentDown, CallTimeout
            As `call`.
        RuntimeError
            Called on the loop that would have to answer: use ``await ref.call(...)`` there.
        """
        incarnation = self._incarnation
        check_time(timeout, "timeout")
        host = incarnation.host
        by = CURRENT_AGENT.get()
        if by is incarnation:
            raise CallingSelf(incarnation.name)
        host.must_not_wait("use `await ref.call(...)`")
        if not self.is_alive:
            raise NotRunning(incarnation.name)
        reply = PortalFuture()
        host.post_to(incarnation, enqueue_posted_call, incarnation, portable(incarnation, message), reply, by, timeout, False)
        try:
            with waiting("reply", f"reply of {incarnation.name}", timeout=timeout):
                is_in_time = reply.wait(None if timeout is None or not host.is_real else timeout + CALL_MARGIN)
        except BaseException:  # an interrupt: what was not delivered yet is not to be
            reply.give_up()
            raise
        if not is_in_time:  # the message is delivered all the same, as any call's that was not answered in time
            raise CallTimeout(incarnation.name, timeout, "")
        return reply.result()

    def cast(self, message: object) -> None:
        """Send a message for `handle_cast`; never fails, not even when the agent has ended.

        Parameters
        ----------
        message : object
            For the agent; it comes after what the same sender sent before.
        """
        incarnation, by = self._incarnation, CURRENT_AGENT.get()
        if not incarnation.is_open or get_ident() != incarnation.ident or (by is not None and by.fenced):
            self._cast_rarely(message, by)
            return
        cause = sender = None
        if by is not None:
            cause, sender = by.cause, by.pid
        log = incarnation.log
        seq = next(log.count)
        item = record = (seq, perf_counter_ns(), CAST, incarnation.pid, message, cause, sender)
        if message.__class__ not in PLAIN:
            record = (seq, record[1], CAST, incarnation.pid, log.describe(message), cause, sender)
        log.add(record)
        if log.watchers:
            log.notify(record)
        mailbox = incarnation.mailbox
        if mailbox.is_draining:
            mailbox.queue.append(item)  # type: ignore[union-attr]  # a draining one has a queue
        else:
            mailbox.put(item)

    def _cast_rarely(self, message: object, by: Addressee | None) -> None:
        """A cast from another thread, to an ended agent, in strict mode, or by a zombie."""
        incarnation = self._incarnation
        message = portable(incarnation, message)
        if incarnation.host.is_here:
            enqueue_message(incarnation, CAST, message, by)
        else:
            incarnation.host.post_to(incarnation, enqueue_message, incarnation, CAST, message, by)

    def send(self, message: object) -> None:
        """Send a message for `handle_info`; never fails.

        Parameters
        ----------
        message : object
            For the agent; it comes after what the same sender sent before.
        """
        incarnation, by = self._incarnation, CURRENT_AGENT.get()
        message = portable(incarnation, message)
        if incarnation.host.is_here:
            enqueue_message(incarnation, INFO, message, by)
        else:
            incarnation.host.post_to(incarnation, enqueue_message, incarnation, INFO, message, by)

    def within(self, seconds: float | None) -> Within:
        """The same agent with another timeout: ``await ref.within(2.0).pop()``.

        Parameters
        ----------
        seconds : float or None
            For each call of its methods; None: as long as it takes.
        """
        check_time(seconds, "seconds")
        return Within(self, seconds)

    # ends ------------------------------------------------------------------------------------------------------------
    async def stop(self, reason: object = "normal", timeout: float | None = None) -> None:
        """End it with `reason` after the messages that it has now, and wait until it has ended.

        Parameters
        ----------
        reason : object
            Its exit reason, which `terminate`, monitors and the supervisor see.
        timeout : float or None
            Seconds, by the agent's clock; None: as long as it takes.

        Raises
        ------
        NotRunning, CallingSelf
            At once.
        AgentDown
            It ended with another reason.
        CallTimeout
            It did not end in time.
        """
        check_time(timeout, "timeout")
        incarnation, by = self._incarnation, CURRENT_AGENT.get()
        if by is incarnation:
            raise CallingSelf(incarnation.name)
        if not self.is_alive:
            raise NotRunning(incarnation.name)
        await incarnation.host.do(stop_and_wait, incarnation, reason, timeout)

    def stop_sync(self, reason: object = "normal", timeout: float | None = None) -> None:
        """`stop` from plain code.

        Parameters
        ----------
        reason : object
            Its exit reason.
        timeout : float or None
            Seconds, by the agent's clock; None: as long as it takes.

        Raises
        ------
        NotRunning, CallingSelf, AgentDown, CallTimeout
            As `stop`.
        """
        check_time(timeout, "timeout")
        incarnation = self._incarnation
        if CURRENT_AGENT.get() is incarnation:
            raise CallingSelf(incarnation.name)
        if not self.is_alive:
            raise NotRunning(incarnation.name)
        incarnation.host.do_sync(stop_and_wait, incarnation, reason, timeout)

    def exit(self, reason: object = "shutdown") -> None:
        """Send an exit signal. ``"kill"`` cannot be trapped, and also ends code that does not yield; ``"normal"`` is ignored.

        Parameters
        ----------
        reason : object
            An agent with ``trap_exit`` gets it as an `Exit` message; others end with it.

        Notes
        -----
        A kill cancels what is in flight. What still runs after 0.2 s is fenced: dead to everybody, a zombie. Called from another thread
        while the agent's code holds the loop, it raises an exception inside that code; a single long C call has to return first.

        A supervisor that no other supervises ends its children in order and then itself, when plain code (or the agent that started
        it) sends the signal; any other supervisor takes no notice, as in OTP, but of a kill.
        """
        incarnation, by = self._incarnation, CURRENT_AGENT.get()
        if by is not None and by.fenced:
            return
        if incarnation.host.is_here:
            incarnation.on_exit_signal(reason, by, None if by is None else by.cause)
            return
        if not is_reason(reason, "kill"):
            incarnation.host.post_to(incarnation, incarnation.on_exit_signal, reason, by)
            return
        incarnation.host.post(incarnation.on_exit_signal, reason, by)
        from pocketflex_nb.agents.host.watchdog import force_kill  # here: it stands above this file

        force_kill(incarnation)

    def send_after(self, message: object, seconds: float) -> Sending:
        """Send a message for `handle_info` when `seconds` are over; never fails.

        Parameters
        ----------
        message : object
            For the agent; lost when that has ended by then.
        seconds : float
            From now, by the agent's clock.

        Returns
        -------
        Sending
            Its `cancel` takes the message back.
        """
        return Sending(self._incarnation.host, lambda: self, message, seconds)

    def monitor(self) -> Monitor:
        """Monitor it: ``down = await ref.monitor()``; in an agent the `Down` also comes to `handle_info`."""
        monitor = Monitor(self, CURRENT_AGENT.get())
        incarnation = self._incarnation
        if not self.is_alive:
            monitor._down(incarnation, "noproc", False, None)
        elif incarnation.host.is_here:
            monitor._attach(incarnation)
        else:
            incarnation.host.post(monitor._attach, incarnation)
        return monitor

    # looking inside --------------------------------------------------------------------------------------------------
    @property
    def os_pid(self) -> int | None:
        """Id of its own process, with ``isolation="process"``."""
        number: int | None = getattr(self._incarnation.agent, "os_pid", None)
        return number

    def state(self) -> Any:
        """Its attributes now, as `redact` returns them; at once, also while it is busy. With a process of its own: to be awaited."""
        agent = self._agent()
        if hasattr(agent, "pfx_state"):
            return agent.pfx_state(self)
        return AwaitableDict(agent.redact({name: value for name, value in vars(agent).items() if not name.startswith("_pfx_")}))

    def stats(self) -> AwaitableDict:
        """Messages handled and waiting, status, current event."""
        incarnation = self._incarnation
        return AwaitableDict(
            status=str(incarnation.status),
            handled=incarnation.mailbox.handled,
            mailbox=incarnation.backlog,
            is_busy=incarnation.is_busy,
            is_suspended=incarnation.mailbox.is_suspended,
            is_zombie=self.is_zombie,
            pid=incarnation.pid,
            address=incarnation.address,
        )

    def trace(self, on: bool = True) -> _AwaitableNone:
        """Write each event of this agent to the log ``pocketflex_nb`` (level INFO), or stop doing so.

        Parameters
        ----------
        on : bool
            False: stop writing.
        """
        from pocketflex_nb.agents.host.trace import trace_to_log

        trace_to_log(self._incarnation, on)
        return _AwaitableNone()

    def suspend(self) -> _AwaitableNone:
        """Handle no more messages until `resume`; what is running ends first.

        System messages (`stop`, `replace_state`, `upgrade`, a supervisor's shutdown) are handled; everything else waits, `Down` messages
        and a supervisor's restarts too.
        """
        mailbox = self._incarnation.mailbox
        mailbox.is_suspended = mailbox.is_blocked = True
        return _AwaitableNone()

    def resume(self) -> _AwaitableNone:
        """Continue to handle messages."""
        incarnation = self._incarnation
        mailbox = incarnation.mailbox
        mailbox.is_suspended, mailbox.is_blocked = False, incarnation.pending_exit is not None
        self._order(lambda incarnation: None)
        return _AwaitableNone()

    def replace_state(self, fn: Callable[[dict[str, Any]], dict[str, Any]]) -> Pending:
        """Replace its attributes by ``fn(attributes)``, between two messages. Await the result to have the new ones.

        Parameters
        ----------
        fn : callable
            Gets a copy of the dict of attributes and returns the new one; what it raises comes out of the ``await``, and nothing changes.

        Raises
        ------
        NotRunning
            It is dead.
        """

        def swap(incarnation: Addressee) -> object:
            agent = incarnation.agent
            if hasattr(agent, "pfx_replace_state"):
                return agent.pfx_replace_state(self, fn)
            new = dict(fn(dict(vars(agent))))
            vars(agent).clear()
            vars(agent).update(new)
            return None

        return self._ordered(swap, lambda incarnation: AwaitableDict(vars(incarnation.agent)))

    async def upgrade(self, cls: type) -> None:
        """Give it another class between two messages; its attributes stay, and ``code_change(old_cls)`` may adapt them.

        When `code_change` fails, the old class and attributes come back, and the error is raised here.

        Parameters
        ----------
        cls : type
            The new class.

        Raises
        ------
        NotRunning
            It is dead.
        """

        async def change(incarnation: Addressee) -> None:
            agent, old, before = incarnation.agent, type(incarnation.agent), dict(vars(incarnation.agent))
            if hasattr(agent, "pfx_upgrade"):
                await agent.pfx_upgrade(cls)
                incarnation.cls = cls
                return
            try:
                agent.__class__ = cls
                out = agent.code_change(old)
                if asyncio.iscoroutine(out):
                    await out
            except BaseException:
                agent.__class__ = old
                vars(agent).clear()
                vars(agent).update(before)
                raise
            incarnation.cls = cls
            self.__class__ = ref_type(cls, incarnation.ref_class)

        await self._ordered(change, lambda incarnation: None)

    def _agent(self) -> Any:
        agent = self._incarnation.agent
        if agent is None:
            raise NotRunning(self._incarnation.name)
        return agent

    def _order(self, run: Callable[[Addressee], object]) -> None:
        incarnation = self._incarnation
        if self.is_alive:
            incarnation.host.post_to(incarnation, put_if_alive, incarnation, SystemMessage(run))

    def _ordered(
        self,
        run: Callable[[Addressee], object],
        give: Callable[[Addressee], object],
        kind: type[SystemMessage | InternalMessage] = SystemMessage,
    ) -> Pending:
        """Call `run` between two messages, as a message of that kind; the result can be awaited from any loop."""
        incarnation = self._incarnation
        self._agent()
        waiting = Pending(self, None)

        async def order(incarnation: Addressee) -> None:
            try:
                out = run(incarnation)
                if asyncio.iscoroutine(out):
                    await out
            except Exception as exc:
                waiting._fail(exc.exc if isinstance(exc, ReplyError) else exc)
            else:
                waiting._settle(give(incarnation))

        if incarnation.host.is_here:
            waiting._attach(incarnation)
            enqueue_system_message(incarnation, kind(order))
        else:
            incarnation.host.post(waiting._attach, incarnation)
            incarnation.host.post_to(incarnation, put_if_alive, incarnation, kind(order))
        return waiting


class Referenced(Addressee, Protocol):
    """An incarnation, with the class of its ref."""

    @property
    def ref(self) -> AgentRef:
        """Its address."""
        ...


def resolve_ref(pid: int, name: str, address: str, of: str = "") -> Ref:
    """The ref of a running incarnation of this process, or, in an agent's own process, a remote ref; else that of an ended one."""
    if REMOTE_REFS:
        return REMOTE_REFS[0](pid, name, address, of)
    incarnation = find_incarnation(pid, of)
    if incarnation is not None:
        return incarnation.ref
    absent = AbsentIncarnation(pid, name, address, of)
    absent.ref_class, absent.ref = AgentRef, AgentRef(absent)
    return absent.ref
