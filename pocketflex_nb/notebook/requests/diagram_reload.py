"""Rebuilds a diagram's flow when a cell has rebound one of the names that it uses.

Runs keep the flow that they were launched with; the name in the notebook is bound to the new one. `%pocketflex pin` prevents that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.core.mermaid.builder import rebuild
from pocketflex_nb.notebook.requests.names import pinned

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["current_flow", "follow_names", "install_diagram_reload", "remove_diagram_reload"]

#: flows that a cell's diagram has made, each with what its names meant then
_made: WeakKeyDictionary[BaseNode, dict[str, object]] = WeakKeyDictionary()
_shells: list[InteractiveShell] = []
#: IPython's names for the last values
_OUTPUT = re.compile(r"_{1,3}|_\d+")


def follow_names(flow: Flow, names: Mapping[str, object]) -> None:
    """Make `flow` follow the names that its diagram uses."""
    sources = {str(node.__dict__["_pfx_source"]) for node in nodes_by_path(flow).values() if "_pfx_source" in node.__dict__}
    _made[flow] = {name: names.get(name) for name in sources}


def current_flow(flow: BaseNode, names: Mapping[str, object]) -> BaseNode:
    """The flow of a diagram with the present meaning of its names: built again if one of them has changed, unless it is pinned."""
    return flow if not isinstance(flow, Flow) or flow in pinned or _is_current(flow, names) else rebuild(flow, names)


def _is_current(flow: BaseNode, names: Mapping[str, object]) -> bool:
    meant = _made.get(flow)
    return meant is not None and all(names.get(source) is thing for source, thing in meant.items())


def _follow(*_: object) -> None:
    """After a cell: rebuild the flows whose names have changed; a flow of flows after those."""
    for shell in _shells:
        names = shell.user_ns
        for _round in range(8):  # so deep may diagrams stand in diagrams
            flows = [(n, v) for n, v in list(names.items()) if isinstance(v, Flow) and not _OUTPUT.fullmatch(n)]
            followed = [_followed(name, flow, names) for name, flow in flows]
            if not any(followed):
                break


def _followed(name: str, flow: Flow, names: dict[str, object]) -> bool:
    if flow not in _made or flow in pinned or _is_current(flow, names):
        return False
    try:
        twin = rebuild(flow, names)
    except PocketflexError:  # a name is gone, or means something else: told when the flow is run
        return False
    follow_names(twin, names)
    names[name] = twin
    return True


def install_diagram_reload(shell: InteractiveShell) -> None:
    """Look after each cell of `shell`."""
    _shells.append(shell)
    shell.events.register("post_run_cell", _follow)


def remove_diagram_reload(shell: InteractiveShell) -> None:
    """Undo `install_diagram_reload`."""
    if shell in _shells:
        _shells.remove(shell)
        shell.events.unregister("post_run_cell", _follow)
