"""`parse` reads Mermaid text into a `Diagram`: the subset of flowcharts and state diagrams that describes flows.

`parse` has no access to the notebook's nodes; :mod:`pocketflex_nb.core.mermaid.builder` resolves the ids. What only decorates
(``classDef``, ``style``, ``click`` ...) is kept in `Diagram.ignored`, not run. Any mistake is a `DiagramError` with line and caret. See
https://mermaid.js.org/syntax/flowchart.html for the language.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import replace

from pocketflex_nb.core.errors import DiagramError, nearest
from pocketflex_nb.core.mermaid.diagram import Diagram, DiagramEdge, DiagramNode, Directive, Subgraph
from pocketflex_nb.core.mermaid.scanner import ID, NOTHING, STATEMENT, Scanner, decoded, said

__all__ = ["HEADERS", "OTHERS", "is_mermaid", "parse"]

HEADERS = ("flowchart", "graph", "stateDiagram-v2", "stateDiagram", "flowchart-elk")
#: Mermaid's other kinds of diagrams
OTHERS = frozenset({
    "architecture", "architecture-beta", "block", "block-beta", "C4Component", "C4Container", "C4Context", "C4Deployment", "C4Dynamic",
    "classDiagram", "classDiagram-v2", "erDiagram", "gantt", "gitGraph", "info", "journey", "kanban", "mindmap", "packet", "packet-beta",
    "pie", "quadrantChart", "radar-beta", "requirement", "requirementDiagram", "sankey", "sankey-beta", "sequenceDiagram", "timeline",
    "treemap", "treemap-beta", "xychart", "xychart-beta", "zenuml",
})
_DIRECTIONS = {"TB": "TD", "TD": "TD", "BT": "BT", "RL": "RL", "LR": "LR", ">": "LR", "<": "RL", "^": "BT", "v": "TD"}
_KEPT = ("classDef", "class", "style", "click", "linkStyle", "accTitle", "accDescr", "direction")
_HEADER = re.compile(r"([\w-]+)[ \t]*(?:(TB|TD|BT|RL|LR|[<>^]|v)(?!\w))?[ \t]*(?=;|%%|$)", re.MULTILINE)


def is_mermaid(text: str) -> bool:
    """Whether the first significant line is the header of a diagram (and not Python)."""
    for line in text.split("\n"):
        line = line.strip()
        if not line or line.startswith("%%"):
            continue
        if line == "---":
            return True
        head = _HEADER.match(line)
        if head is None:
            return False
        if head[1].startswith("stateDiagram"):
            return True
        if keyword.iskeyword(head[1]):
            return False
        if head[2] and head[2] not in "<>^v":
            return True  # a word and LR or TD is no Python, whatever the word
        return head[1] in HEADERS and (head[2] is not None or ";" in line or re.search(r"-->|-\.->|==>", text) is not None)
    return False


def parse(text: str) -> Diagram:
    """Read a diagram.

    Parameters
    ----------
    text : str
        ``flowchart``, ``graph`` or ``stateDiagram-v2`` text.

    Raises
    ------
    DiagramError
        With line, column, caret, and the nearest name where there is one.

    Examples
    --------
    >>> diagram = parse("flowchart LR; plan -->|ok| search & read --> write")
    >>> [(e.source, e.action, e.target) for e in diagram.edges][:2]
    [('plan', 'ok', 'search'), ('plan', 'ok', 'read')]
    """
    if not isinstance(text, str):
        raise TypeError(f"parse({text!r:.80}): Mermaid text (a str) is needed")
    return _Reader(text.replace("\r\n", "\n").replace("\r", "\n")).diagram()


class _Reader(Scanner):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.direction = "TD"
        self.nodes: dict[str, DiagramNode] = {}
        self.edges: list[DiagramEdge] = []
        self.groups: dict[str, Subgraph] = {}
        self.directives: list[Directive] = []
        self.ignored: list[tuple[int, str]] = []
        self.stack: list[str] = []  # of open subgraphs
        self.is_state = False

    # -- the whole

    def keep(self) -> None:
        """Consume the rest of the line and keep it as ignored."""
        line = self.rest()
        self.ignored.append((self.place()[0], line.strip()))
        self.at += len(line)

    def diagram(self) -> Diagram:
        self.front_matter()
        self.header()
        while self.next_statement():
            self.statement()
        if self.stack:
            group = self.groups[self.stack[-1]]
            what = "state" if self.is_state else "subgraph"
            raise DiagramError(
                f"{what} {group.id!r} is never closed: write {'}' if self.is_state else 'end'!r}",
                line=group.line, column=group.column, source=self.text.split("\n")[group.line - 1],
            )
        nodes = tuple(n for n in self.nodes.values() if n.id not in self.groups)
        return Diagram(
            self.direction, nodes, tuple(self.edges), tuple(self.groups.values()), tuple(self.directives), tuple(self.ignored),
            self.text,
        )

    def front_matter(self) -> None:
        start = len(self.text) - len(self.text.lstrip())
        if self.text.startswith("---", start) and self.text[start:].split("\n", 1)[0].strip() == "---":
            end = re.compile(r"^[ \t]*---[ \t]*$", re.MULTILINE).search(self.text, start + 3)
            if end is None:
                self.fail("the front matter is never closed: write '---' on a line of its own", start)
            first = self.place(start)[0]
            self.ignored += [(first + n, line) for n, line in enumerate(self.text[start : end.end()].split("\n"))]
            self.at = end.end()

    def header(self) -> None:
        if not self.next_statement():
            self.fail("the diagram is empty: begin with 'flowchart LR'")
        head = _HEADER.match(self.text, self.at)
        word = head[1] if head else (self.rest().split() or [""])[0]
        if word.rstrip(";:") in OTHERS:
            self.fail(f"a {word.rstrip(';:')} draws no flow: a flowchart or a state diagram is needed; begin with 'flowchart LR'")
        if word.rstrip(";") not in HEADERS:
            near = nearest(word, HEADERS[:3])
            if near.startswith("; did"):
                self.fail(f"{word!r} begins no diagram{near}")
            self.fail("the diagram has no header: begin with 'flowchart LR' on a line of its own")
        if head is None:
            self.fail(f"LR, TD, RL or BT is needed behind {word!r}, and then a new line or ';'", self.at + len(word))
        self.is_state = word.startswith("stateDiagram")
        self.at = head.end()
        self.direction = _DIRECTIONS[head[2] or "TD"]

    def next_statement(self) -> bool:
        """Skip blank lines, semicolons and comments; returns whether anything is left."""
        while self.at < len(self.text):
            if self.text[self.at].isspace() or self.text[self.at] == ";":
                self.at += 1
            elif self.text.startswith("%%{", self.at):
                end = self.text.find("}%%", self.at)
                if end < 0:
                    self.fail("'%%{' is never closed: write '}%%'")
                self.ignored.append((self.place()[0], self.text[self.at : end + 3]))
                self.at = end + 3
            elif self.text.startswith("%%", self.at):
                self.comment()
            else:
                return True
        return False

    def comment(self) -> None:
        line = self.rest()
        found = re.match(r"%%[ \t]*pf[ \t]*:", line)
        if found is None:
            self.keep()
            return
        at = self.at + found.end()
        for part in _split(line[found.end() :]):
            self.directive(part, at)
            at += len(part) + 1
        self.at += len(line)

    def directive(self, part: str, at: int) -> None:
        at += len(part) - len(part.lstrip())
        if not part.strip():
            return
        name, sign, value = part.strip().partition("=")
        ref, _, setting = name.strip().rpartition(".")
        if not sign or not setting or not value.strip():
            self.fail(f"{part.strip()!r} is no setting: write 'node.setting=value', e.g. 'search.retries=3'", at)
        self.directives.append(Directive(_unquoted(ref.strip()), setting.strip(), _unquoted(value.strip()), *self.place(at)))

    def statement(self) -> None:
        word = ID.match(self.text, self.at)
        name = word[0] if word else ""
        if self.is_state and self.state_statement(name):
            return
        if not self.is_state and name == "subgraph":
            self.at += len(name)
            self.subgraph()
        elif not self.is_state and name == "end" and not self.continues(word):
            self.close("end")
        elif name in _KEPT and not self.continues(word):
            self.kept(name)
        else:
            self.chain()
        if not self.is_ended():
            shown = (self.rest().split() or [""])[0]
            self.fail(f"{shown!r} is not understood here: an arrow (-->, -.-> or ==>), ';' or a new line is needed")

    def continues(self, word: re.Match[str] | None) -> bool:
        """Whether `word` is a node after all: an arrow, a bracket or '&' follows it."""
        if word is None:
            return False
        rest = self.text[word.end() : word.end() + 200].split("\n", 1)[0]
        return re.match(r"\s*(-{2,}|-\.|==|&)", rest) is not None or rest[:1] in tuple("[({")

    def kept(self, name: str) -> None:
        if name == "direction" and not self.stack and (found := re.match(r"direction[ \t]+(TB|TD|BT|RL|LR)\b", self.rest())):
            self.direction = _DIRECTIONS[found[1]]
        if name == "accDescr" and "{" in self.rest():
            end = self.text.find("}", self.at)
            if end < 0:
                self.fail("'accDescr {' is never closed: write '}'")
            self.ignored.append((self.place()[0], self.text[self.at : end + 1]))
            self.at = end + 1
            return
        self.keep()

    # -- nodes and arrows

    def chain(self) -> None:
        sources = self.refs()
        while not self.is_ended():
            at = self.at
            arrow = self.arrow()
            if arrow is None:
                return
            kind, action = arrow
            if self.is_ended():
                self.fail("this arrow leads nowhere: name a node behind it", at)
            where = self.at
            targets = self.refs()
            if self.is_state and not self.is_ended() and self.text[self.at] == ":":
                action = self.state_label()
            self.connect(sources, targets, action, kind, where)
            sources = targets

    def connect(self, sources: list[str], targets: list[str], action: str, kind: str, at: int) -> None:
        line, column = self.place(at)
        group = self.stack[-1] if self.stack else ""
        for source in sources:
            if source == "END":
                self.fail("END is where a flow ends: no arrow leaves it", at)
            for target in targets:
                if source == "[*]" and target in ("[*]", "END"):
                    self.fail("an arrow from the start to the end has nothing to do: name a node", at)
                self.edges.append(DiagramEdge(source, target, action, kind, group, line, column))

    def refs(self) -> list[str]:
        found = [self.ref()]
        while not self.is_ended() and self.text[self.at] == "&":
            self.at += 1
            self.blank()
            found.append(self.ref())
        return found

    def ref(self) -> str:
        at = self.at
        if self.text.startswith("[*]", at):
            self.at += 3
            return "[*]"
        word = ID.match(self.text, at)
        if word is None:
            shown = (self.rest().split() or ["the end of the line"])[0]
            self.fail(f"a node's id is needed here, not {shown!r}")
        name = word[0]
        if name == "end" and not self.is_state:
            self.fail("'end' closes a subgraph: for the end of the flow write END; a node of that name needs another id")
        self.at = word.end()
        label, shape = self.bracket()
        if label is None and self.text.startswith("@{", self.at):
            label, shape = self.attributes()
        if self.text.startswith(":::", self.at):
            css = ID.match(self.text, self.at + 3)
            self.at = css.end() if css else self.at + 3
        if name != "END":
            self.mention(name, label, shape, at)
        return name

    def mention(self, name: str, label: str | None, shape: str, at: int) -> None:
        group = self.stack[-1] if self.stack else ""
        known = self.nodes.get(name)
        if known is None:
            self.nodes[name] = DiagramNode(name, label, shape, group, *self.place(at))
            return
        if label is not None:
            known = replace(known, label=label, shape=shape)
        self.nodes[name] = known if known.group or not group else replace(known, group=group)

    # -- subgraphs

    def subgraph(self) -> None:
        self.blank()
        at = self.at
        if self.text.startswith('"', self.at):
            label = self.quoted()
            self.open(re.sub(r"\W+", "_", label) or "subgraph", label, at)
            return
        word = ID.match(self.text, self.at)
        if word is None:
            if not self.is_ended():
                self.fail(f"a subgraph needs an id, not {self.rest().split()[0]!r}")
            self.open(f"subgraph_{len(self.groups) + 1}", "", at)
            return
        self.at = word.end()
        label_or_none, _ = self.bracket()
        if label_or_none is None and not self.is_ended():
            more = re.match(r"[^;\n]*", self.text[self.at :])
            words = self.text[at : self.at + len(more[0] if more else "")].split("%%")[0].rstrip()
            self.at = at + len(words)
            self.open(re.sub(r"\W+", "_", words), words, at)
            return
        self.open(word[0], label_or_none, at)

    def open(self, name: str, label: str | None, at: int) -> None:
        if name in self.groups:
            self.fail(f"there are two subgraphs {name!r}: give one another id", at)
        if name == "END":
            self.fail("END is the reserved target: give the subgraph another id", at)
        self.groups[name] = Subgraph(name, label, self.stack[-1] if self.stack else "", *self.place(at))
        self.stack.append(name)

    def close(self, word: str) -> None:
        if not self.stack:
            self.fail(f"{word!r} closes nothing" + (": for the end of the flow write END" if word == "end" else ""))
        self.stack.pop()
        self.at += len(word)

    # -- state diagrams

    def state_statement(self, name: str) -> bool:
        """Read a statement that only state diagrams have; returns whether there was one."""
        rest = self.rest()
        if rest.startswith("}"):
            self.close("}")
        elif name == "state" and not re.match(r"state\s*-->", rest):
            self.at += 5
            self.state()
        elif name == "note" and not re.match(r"note\s*-->", rest):
            end = re.compile(r"^[ \t]*end note", re.MULTILINE).search(self.text, self.at)
            stop = self.at + len(rest) if ":" in rest else end.end() if end else len(self.text)
            self.ignored.append((self.place()[0], self.text[self.at : stop]))
            self.at = stop
        elif rest.startswith("--") and not rest.startswith("-->"):
            self.fail("concurrent regions are not read: several arrows of one action run in parallel by themselves")
        elif name and (described := re.match(rf"{re.escape(name)}\s*:(?!::)", rest)):
            at = self.at
            self.at += described.end()
            self.mention(name, said(self.to_end()), "round", at)
        else:
            return False
        return True

    def state(self) -> None:
        """``state "text" as id``, ``state id {``, ``state id``."""
        self.blank()
        label, at = None, self.at
        if self.text.startswith('"', self.at):
            label = self.quoted()
            self.blank()
            if not re.match(r"as\s", self.rest()):
                self.fail("'as ID' is needed behind the text of a state")
            self.at += 2
            self.blank()
        word = ID.match(self.text, self.at)
        if word is None:
            self.fail("a state needs an id")
        name, self.at = word[0], word.end()
        self.blank()
        pseudo = re.match(r"<<\s*(\w+)\s*>>|\[\[\s*(\w+)\s*\]\]", self.rest())
        if pseudo:
            kind = pseudo[1] or pseudo[2]
            self.fail(f"a {kind} state is not read: several arrows of one action run in parallel, and join, by themselves")
        if self.text.startswith("{", self.at):
            self.at += 1
            self.open(name, label, at)
        else:
            self.mention(name, label, "round", at)

    def state_label(self) -> str:
        self.at += 1
        return said(self.to_end()) or "default"

    def to_end(self) -> str:
        """Consume and return the rest of the statement."""
        rest = STATEMENT.match(self.text, self.at)
        self.at += len(rest[0]) if rest else 0
        return rest[0] if rest else ""


def _split(text: str) -> list[str]:
    """The parts of `text` between commas outside of quotes and brackets."""
    parts, depth, quote = [""], 0, ""
    for ch in text:
        if quote:
            quote = "" if ch == quote else quote
        elif ch in "\"'":
            quote = ch
        depth += 0 if quote else (ch in "([{") - (ch in ")]}")
        if ch == "," and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += ch
    return parts


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return decoded(text[1:-1]).removeprefix(NOTHING)
    return text
