"""Flows as Mermaid flowchart text, which reads back as an equal graph.

Ids stay as they are wherever Mermaid lets them; where it does not (``end``, an id used in two nested flows), the text has
another one and a ``%% pf: other.id="real"`` line that the parser reads. Labels and actions are quoted and escaped by Mermaid's
own entities.
"""

from __future__ import annotations

import re
from collections import Counter

from pocketflex_nb.core.flow.flow_graph import Cluster, Edge, Graph, GraphNode, Group
from pocketflex_nb.core.mermaid.scanner import NOTHING
from pocketflex_nb.core.state import State
from pocketflex_nb.views.diagrams.palette import INK, PALETTE
from pocketflex_nb.views.layout.subgraph_boxes import arranged

__all__ = ["mermaid"]

_BRACKETS = {
    "rect": ("[", "]"), "round": ("(", ")"), "stadium": ("([", "])"), "subroutine": ("[[", "]]"), "cylinder": ("[(", ")]"),
    "circle": ("((", "))"), "double_circle": ("(((", ")))"), "asymmetric": (">", "]"), "diamond": ("{", "}"),
    "hexagon": ("{{", "}}"),
    "lean_right": ("[/", "/]"), "lean_left": ("[\\", "\\]"), "trapezoid": ("[/", "\\]"), "trapezoid_alt": ("[\\", "/]"),
}
_ARROWS = {"action": "-->", "error": "-.->", "detached": "==>"}
_RESERVED = frozenset({
    "end", "END", "subgraph", "graph", "flowchart", "style", "class", "click", "classDef", "linkStyle", "direction", "default",
    "href", "call", "accTitle", "accDescr", "interpolate", "o", "x", "v", "state", "note", "pf", "TB", "TD", "BT", "RL", "LR",
    # Mermaid's renderer keeps ids as keys of a plain JavaScript object, where what every object inherits is there already
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf", "__proto__",
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
})
_ID = re.compile(r"\w+(?:[.\-]\w+)*", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_][\w ]{0,60}\w|[A-Za-z_]", re.ASCII)
_VALUE = re.compile(r"[\w.+\-]+", re.ASCII)
_NAMED = {'"': "quot", "<": "lt", ">": "gt", "&": "amp"}


def mermaid(graph: Graph, state: State | None = None) -> str:
    """A graph as ``flowchart`` text.

    Parameters
    ----------
    graph : Graph
        What to write.
    state : State, optional
        Colours nodes by their status (``classDef`` lines, which the parser passes over).

    Returns
    -------
    str
        Text that `pocketflex_nb.core.mermaid.parser.parse` reads, and every Mermaid renderer draws. The same for the same input.

    Examples
    --------
    >>> from pocketflex_nb.core.flow.flow_graph import Edge, Graph, GraphNode
    >>> nodes = (GraphNode("plan", "plan"), GraphNode("write", "Write it", shape="round"))
    >>> print(mermaid(Graph("flow", nodes, (Edge("plan", "write", "ok"),), start="plan")), end="")
    flowchart LR
        plan
        write("Write it")
        plan -->|ok| write
    """
    return _Text(graph, state).text()


class _Text:
    def __init__(self, graph: Graph, state: State | None) -> None:
        self.graph, self.state = graph, state
        self.lines: list[str] = []
        self.members: dict[str, list[GraphNode | Group | Cluster]] = {"": []}
        for group in graph.groups:
            self.members[group.id] = []
        homes: list[tuple[GraphNode | Group | Cluster, str]] = [(n, n.group) for n in graph.nodes]
        homes += [(g, g.parent) for g in graph.groups]
        for member, home in homes:
            self.members[home if home in self.members else ""].append(member)
        self.homes = {m.id: home for home, inside in self.members.items() for m in inside}
        self.edges: dict[str, list[Edge]] = {home: [] for home in self.members}
        for edge in graph.edges:
            self.edges[self.homes.get(edge.source, "")].append(edge)
        self.inside = arranged(graph)
        self.names: dict[str, str] = {}
        self.aliases: list[tuple[str, str]] = []
        self.make_names()

    def make_names(self) -> None:
        """A name for each id that is short, unique in the text, and harmless to Mermaid."""
        shorts = {path: path.rsplit("/", 1)[-1] for path in (*self.graph.ids(), *(box.id for box in self.graph.clusters))}
        counts: dict[str, int] = {}
        for short in shorts.values():
            counts[short] = counts.get(short, 0) + 1
        taken = {s for s in shorts.values() if counts[s] == 1 and _is_safe(s)}
        said = {n.id: n.label.strip() for n in self.graph.nodes}
        for path, short in shorts.items():
            if counts[short] == 1 and short in taken:
                self.names[path] = short
                if said.get(path, short) != short and said[path] in counts:  # a text that is another node's id: the id is meant
                    self.aliases.append((short, short))
                continue
            self.names[path] = name = self.free(re.sub(r"\W+", "_", path, flags=re.ASCII).strip("_") or "n", taken)
            self.aliases.append((name, short))

    def free(self, wanted: str, taken: set[str]) -> str:
        name, number = wanted if _is_safe(wanted) else f"{wanted}_", 1
        while name in taken or not _is_safe(name):
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        return name

    def text(self) -> str:
        self.lines.append(f"flowchart {self.graph.direction if self.graph.direction in ('TD', 'LR', 'RL', 'BT') else 'LR'}")
        self.level()
        starts = self.graph.starts or ((self.graph.start,) if self.graph.start else ())
        self.start("", starts, "")
        for group in self.graph.groups:
            self.start(group.id, group.starts or (group.start,), f"{self.names[group.id]}.")
        self.lines += [f"    %% pf: {name}.id={_quoted(short)}" for name, short in self.aliases]
        self.lines += [f"    %% pf: {self.names[source]}.repeats=true" for source in self.repeating()]
        self.settings()
        if _quoted(self.graph.name) != '"flow"':
            self.lines.append(f"    %% pf: name={_quoted(self.graph.name)}")
        self.colours()
        return "\n".join(self.lines) + "\n"

    def level(self) -> None:
        """Write every level, nested ones where their group is, without recursion."""
        stack: list[tuple[str, int, list[GraphNode | Group | Cluster]]] = [("", 1, list(self.inside[""]))]
        while stack:
            home, depth, todo = stack[-1]
            pad = "    " * depth
            if not todo:
                self.lines += [f"{pad}{self.arrow(edge)}" for edge in self.edges.get(home, ())]
                stack.pop()
                if stack:
                    self.lines.append(f"{'    ' * (depth - 1)}end")
                continue
            member = todo.pop(0)
            if isinstance(member, GraphNode):
                self.lines.append(f"{pad}{self.node(member)}")
            else:
                title = "" if member.label == self.names[member.id] else f"[{_quoted(member.label)}]"
                self.lines.append(f"{pad}subgraph {self.names[member.id]}{title}")
                stack.append((member.id, depth + 1, list(self.inside[member.id])))

    def node(self, node: GraphNode) -> str:
        name = self.names[node.id]
        if node.label == name and node.shape == "rect":
            return name
        opening, closing = _BRACKETS.get(node.shape, _BRACKETS["rect"])
        return f"{name}{opening}{_quoted(node.label)}{closing}"

    def arrow(self, edge: Edge) -> str:
        text = edge.action if _is_plain(edge.action) else _quoted(edge.action)
        action = "" if edge.action == "default" else f"|{text}|"
        source, target = self.names.get(edge.source, "END"), self.names.get(edge.target, "END")
        return f"{source} {_ARROWS.get(edge.kind, '-->')}{action} {target}"

    def start(self, home: str, starts: tuple[str, ...], ref: str) -> None:
        """Write where a level begins, unless a reader would assume it anyway."""
        inside = self.written(home)
        known = [s for s in starts if s in inside]
        aimed = {e.target for e in self.edges[home] if e.source != e.target}
        first = next((m for m in inside if m not in aimed), None)
        named = {end for e in self.edges[home] for end in (e.source, e.target)}
        is_unnamed_flow = any(s in self.members and s not in named for s in known)  # would be read as decoration
        if known and (known != [first] or is_unnamed_flow):
            self.lines.append(f"    %% pf: {ref}start={' & '.join(self.names[s] for s in known)}")

    def written(self, home: str) -> list[str]:
        """The ids of a level's members, boxes opened, in the order of the text."""
        found, todo = [], list(self.inside[home])
        while todo:
            member = todo.pop(0)
            if isinstance(member, Cluster):
                todo[:0] = self.inside[member.id]
            else:
                found.append(member.id)
        return found

    def repeating(self) -> list[str]:
        """The nodes of which an arrow is there more than once: a reader takes equal arrows for one, unless it is told."""
        times = Counter((edge.source, edge.kind, edge.action, edge.target) for edge in self.graph.edges)
        return list(dict.fromkeys(source for (source, *_), number in times.items() if number > 1))

    def settings(self) -> None:
        """The settings of the diagram, one line per node."""
        lines: dict[str, list[str]] = {}
        for path, setting, value in self.graph.settings:
            ref = f"{self.names[path]}." if path else ""
            lines.setdefault(path, []).append(f"{ref}{setting}={value if _VALUE.fullmatch(value) else _quoted(value)}")
        self.lines += [f"    %% pf: {', '.join(parts)}" for parts in lines.values()]

    def colours(self) -> None:
        nodes = getattr(self.state, "nodes", None)
        if not nodes:
            return
        by_status: dict[str, list[str]] = {}
        for node in self.graph.nodes:
            status = getattr(nodes.get(node.id), "status", "idle")
            if status != "idle" and status in PALETTE["light"]:
                by_status.setdefault(status, []).append(self.names[node.id])
        for status, names in sorted(by_status.items()):
            colours = PALETTE["light"][status]
            self.lines.append(f"    classDef pf_{status} fill:{colours.fill},stroke:{colours.line},color:{INK['light']['ink']}")
            self.lines.append(f"    class {','.join(names)} pf_{status}")


def _is_safe(name: str) -> bool:
    return _ID.fullmatch(name) is not None and re.split(r"[.\-]", name)[0] not in _RESERVED


def _is_plain(action: str) -> bool:
    return _PLAIN.fullmatch(action) is not None and not _RESERVED & set(action.split()) and "  " not in action


def _quoted(text: str) -> str:
    """`text` in double quotes, with Mermaid's entities for whatever would not come back as it was.

    Mermaid refuses an empty text: it is written as a space of no width, which the parser drops again.
    """
    if not text or text[0] == NOTHING:
        text = NOTHING + text
    return '"' + "".join(_escaped(ch) for ch in text) + '"'


def _escaped(ch: str) -> str:
    if ch in _NAMED:
        return f"#{_NAMED[ch]};"
    if ch == "\n":
        return "<br/>"
    code = ord(ch)
    if ch in "#;`%\\" or not (ch.isprintable() or code > 0x2FFFF) or 0xD800 <= code <= 0xDFFF:
        return f"#{code};"
    return ch
