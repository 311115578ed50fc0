"""The agents of this process, where it has used agents at all: asking for them imports nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketflex_nb.agents.host.agent_host import AgentHost
    from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["agent_hosts", "living_agents", "stop_agents_of"]


def living_agents() -> list[Ref]:
    """The refs of all running agents, supervisors and tasks."""
    module = sys.modules.get("pocketflex_nb.agents.actor.cell_scope")
    return list(module.living()) if module is not None else []


def stop_agents_of(cell_id: str) -> None:
    """End what the cell has started, in order."""
    module = sys.modules.get("pocketflex_nb.agents.actor.cell_scope")
    if module is not None:
        module.stop_scope(cell_id)


def agent_hosts() -> list[AgentHost]:
    """The loops on which agents run."""
    module = sys.modules.get("pocketflex_nb.agents.host.agent_host")
    return list(module.hosts()) if module is not None else []
