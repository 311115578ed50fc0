"""OTP's rules of supervision as an agent that handles one message at a time, so that no restart is interrupted.

The reference is `supervisor.erl`; where its behaviour is surprising, a test documents it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import ParamSpec

from pocketflex_nb.agents.actor.agent import Agent
from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.stop_agent import stop_incarnation
from pocketflex_nb.agents.host.agent_host import Hosted
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee, InternalMessage
from pocketflex_nb.agents.protocol.directives import Stop
from pocketflex_nb.agents.protocol.errors import (
    AgentError,
    AlreadyPresent,
    AlreadyStarted,
    NameTaken,
    NotFound,
    ReplyError,
    Restarting,
    StartError,
    StillRunning,
)
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, Crash, Shutdown, format_reason, is_abnormal, is_reason
from pocketflex_nb.agents.supervision.child import Child, bring_up_child
from pocketflex_nb.agents.supervision.child_spec import ChildSpec, check_significant
from pocketflex_nb.agents.supervision.restart_intensity import Intensity, needs_restart
from pocketflex_nb.agents.supervision.supervisor_options import SupervisorOptions
from pocketflex_nb.agents.supervision.supervisor_ref import SupervisorRef
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import nearest

__all__ = ["SupervisorBehaviour", "SupervisorIncarnation", "check_ok"]

P = ParamSpec("P")


class SupervisorIncarnation(Incarnation):
    """One incarnation of a supervisor."""

    __slots__ = ()
    type = "supervisor"
    ref_class = SupervisorRef
    ref: SupervisorRef

    def on_exit_signal(self, reason: object, by: Hosted | None, cause: int | None = None, *, is_linked: bool = False) -> None:
        """Handle an exit signal: one from the starter of an unsupervised supervisor ends it in order, as its parent's does in OTP."""
        is_start = self.ancestry and by is not None and self.ancestry[0] is by.ref
        is_parent = self.supervisor is None and not is_linked and (by is None or is_start)
        if is_parent and not is_reason(reason, "kill") and not is_reason(reason, "normal"):
            self.shutdown(reason, cause)
        else:
            super().on_exit_signal(reason, by, cause, is_linked=is_linked)


class SupervisorBehaviour(Agent):
    """The agent that runs a `Supervisor`."""

    trap_exit = True

    async def init(self, options: SupervisorOptions) -> Stop | None:
        """Start the children in order; when one fails, end those that had started."""
        self.incarnation: SupervisorIncarnation = CURRENT_AGENT.get()
        self.options = options
        self.intensity = Intensity(options.max_restarts, options.max_seconds)
        self.order: list[Child] = []
        self.is_over = False
        self.incarnation.is_strict = bool(options.strict)
        try:
            for spec in options.specs:
                await self._boot(Child(spec, self.incarnation.slot))
        except StartError as exc:
            await self._end_children()
            return Stop(Shutdown(exc))
        except BaseException:
            await self._end_children()
            raise
        return None

    async def _boot(self, child: Child) -> None:
        self.order.append(child)
        try:
            if not await self._start(child) and child.spec.restart == "temporary":
                self.order.remove(child)
        except (StartError, AlreadyStarted) as exc:
            self.order.remove(child)
            raise _as_start_error(child, exc) from _cause(exc)

    async def _start(self, child: Child) -> bool:
        return await bring_up_child(self.incarnation, child)

    def members(self) -> Iterable[Child]:
        """The children in order."""
        return self.order

    # children that end -----------------------------------------------------------------------------------------------
    async def child_ended(self, child: Child, incarnation: Addressee, reason: object) -> Stop | None:
        """Handle a child that ended by itself: restart it, forget it or end with it, by its spec."""
        if child.incarnation is not incarnation or self.is_over:
            return None  # stopped or replaced meanwhile
        self.incarnation.cause = incarnation.cause
        child.error = format_reason(reason) if is_abnormal(reason) else child.error
        if needs_restart(child.spec.restart, reason):
            return await self.restart(child, reason)
        child.incarnation = None
        self._forget_temporary(child)
        return self._end_with(child)

    def _forget_temporary(self, child: Child) -> None:
        if child.spec.restart == "temporary" and child in self.order:
            self.order.remove(child)

    def _end_with(self, child: Child) -> Stop | None:
        """Whether the end of a significant child ends the supervisor."""
        mode = self.options.auto_shutdown
        if mode == "never" or not child.spec.significant:
            return None
        if mode == "all_significant" and any(c.spec.significant and c.incarnation is not None for c in self.order):
            return None
        return Stop("shutdown")

    async def restart(self, child: Child, reason: object) -> Stop | None:
        """Count one restart; then replace the children that the strategy names, or give up."""
        child.incarnation = None
        if not self.allows_restart(child, reason):
            return Stop("shutdown")
        child.restarts += 1
        failed = await self._replace(child, self._affected(child))
        if failed is not None:
            failed.is_restarting = True
            self.retry_later(failed, reason)
        return None

    def allows_restart(self, child: Child, reason: object) -> bool:
        """Count a restart; record it at the child's address, or at the supervisor's that it is one too many."""
        is_allowed = self.intensity.add(self.incarnation.host.clock.time())
        facts = {"child": child.slot.path, "reason": format_reason(reason), "attempt": len(self.intensity.entries)}
        if is_allowed:
            facts |= {"strategy": self.options.strategy, "restarts": child.restarts + 1}
        else:
            facts |= {"max_restarts": self.intensity.max_restarts, "max_seconds": self.intensity.max_seconds}
        me = self.incarnation
        about = child.last if is_allowed and child.last is not None else me.info
        me.cause = me.log.note("restart" if is_allowed else "giveup", about, facts, me.cause, me.info)
        return is_allowed

    def retry_later(self, child: Child, reason: object) -> None:
        """Try again after the messages that are waiting now."""
        self.incarnation.put(InternalMessage(lambda incarnation: self._retry(child, reason)))

    async def _retry(self, child: Child, reason: object) -> Stop | None:
        if not child.is_restarting or child not in self.order or self.is_over:
            return None
        return await self.restart(child, reason)

    def _affected(self, child: Child) -> list[Child]:
        """The children that the strategy replaces: the child itself, it and those started after it, or all."""
        if self.options.strategy == "one_for_one":
            return [child]
        if self.options.strategy == "rest_for_one":
            return self.order[self.order.index(child) :]
        return list(self.order)

    async def _replace(self, dead: Child, affected: list[Child]) -> Child | None:
        """Stop the running ones of `affected`, in reverse; start all that are left, in order; returns the one that failed."""
        for child in reversed(affected):
            await self._stop(child)
            child.is_restarting = True
            if child is not dead:
                self._forget_temporary(child)
        try:
            for child in affected:
                if child in self.order and not await self._start_again(child):
                    return child
        finally:
            for child in affected:
                if child.incarnation is None:
                    child.is_restarting = False
        return None

    async def _start_again(self, child: Child) -> bool:
        try:
            if not await self._start(child):
                self._forget_temporary(child)
        except (StartError, AlreadyStarted) as exc:
            child.error = format_reason(_cause(exc) or exc)
            return False
        return True

    async def _stop(self, child: Child) -> None:
        """Stop one child, as its spec says how."""
        incarnation, child.is_restarting = child.incarnation, False
        if incarnation is not None and incarnation.status is not DEAD:
            await stop_incarnation(incarnation, child.spec.shutdown, self.incarnation.cause)
        child.incarnation = None

    async def _end_children(self) -> None:
        """Stop all children, the last one first, one after another."""
        self.is_over = True
        for child in self.order[::-1]:  # a copy: one may be deleted meanwhile
            await self._stop(child)

    async def terminate(self, reason: object) -> None:
        """End the children when the supervisor ends."""
        await self._end_children()

    # administration --------------------------------------------------------------------------------------------------
    async def start_child(self, spec: ChildSpec) -> AgentRef | None:
        """See `SupervisorRef.start_child`."""
        check_ok(check_significant, spec, self.options.auto_shutdown)
        known = self._find(spec.id)
        if known is not None:
            raise ReplyError(AlreadyStarted(known.ref, spec.id) if known.ref is not None else AlreadyPresent(spec.id))
        child = Child(spec, self.incarnation.slot)
        try:
            await self._boot(child)
        except NameTaken as exc:
            raise ReplyError(AlreadyStarted(exc.ref, exc.name)) from None
        except StartError as exc:
            raise ReplyError(exc) from None
        return child.ref

    async def terminate_child(self, id: Hashable) -> None:
        """See `SupervisorRef.terminate_child`."""
        child = self._known(id)
        await self._stop(child)
        self._forget_temporary(child)

    async def restart_child(self, id: Hashable) -> AgentRef | None:
        """See `SupervisorRef.restart_child`."""
        child = self._known(id)
        _must_not_run(child)
        try:
            await self._start(child)
        except (StartError, AlreadyStarted) as exc:
            raise ReplyError(exc) from None
        return child.ref

    def delete_child(self, id: Hashable) -> None:
        """See `SupervisorRef.delete_child`."""
        self.order.remove(self.check_deletable(id))

    def check_deletable(self, id: Hashable) -> Child:
        """The child `id`, if it may be deleted now."""
        try:
            child = self._known(id)
            _must_not_run(child)
        except ReplyError as exc:
            raise exc.exc from None
        return child

    def delete_if_stopped(self, id: Hashable) -> None:
        """Delete the child `id`, unless it has been started or deleted since the request."""
        try:
            self.delete_child(id)
        except AgentError:
            pass

    def _find(self, id: Hashable) -> Child | None:
        return next((child for child in self.order if child.spec.id == id), None)

    def _known(self, id: Hashable) -> Child:
        child = self._find(id)
        if child is None:
            raise ReplyError(NotFound(id, nearest(str(id), [str(c.spec.id) for c in self.order])))
        return child


def _must_not_run(child: Child) -> None:
    if child.is_restarting:
        raise ReplyError(Restarting(child.spec.id))
    if child.incarnation is not None and child.incarnation.status is not DEAD:  # running, or on its way there
        raise ReplyError(StillRunning(child.spec.id))


def check_ok(check: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a check whose error belongs to the caller, not to the supervisor."""
    try:
        check(*args, **kwargs)
    except AgentError as exc:
        raise ReplyError(exc) from None


def _as_start_error(child: Child, exc: AgentError) -> StartError:
    if isinstance(exc, AlreadyStarted) and not isinstance(exc, NameTaken):
        return NameTaken(child.spec.id, exc)
    if not isinstance(exc, StartError):
        return StartError(child.spec.id, Crash(exc))
    below = exc.reason.term if isinstance(exc.reason, Shutdown) else None
    if isinstance(below, NameTaken):  # a child of the child
        taken = NameTaken(child.spec.id, AlreadyStarted(below.ref, below.name))
        taken.reason = exc.reason
        return taken
    return exc


def _cause(exc: BaseException) -> BaseException | None:
    return exc.__cause__
