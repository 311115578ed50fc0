"""`AgentRef`: the address of one incarnation of an agent, for messages and signals only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pocketflex_nb.agents.host.agent_host import running_loop
from pocketflex_nb.agents.host.agent_log import PLAIN
from pocketflex_nb.agents.messaging.delayed_sends import Sending
from pocketflex_nb.agents.messaging.delivery import LATE, ask, ask_across, ask_late, portable, put, put_now, put_order, stop_it, successor
from pocketflex_nb.agents.messaging.envelopes import CAST, INFO, Order, Turn
from pocketflex_nb.agents.messaging.method_proxies import Within, ref_type
from pocketflex_nb.agents.messaging.monitors import Monitor, Pending
from pocketflex_nb.agents.messaging.portability_hooks import REMOTE, Absent, find, origin
from pocketflex_nb.agents.messaging.reply_futures import ThreadWait
from pocketflex_nb.agents.protocol.errors import CallingSelf, CallTimeout, NotRunning, ReplyError, check_time
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, is_reason
from pocketflex_nb.agents.protocol.tree_position import Slot
from pocketflex_nb.concurrency.interruptible import SLICE
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["AgentRef", "Answered", "revive"]

class Answered(dict[str, Any]):
    """Facts that can be read at once or awaited: ``ref.state()`` and ``await ref.state()`` both return them."""

    def __await__(self) -> Any:
        return self
        yield

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text(repr(dict(self)))


class _Nothing:
    """The result of a plain call, which may be awaited without harm."""

    def __await__(self) -> Any:
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
        Number of this life.
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

    __slots__ = ("__weakref__", "_life")

    def __init__(self, life: Any) -> None:
        self._life = life

    # what it is ------------------------------------------------------------------------------------------------------
    @property
    def id(self) -> Any:
        """The name, or the child's id."""
        return self._life.slot.id

    @property
    def name(self) -> str:
        """The id as text."""
        return str(self._life.name)

    @property
    def pid(self) -> int:
        """Number of this incarnation in this process."""
        return int(self._life.pid)

    @property
    def slot(self) -> Slot:
        """Its position in the tree, which a restarted agent takes over."""
        slot: Slot = self._life.slot
        return slot

    @property
    def address(self) -> str:
        """Path in the supervision tree."""
        return str(self._life.address)

    @property
    def status(self) -> str:
        """``"starting"``, ``"running"``, ``"stopping"`` or ``"dead"``."""
        return str(self._life.status)

    @property
    def is_alive(self) -> bool:
        """Whether messages still reach it."""
        return self._life.status is not DEAD and not self._life.home.loop.is_closed()

    @property
    def is_zombie(self) -> bool:
        """Whether it was killed and its code still runs, abandoned."""
        return self._life.fenced and self._life in self._life.home.zombies

    @property
    def reason(self) -> Any:
        """Its exit reason; None while it runs."""
        return self._life.reason

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} {self.pid}{'' if self.is_alive else ' dead'}>"

    def __reduce__(self) -> Any:
        return revive, (self.pid, self._life.name, self.address, getattr(self._life, "origin", None) or origin())

    def __copy__(self) -> AgentRef:
        return self

    def __deepcopy__(self, memo: Any) -> AgentRef:
        return self

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The methods of `ref_type`."""

    # messages --------------------------------------------------------------------------------------------------------
    async def call(self, message: Any, *, timeout: float | None = 5.0, wait: float | None = None, cancel_on_timeout: bool = False) -> Any:
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
        life = self._life
        if timeout.__class__ is not float or not timeout >= 0:
            check_time(timeout, "timeout")
        if wait is not None and not self.is_alive:
            life = await successor(life, wait)
        loop: Any = running_loop()
        if loop is life.loop:
            future = loop.create_future()
            ask(life, message, future, CURRENT_AGENT.get(), timeout, cancel_on_timeout)
            return await future
        return await ask_across(life, message, timeout, cancel_on_timeout)

    def call_sync(self, message: Any, *, timeout: float | None = 5.0) -> Any:
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
        life = self._life
        check_time(timeout, "timeout")
        home = life.home
        by = CURRENT_AGENT.get()
        if by is life:
            raise CallingSelf(life.name)
        home.must_not_wait("use `await ref.call(...)`")
        if not self.is_alive:
            raise NotRunning(life.name)
        waiting = ThreadWait()
        home.post_to(life, ask_late, life, portable(life, message), waiting, by, timeout, False)
        if not waiting.wait(None if timeout is None or not home.is_real else timeout + LATE, SLICE):
            raise CallTimeout(life.name, timeout, "")
        return waiting.result()

    def cast(self, message: Any) -> None:
        """Send a message for `handle_cast`; never fails, not even when the agent has ended.

        Parameters
        ----------
        message : object
            For the agent; it comes after what the same sender sent before.
        """
        life, by = self._life, CURRENT_AGENT.get()
        if not life.is_open or get_ident() != life.ident or (by is not None and by.fenced):
            self._cast_rarely(message, by)
            return
        cause = sender = None
        if by is not None:
            cause, sender = by.cause, by.pid
        log = life.log
        seq = next(log.count)
        item = record = (seq, perf_counter_ns(), CAST, life.pid, message, cause, sender)
        if message.__class__ not in PLAIN:
            record = (seq, record[1], CAST, life.pid, log.describe(message), cause, sender)
        log.add(record)
        if log.watchers:
            log.tell(record)
        if life.is_awake:
            life.box.append(item)
        else:
            life.put(item)

    def _cast_rarely(self, message: Any, by: Any) -> None:
        """A cast from another thread, to an ended agent, in strict mode, or by a zombie."""
        life = self._life
        message = portable(life, message)
        if life.home.is_here:
            put(life, CAST, message, by)
        else:
            life.home.post_to(life, put, life, CAST, message, by)

    def send(self, message: Any) -> None:
        """Send a message for `handle_info`; never fails.

        Parameters
        ----------
        message : object
            For the agent; it comes after what the same sender sent before.
        """
        life, by = self._life, CURRENT_AGENT.get()
        message = portable(life, message)
        if life.home.is_here:
            put(life, INFO, message, by)
        else:
            life.home.post_to(life, put, life, INFO, message, by)

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
    async def stop(self, reason: Any = "normal", timeout: float | None = None) -> None:
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
        life, by = self._life, CURRENT_AGENT.get()
        if by is life:
            raise CallingSelf(life.name)
        if not self.is_alive:
            raise NotRunning(life.name)
        await life.home.do(stop_it, life, reason, timeout)

    def stop_sync(self, reason: Any = "normal", timeout: float | None = None) -> None:
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
        life = self._life
        if CURRENT_AGENT.get() is life:
            raise CallingSelf(life.name)
        if not self.is_alive:
            raise NotRunning(life.name)
        life.home.do_sync(stop_it, life, reason, timeout)

    def exit(self, reason: Any = "shutdown") -> None:
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
        life, by = self._life, CURRENT_AGENT.get()
        if by is not None and by.fenced:
            return
        if life.home.is_here:
            life.hit(reason, by, None if by is None else by.cause)
            return
        if not is_reason(reason, "kill"):
            life.home.post_to(life, life.hit, reason, by)
            return
        life.home.post(life.hit, reason, by)
        from pocketflex_nb.agents.host.watchdog import hunt  # here: it stands above this file

        hunt(life)

    def send_after(self, message: Any, seconds: float) -> Sending:
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
        return Sending(self._life.home, lambda: self, message, seconds)

    def monitor(self) -> Monitor:
        """Monitor it: ``down = await ref.monitor()``; in an agent the `Down` also comes to `handle_info`."""
        monitor = Monitor(self, CURRENT_AGENT.get())
        life = self._life
        if not self.is_alive:
            monitor.down(life, "noproc", False, None)
        elif life.home.is_here:
            monitor.attach(life)
        else:
            life.home.post(monitor.attach, life)
        return monitor

    # looking inside --------------------------------------------------------------------------------------------------
    @property
    def os_pid(self) -> int | None:
        """Id of its own process, with ``isolation="process"``."""
        number: int | None = getattr(self._life.agent, "os_pid", None)
        return number

    def state(self) -> Any:
        """Its attributes now, as `redact` returns them; at once, also while it is busy. With a process of its own: to be awaited."""
        agent = self._agent()
        if hasattr(agent, "pfx_state"):
            return agent.pfx_state(self)
        return Answered(agent.redact({name: value for name, value in vars(agent).items() if not name.startswith("_pfx_")}))

    def stats(self) -> Answered:
        """Messages handled and waiting, status, current event."""
        life = self._life
        box = life.box
        return Answered(
            status=life.status,
            handled=life.handled,
            mailbox=(len(box) if box else 0) + len(life.inbound or ()),
            is_busy=life.is_awake,
            is_suspended=life.is_suspended,
            is_zombie=self.is_zombie,
            pid=life.pid,
            address=life.address,
        )

    def trace(self, on: bool = True) -> Any:
        """Write each event of this agent to the log ``pocketflex_nb`` (level INFO), or stop doing so.

        Parameters
        ----------
        on : bool
            False: stop writing.
        """
        from pocketflex_nb.agents.host.trace import trace_to_log

        trace_to_log(self._life, on)
        return _Nothing()

    def suspend(self) -> Any:
        """Handle no more messages until `resume`; what is running ends first.

        System messages (`stop`, `replace_state`, `upgrade`, a supervisor's shutdown) are handled; everything else waits, `Down` messages
        and a supervisor's restarts too.
        """
        self._life.is_suspended = self._life.is_held = True
        return _Nothing()

    def resume(self) -> Any:
        """Continue to handle messages."""
        life = self._life
        life.is_suspended, life.is_held = False, life.doom is not None
        self._order(lambda life: None)
        return _Nothing()

    def replace_state(self, fn: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
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

        def swap(life: Any) -> Any:
            agent = life.agent
            if hasattr(agent, "pfx_replace_state"):
                return agent.pfx_replace_state(self, fn)
            new = dict(fn(dict(vars(agent))))
            vars(agent).clear()
            vars(agent).update(new)
            return None

        return self._ordered(swap, lambda life: Answered(vars(life.agent)))

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

        async def change(life: Any) -> None:
            agent, old, before = life.agent, type(life.agent), dict(vars(life.agent))
            if hasattr(agent, "pfx_upgrade"):
                await agent.pfx_upgrade(cls)
                life.cls = cls
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
            life.cls = cls
            self.__class__ = ref_type(cls, life.ref_class)

        await self._ordered(change, lambda life: None)

    def _agent(self) -> Any:
        agent = self._life.agent
        if agent is None:
            raise NotRunning(self._life.name)
        return agent

    def _order(self, run: Callable[[Any], Any]) -> None:
        life = self._life
        if self.is_alive:
            life.home.post_to(life, put_now, life, Order(run))

    def _ordered(self, run: Callable[[Any], Any], give: Callable[[Any], Any], kind: type[Order | Turn] = Order) -> Pending:
        """Call `run` between two messages, as a message of that kind; the result can be awaited from any loop."""
        life = self._life
        self._agent()
        waiting = Pending(self, None)

        async def order(life: Any) -> None:
            try:
                out = run(life)
                if asyncio.iscoroutine(out):
                    await out
            except Exception as exc:
                waiting.fail(exc.exc if isinstance(exc, ReplyError) else exc)
            else:
                waiting.settle(give(life))

        if life.home.is_here:
            waiting.attach(life)
            put_order(life, kind(order))
        else:
            life.home.post(waiting.attach, life)
            life.home.post_to(life, put_now, life, kind(order))
        return waiting


def revive(pid: int, name: str, address: str, of: str = "") -> Any:
    """The ref of a running incarnation of this process, or, in an agent's own process, a remote ref; else that of an ended one."""
    if REMOTE:
        return REMOTE[0](pid, name, address, of)
    life = find(pid, of)
    return life.ref if life is not None else AgentRef(Absent(pid, name, address, of))
