"""A child of a supervisor: its spec, its present incarnation, its start, and the report of its end."""

from __future__ import annotations

from pocketflex_nb.agents.actor.agent import has_newer_code, latest_class
from pocketflex_nb.agents.actor.incarnation import Incarnation
from pocketflex_nb.agents.actor.start_agent import bring_up, set_up
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.envelopes import Addressee, InternalMessage
from pocketflex_nb.agents.protocol.exit_reasons import DEAD, STARTING
from pocketflex_nb.agents.protocol.tree_position import AgentInfo, TreePosition
from pocketflex_nb.agents.supervision.child_info import ChildInfo
from pocketflex_nb.agents.supervision.child_spec import ChildSpec

__all__ = ["Child", "bring_up_child", "report_exit"]


class Child:
    """A spec and the present incarnation of its child.

    Attributes
    ----------
    last : AgentInfo or None
        Of the incarnation started last: a restart is recorded at it.
    is_restarting : bool
        Between two tries to start it.
    """

    __slots__ = ("cls", "error", "incarnation", "is_restarting", "last", "restarts", "slot", "spec", "version")

    def __init__(self, spec: ChildSpec, parent: TreePosition) -> None:
        self.spec, self.slot = spec, TreePosition(spec.id, parent)
        self.incarnation: Incarnation | None = None
        self.last: AgentInfo | None = None
        self.is_restarting = False
        self.restarts = 0
        self.version = 0
        self.cls: object = None
        self.error: str | None = None

    @property
    def status(self) -> str:
        """Its status: "running", "restarting" or "stopped"."""
        if self.ref is not None:
            return "running"
        return "restarting" if self.is_restarting else "stopped"

    @property
    def ref(self) -> AgentRef | None:
        """Its address, from the event of its start on."""
        incarnation = self.incarnation
        if incarnation is None or incarnation.status is DEAD or (incarnation.status is STARTING and incarnation.type != "task"):
            return None
        return incarnation.ref

    def see(self, cls: object) -> None:
        """Count the code versions."""
        if cls is not self.cls:
            self.cls, self.version = cls, self.version + 1

    def to_info(self) -> ChildInfo:
        """Its present state, as a `ChildInfo`."""
        cls = self.incarnation.cls if self.incarnation is not None else self.cls
        if cls is not None:
            self.see(cls)
        stale = self.incarnation is not None and isinstance(cls, type) and has_newer_code(cls)
        return ChildInfo(self.slot.id, self.ref, self.status, self.spec.type, self.restarts, max(self.version, 1), stale, self.error)


async def bring_up_child(supervisor: Incarnation, child: Child, extra: tuple[object, ...] = ()) -> bool:
    """Start `child` under `supervisor`; False when its `init` returned IGNORE.

    Raises
    ------
    StartError, AlreadyStarted
        It did not start.
    """
    spec = child.spec
    cls = latest_class(spec.cls) if getattr(spec.cls, "reload", None) == "on_restart" else spec.cls
    if spec.tree is not None:
        tree = spec.tree
        incarnation: Incarnation = tree._pfx_incarnation(supervisor.host, tree._pfx_behaviour, child.slot, supervisor)
        started = bring_up(incarnation, tree.name, (tree._options,), {})
    else:
        strict = spec.strict if spec.strict is not None else supervisor.is_strict or None
        incarnation = set_up(Incarnation(supervisor.host, cls, child.slot, supervisor), spec.isolation, strict, spec.persist, spec.name)
        started = bring_up(incarnation, spec.name, (*extra, *spec.args), spec.kwargs)
    incarnation.info.restarts, child.incarnation = child.restarts, incarnation
    supervisor.links = supervisor.links or set()
    supervisor.links.add(incarnation)
    incarnation.links = {supervisor}
    is_up = False
    try:
        is_up = await started is not None
    finally:
        if not is_up:
            child.incarnation = None
        if (not is_up or incarnation.status is DEAD) and supervisor.links:
            supervisor.links.discard(incarnation)
    child.last = incarnation.info
    child.is_restarting = False
    child.see(incarnation.cls)     # a supervisor's is not what its spec names
    if is_up:
        child.slot._occupy(incarnation)
        if spec.tree is not None:
            spec.tree._bind_incarnation(incarnation)
        incarnation.on_exit = lambda incarnation, reason: report_exit(supervisor, child, incarnation, reason)
        if incarnation.status is DEAD:  # between its init and this line
            report_exit(supervisor, child, incarnation, incarnation.reason)
    return is_up


def report_exit(supervisor: Addressee, child: Child, incarnation: Addressee, reason: object) -> None:
    """Send the supervisor a message that a child has ended."""
    if supervisor.status is not DEAD:
        supervisor.put(InternalMessage(lambda supervisor: supervisor.agent.child_ended(child, incarnation, reason)))
