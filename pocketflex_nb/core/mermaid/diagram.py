"""The data of a parsed diagram: Diagram, DiagramNode, DiagramEdge, Subgraph, Directive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from pocketflex_nb.core.errors import DiagramError

__all__ = ["Diagram", "DiagramEdge", "DiagramNode", "Directive", "Subgraph"]


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """One node as written. `label` is None where no text was given; `group` is the enclosing subgraph, or ``""``."""

    id: str
    label: str | None = None
    shape: str = "rect"
    group: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class DiagramEdge:
    """One arrow as written; `kind` is ``"action"``, ``"error"`` or ``"detached"``. `source` ``"[*]"`` marks a start."""

    source: str
    target: str
    action: str = "default"
    kind: str = "action"
    group: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A ``subgraph`` (or composite state) as written."""

    id: str
    label: str | None = None
    parent: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Directive:
    """``%% pf: ref.setting=value``; `ref` is ``""`` for the flow itself."""

    ref: str
    setting: str
    value: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Diagram:
    """A diagram as written. `ignored` holds (line, text) of what is kept but not run; `text` is the whole source."""

    direction: str = "TD"
    nodes: tuple[DiagramNode, ...] = ()
    edges: tuple[DiagramEdge, ...] = ()
    subgraphs: tuple[Subgraph, ...] = ()
    directives: tuple[Directive, ...] = ()
    ignored: tuple[tuple[int, str], ...] = ()
    text: str = field(default="", compare=False)

    def fail(self, message: str, line: int, column: int) -> NoReturn:
        """Raise a `DiagramError` about this position in the text."""
        lines = self.text.split("\n")
        raise DiagramError(message, line=line, column=column, source=lines[line - 1] if 0 < line <= len(lines) else "")
