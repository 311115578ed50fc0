"""The flows that each node belongs to, and the arrows that a notebook cell drew when it ran last.

A node has no reference to its flows, and may belong to several. Code that wires nodes learns here which flows that changes: `linear`
copies a node that belongs to another flow, ``>>`` warns. A cell that runs again redraws its arrows: those of its previous execution are
removed, and the flows that it made then no longer count.

Nothing is written on nodes (a copy would carry it along) and nothing is kept alive. Flows and forks are recognised by their attributes,
because this file must not import them.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from pocketflex_nb.core.context import CURRENT_CELL

__all__ = ["arrow_drawn", "enter", "forget_arrows", "stands_elsewhere"]

_CellRun = tuple[str, int]


class _Wired(Protocol):
    """A node, as far as this module looks at it."""

    successors: dict[str, Any]


class _Flow:
    """A registered flow: whether it was given a name, and which execution of which cell made it."""

    __slots__ = ("cell", "flow", "is_named", "told")

    def __init__(self, flow: object, is_named: bool, cell: _CellRun | None) -> None:
        self.flow, self.is_named, self.cell = weakref.ref(flow), is_named, cell
        self.told: tuple[_Flow, ...] = ()  # the flows that it was said to share nodes with

    @property
    def name(self) -> str | None:
        name = getattr(self.flow(), "name", None) if self.is_named else None
        return name if isinstance(name, str) else None

    def counts(self, cell: _CellRun | None, name: str | None) -> bool:
        """Whether it is another flow than the one being wired: alive, and not made by an earlier run of this cell or under this name."""
        if self.flow() is None:
            return False
        if self.cell is None or cell is None or self.cell[1] >= cell[1]:
            return True
        return self.cell[0] != cell[0] and (name is None or name != self.name)


class _Node:
    """The facts about one node. `is_shared`: an arrow was drawn to it, or replaced one of its own, while it belonged to a flow."""

    __slots__ = ("arrows", "flows", "is_shared", "node")

    def __init__(self, node: object) -> None:
        key = id(node)
        self.node = weakref.ref(node, lambda _: _nodes.pop(key, None))
        self.flows: list[_Flow] = []
        self.arrows: dict[str | None, _CellRun] = {}  # action to the run of a cell that drew it; None is the error arrow
        self.is_shared = False


_nodes: dict[int, _Node] = {}


def _known(node: object) -> _Node | None:
    found = _nodes.get(id(node))
    return found if found is not None and found.node() is node else None


def _kept(node: object) -> _Node | None:
    """The facts about `node`, created if need be; None for objects that cannot be referenced weakly."""
    found = _known(node)
    if found is None:
        try:
            found = _nodes[id(node)] = _Node(node)
        except TypeError:  # END, and foreign things with slots
            return None
    return found


def enter(flow: object, start: object, *, is_named: bool = False) -> None:
    """Register every node that can be reached from `start` as part of `flow`.

    Parameters
    ----------
    flow : Flow
        It is not kept alive.
    start : object
        A node or a fork; anything else is passed over.
    is_named : bool
        Whether it was given a name of ours, so that a warning may name it: PocketFlow's flows have none, and its programs are not warned.
    """
    cell = _cell_run()
    standing = _Flow(flow, is_named, cell)
    for node in _reached([start], standing):
        if is_named and node.is_shared:
            _tell(node, cell, standing.name)


def arrow_drawn(source: object, action: str | None, target: object, *, is_over: bool) -> None:
    """Register an arrow that was just drawn; warn once when it adds a node to a second flow, or changes one that belongs to two.

    Parameters
    ----------
    source, action, target
        The arrow; action None is the error arrow.
    is_over : bool
        Whether another one was there, of another target.
    """
    cell, from_ = _cell_run(), _known(source)
    if cell is not None and (noted := _kept(source)) is not None:
        noted.arrows[action] = cell
    if from_ is None or not from_.flows:
        for node in _direct(target):
            if (known := _known(node)) is not None and known.flows:
                known.is_shared = True  # told when the other flow has a name
        return
    from_.is_shared = from_.is_shared or is_over
    from_.flows = [standing for standing in from_.flows if standing.flow() is not None]
    if len(from_.flows) > 1:
        _tell(from_, cell, None)
    for standing in from_.flows:
        for node in _reached([target], standing):
            if len(node.flows) > 1:
                _tell(node, cell, standing.name)


def forget_arrows(source: _Wired) -> None:
    """Remove the arrows of `source` that an earlier execution of the running cell drew."""
    known, cell = _known(source), _cell_run()
    if known is None or cell is None:
        return
    for action, (drawer, count) in list(known.arrows.items()):
        if drawer == cell[0] and count < cell[1]:
            del known.arrows[action]
            if action is None:
                source.__dict__.pop("_pfx_on_error", None)
            else:
                source.successors.pop(action, None)


def stands_elsewhere(node: object, name: str | None) -> bool:
    """Whether `node` belongs to another flow than the one of this name that is being made now."""
    known = _known(node)
    if known is None:
        return False
    cell = _cell_run()
    return any(standing.counts(cell, name) for standing in known.flows)


def _reached(roots: Iterable[object], standing: _Flow) -> Iterator[_Node]:
    """Every reachable node that was not registered for the flow yet; it is afterwards."""
    todo = [node for root in roots for node in _direct(root)]
    while todo:
        node = todo.pop()
        kept = _kept(node)
        if kept is None or standing in kept.flows:
            continue
        kept.flows = [one for one in kept.flows if one.flow() is not None]
        kept.flows.append(standing)
        yield kept
        for target in (*node.successors.values(), getattr(node, "_pfx_on_error", None)):
            todo += _direct(target)


def _direct(target: object) -> list[Any]:
    """The nodes that an arrow to `target` leads to."""
    found: list[object] = []
    todo: list[Any] = [target]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if getattr(type(one), "_pfx_is_fork", False):
            if id(one) not in seen:
                seen.add(id(one))
                todo += one.heads + one.detached
        elif isinstance(getattr(one, "successors", None), dict) and getattr(one, "_pfx_stands", True):
            found.append(one)
    return found


def _tell(node: _Node, cell: _CellRun | None, name: str | None) -> None:
    """Warn, once for two flows that have names, that they share a node."""
    named = [standing for standing in node.flows if standing.counts(cell, name) and standing.name is not None]
    if len(named) < 2 or named[0] in named[-1].told:
        return
    named[-1].told += (named[0],)
    thing = node.node()
    name = getattr(thing, "name", None)
    called = name if isinstance(name, str) and name else type(thing).__name__
    warnings.warn(
        f"node {called!r} stands in the flows {named[0].name!r} and {named[-1].name!r}, and so do the arrows that leave it: for a node of "
        f"its own take a copy, flow.copy(), or wire it by linear() or in a Mermaid cell, which take one",
        stacklevel=_outside(),
    )


def _outside() -> int:
    """The `stacklevel` of the first line that is not of this package, for a warning of the caller."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pocketflex_nb."):
        frame, level = frame.f_back, level + 1
    return level


def _cell_run() -> _CellRun | None:
    """The notebook cell that is running, and the number of its execution; None outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is None:
        return None
    cell = CURRENT_CELL.get()
    if not cell:
        parent = shell.get_parent() if hasattr(shell, "get_parent") else None
        cell = (parent or {}).get("metadata", {}).get("cellId") or _text(shell)
    return str(cell), int(shell.execution_count)


def _text(shell: Any) -> str:
    """The text of the cell, used as its id where the front end gives none: an edited cell counts as another one."""
    written = shell.user_ns.get("In") or [""]
    return f"text: {written[-1]}"
