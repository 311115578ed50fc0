"""`build` makes a flow of a diagram and the names of a notebook.

An id is looked up in the namespace: a node, a node class, a flow, a function. Each diagram uses shallow copies of its own, with arrows
of their own, so that one node may appear in many diagrams. A copy remembers the name it came from (``_pfx_source``), so that a launch
can look up whether the name is bound to something new.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

from pocketflex_nb.core.errors import CheckError, nearest
from pocketflex_nb.core.flow.checks import Problem, check_flow
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork
from pocketflex_nb.core.mermaid.diagram import Diagram, DiagramEdge, DiagramNode, Directive, Subgraph
from pocketflex_nb.core.mermaid.directives import FLOW_SETTINGS, NODE_SETTINGS, apply, flag, value_of

__all__ = ["build", "build_and_check", "is_wireable", "rebuild"]

_SHELL_NAMES = frozenset({"In", "Out", "exit", "quit", "open", "get_ipython"})


def build(diagram: Diagram, namespace: Mapping[str, object], name: str | None = None, *, checked: bool = True) -> Flow:
    """Make a flow of a diagram.

    Parameters
    ----------
    diagram : Diagram
        What `parse` made of a text.
    namespace : mapping of str to object
        Where ids are looked up; not changed.
    name : str, optional
        The flow's name; default: what ``%% pf: name=...`` says, else ``"flow"``.
    checked : bool
        Look at the finished flow as ``flow.check()`` does.

    Returns
    -------
    Flow
        Strict: an action without an arrow is an error.

    Raises
    ------
    DiagramError
        Unknown ids and settings, nodes that cannot be reached, joins that no branch can reach; with line and caret.
    CheckError
        What `check_flow` finds in the finished flow, with the line where it stands.

    Examples
    --------
    >>> from pocketflex_nb.core.mermaid.parser import parse
    >>> def plan(shared): ...
    >>> def write(shared): ...
    >>> flow = build(parse("flowchart LR; plan --> write"), {"plan": plan, "write": write}, name="report")
    >>> flow.name, flow.start_node.name
    ('report', 'plan')
    >>> build(parse("flowchart LR; plan --> wirte"), {"plan": plan, "write": write})
    Traceback (most recent call last):
        ...
    pocketflex_nb.core.errors.DiagramError: line 1: no node 'wirte'; did you mean 'write'?
      flowchart LR; plan --> wirte
                             ^
    """
    return build_and_check(diagram, namespace, name)[0] if checked else _FlowBuilder(diagram, namespace).flow(name)


def build_and_check(diagram: Diagram, namespace: Mapping[str, object], name: str | None = None) -> tuple[Flow, list[Problem]]:
    """The same with the warnings of the checks, so that nobody checks the flow once more for them."""
    wiring = _FlowBuilder(diagram, namespace)
    flow = wiring.flow(name)
    try:
        return flow, check_flow(flow)
    except CheckError as error:
        raise wiring.located(error) from None


def rebuild(flow: Flow, namespace: Mapping[str, object]) -> Flow:
    """The flow that a diagram-made `flow` would be with the present bindings of its names; any other flow unchanged."""
    diagram = getattr(flow, "_pfx_diagram", None)
    return flow if diagram is None else build(diagram, namespace, flow.name)


def is_wireable(name: str, thing: object) -> bool:
    """Whether a diagram may name it; used by completion and for the nearest name in errors."""
    if name.startswith("_") or name in _SHELL_NAMES or isinstance(thing, Fork):
        return False
    return isinstance(thing, BaseNode) or (isinstance(thing, type) and issubclass(thing, BaseNode)) or _is_function(thing)


def _is_node(name: str, thing: object) -> bool:
    return is_wireable(name.lstrip("_") or name, thing)


def _are_two(thing: object, other: object) -> bool:
    """Whether two objects that names are bound to differ: a node and its own class count as one, so do a node and its function."""
    if thing is other or (isinstance(other, type) and isinstance(thing, other)) or (isinstance(thing, type) and isinstance(other, thing)):
        return False
    return getattr(thing, "_pfx_fn", thing) is not getattr(other, "_pfx_fn", other)


def _is_function(thing: object) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


class _FlowBuilder:
    def __init__(self, diagram: Diagram, namespace: Mapping[str, object]) -> None:
        self.diagram, self.namespace = diagram, namespace
        self.subgraphs = {g.id: g for g in diagram.subgraphs}
        self.written = {n.id: n for n in diagram.nodes}
        self.ids = {d.ref: d.value for d in diagram.directives if d.ref and d.setting == "id"}
        self.repeats = {d.ref for d in diagram.directives if d.ref and d.setting == "repeats" and self.is_on(d)}
        self.settings: dict[str, list[Directive]] = {}
        for directive in diagram.directives:
            if directive.setting not in ("id", "repeats") or not directive.ref:
                self.settings.setdefault(directive.ref, []).append(directive)
        self.check_refs()
        self.flows = self.nested()
        self.made: dict[str, Any] = {}

    def is_on(self, directive: Directive) -> bool:
        """Whether a directive says yes."""
        try:
            return flag(value_of(directive.value), directive.setting)
        except ValueError as error:
            self.diagram.fail(str(error), directive.line, directive.column)

    def check_refs(self) -> None:
        """Raise for a directive that refers to something that does not exist."""
        known = [*self.written, *self.subgraphs]
        for d in self.diagram.directives:
            if d.ref and d.ref not in known:
                self.diagram.fail(f"no node {d.ref!r} in this diagram{nearest(d.ref, known)}", d.line, d.column)

    def nested(self) -> set[str]:
        """The subgraphs that are flows: those that an arrow or a start names."""
        named = {e.source for e in self.diagram.edges} | {e.target for e in self.diagram.edges}
        for directives in self.settings.values():
            for d in directives:
                if d.setting == "start":
                    named.update(_names(d.value))
        return named & self.subgraphs.keys()

    def home(self, name: str) -> str:
        """The flow that a node, or a nested flow, belongs to: the nearest enclosing subgraph that is a flow."""
        around = self.written[name].group if name in self.written else self.subgraphs[name].parent
        return self.home_of_group(around)

    def home_of_group(self, group: str) -> str:
        while group and group not in self.flows:
            group = self.subgraphs[group].parent
        return group

    def flow(self, name: str | None) -> Flow:
        if not self.written:
            self.diagram.fail("the diagram has no nodes: write e.g. 'plan --> write'", 1, 1)
        members: dict[str, list[str]] = {home: [] for home in ("", *self.flows)}
        for member in sorted([*self.written, *self.flows], key=self.place):
            members[self.home(member)].append(member)
        edges: dict[str, list[DiagramEdge]] = {home: [] for home in members}
        for edge in self.diagram.edges:
            edges[self.level(edge)].append(edge)
        for written in self.written.values():
            self.made[written.id] = self.node(written)
        flow = Flow(strict=True)
        flow._pfx_diagram = self.diagram
        flow._pfx_direction = self.diagram.direction
        for group in self.flows:
            self.made[group] = self.group(self.subgraphs[group])
        for home, inside in members.items():
            self.wire(flow if home == "" else self.made[home], home, inside, edges[home])
            self.decorate(flow if home == "" else self.made[home], home)
        flow.name = "flow"
        self.set(flow, "", FLOW_SETTINGS)
        if name is not None:
            flow.name = name
        for name_of, thing in self.made.items():
            self.set(thing, name_of, FLOW_SETTINGS if isinstance(thing, Flow) else NODE_SETTINGS)
        return flow

    def place(self, name: str) -> tuple[int, int]:
        written = self.written.get(name) or self.subgraphs[name]
        return written.line, written.column

    def level(self, edge: DiagramEdge) -> str:
        """The flow whose nodes the arrow joins."""
        homes = {end: self.home(end) for end in (edge.source, edge.target) if end not in ("[*]", "END")}
        if len(set(homes.values())) > 1:
            self.crossing(edge, homes)
        return next(iter(homes.values()))

    def crossing(self, edge: DiagramEdge, homes: dict[str, str]) -> NoReturn:
        inner = max(homes, key=lambda end: len(self.path(homes[end])))
        box = homes[inner]
        mend = f"{box} --> {edge.target}" if inner == edge.source else f"{edge.source} --> {box}"
        text = f"an arrow from {edge.source!r} to {edge.target!r} crosses the border of the flow {box!r}"
        self.diagram.fail(f"{text}: draw it at the flow, {mend!r}", edge.line, edge.column)

    def path(self, home: str) -> list[str]:
        found = []
        while home:
            found.append(home)
            home = self.home_of_group(self.subgraphs[home].parent)
        return found

    # -- nodes

    def node(self, written: DiagramNode) -> BaseNode:
        """The node, flow or function that an id means, as a copy of this diagram's own."""
        name = self.ids.get(written.id, written.id)
        source = self.source(written, name)
        made = self.instance(self.namespace[source], source, written)
        made._pfx_id = name
        made._pfx_label = written.id if written.label is None else written.label
        if written.label is None and written.id in self.ids:
            made._pfx_label = name
        made._pfx_shape = written.shape
        made._pfx_source = source
        return made

    def source(self, written: DiagramNode, name: str) -> str:
        """The name for an id: its own if that is bound to a node, else its text if that is; an ambiguity is an error."""
        text = (written.label or "").strip()
        is_named = text != name and text in self.namespace and is_wireable(text, self.namespace[text])
        if name in self.namespace and _is_node(name, self.namespace[name]):
            if is_named and written.id not in self.ids and _are_two(self.namespace[name], self.namespace[text]):
                self.diagram.fail(
                    f"the id {name!r} is one node and its text {text!r} names another: write {text} for that one, or another text; "
                    f"'%% pf: {name}.id={name}' says that the id is meant",
                    written.line, written.column,
                )
            return name
        if is_named:
            return text
        if name not in self.namespace:
            self.unknown(written, name)
        return name

    def unknown(self, written: DiagramNode, name: str) -> NoReturn:
        known = [key for key, thing in self.namespace.items() if is_wireable(key, thing)]
        mend = nearest(name, known)
        if not mend or mend.startswith("; known"):
            mend = f"; run the cell that defines it first{mend}"
        self.diagram.fail(f"no node {name!r}{mend}", written.line, written.column)

    def instance(self, thing: Any, name: str, written: DiagramNode) -> BaseNode:
        if isinstance(thing, type) and issubclass(thing, BaseNode):
            try:
                thing = thing()
            except TypeError as error:
                self.diagram.fail(
                    f"{name}() could not be made ({error}): make it yourself, e.g. {name.lower()} = {name}(...), and name that",
                    written.line, written.column,
                )
        elif isinstance(thing, BaseNode) and thing is not END and not isinstance(thing, Fork):
            thing = copy.copy(thing)
        elif _is_function(thing):
            thing = node(thing)
        else:
            self.diagram.fail(f"{name!r} is {_what(thing)}: a node, a flow or a function is needed", written.line, written.column)
        made: BaseNode = thing
        made.successors = {}
        made.__dict__.pop("_pfx_on_error", None)
        return made

    def group(self, written: Subgraph) -> Flow:
        name = self.ids.get(written.id, written.id)
        flow = Flow(name=name, strict=True)
        flow._pfx_id = name
        flow._pfx_label = name if written.label is None else written.label
        flow._pfx_direction = self.diagram.direction
        return flow

    def decorate(self, flow: Flow, home: str) -> None:
        """Attach the subgraphs that are not flows: id, text, enclosing subgraph, and the ids of the nodes inside."""
        boxes = []
        for box in self.subgraphs.values():
            if box.id in self.flows or self.home_of_group(box.id) != home:
                continue
            held = [n.id for n in self.written.values() if n.group == box.id]
            held += [g.id for g in self.subgraphs.values() if g.id in self.flows and g.parent == box.id]
            name = self.ids.get(box.id, box.id)
            parent = "" if box.parent in self.flows else self.ids.get(box.parent, box.parent)
            boxes.append((name, name if box.label is None else box.label, parent, tuple(self.ids.get(m, m) for m in held)))
        if boxes:
            flow._pfx_clusters = tuple(boxes)

    # -- arrows

    def wire(self, flow: Flow, home: str, members: list[str], edges: list[DiagramEdge]) -> None:
        if not members:
            group = self.subgraphs[home]
            self.diagram.fail(f"the flow {home!r} has no nodes", group.line, group.column)
        arrows = [e for e in edges if e.source != "[*]"]
        starts = self.starts(home, members, edges)
        self.check_reached(starts, members, arrows)
        shared: dict[tuple[str, ...], BaseNode] = {}  # `a & b --> c & d` is one fan-out, begun once when both have arrived
        for (source, kind, action), (heads, detached) in _bundled(arrows, self.repeats).items():
            target = self.target(heads, detached)
            if isinstance(target, Fork) and not detached:
                target = shared.setdefault(tuple(heads), target)
            if kind == "error":
                self.made[source]._pfx_on_error = target
            else:
                self.made[source].successors[action] = target
        flow.start_node = self.target(starts, [])

    def target(self, heads: list[str], detached: list[str]) -> BaseNode:
        things = [END if h in ("END", "[*]") else self.made[h] for h in heads]
        beside = [END if h in ("END", "[*]") else self.made[h] for h in detached]
        return things[0] if len(things) == 1 and not beside else Fork(things, detached=beside)

    def starts(self, home: str, members: list[str], edges: list[DiagramEdge]) -> list[str]:
        """The first nodes of a flow: those that a directive names, else ``[*] -->``, else the first node without incoming arrows.

        In a circle every node has an arrow to it: then it is the first one written.
        """
        for d in reversed(self.settings.get(home, ())):
            if d.setting == "start":
                return self.named_starts(d, members)
        marked = [e.target for e in edges if e.source == "[*]"]
        if marked:
            return list(dict.fromkeys(marked))
        reached = {e.target for e in edges if e.source != e.target}
        return [next((m for m in members if m not in reached), members[0])]

    def named_starts(self, directive: Directive, members: list[str]) -> list[str]:
        names = _names(directive.value)
        for name in names:
            if name not in members:
                self.diagram.fail(f"no node {name!r} to start with{nearest(name, members)}", directive.line, directive.column)
        return names

    def check_reached(self, starts: list[str], members: list[str], arrows: list[DiagramEdge]) -> None:
        out: dict[str, list[str]] = {}
        for e in arrows:
            out.setdefault(e.source, []).append(e.target)
        seen, todo = set(starts), list(starts)
        while todo:
            for target in out.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        lost = [m for m in members if m not in seen]
        if not lost:
            return
        begin = " & ".join(starts)
        text = f"node {lost[0]!r} cannot be reached from the start {begin!r}"
        for member in lost:
            lead = list(dict.fromkeys(e.source for e in arrows if e.target == member and e.source != member))
            if len(lead) > 1:
                text += f", and no branch can reach the join {member!r} of {' and '.join(map(repr, lead))}"
                break
        mend = f"draw an arrow to it, or begin with both: '%% pf: start={begin} & {lost[0]}'"
        self.diagram.fail(f"{text}: {mend}", *self.place(lost[0]))

    # -- settings

    def set(self, thing: BaseNode, name: str, known: Iterable[str]) -> None:
        for d in self.settings.get(name, ()):
            if d.setting == "start" and (not name or name in self.flows):
                continue
            if d.setting not in known:
                where = "the flow" if not name else f"flow {name!r}" if isinstance(thing, Flow) else f"node {name!r}"
                self.diagram.fail(f"{where} has no setting {d.setting!r}{nearest(d.setting, known)}", d.line, d.column)
            try:
                apply(thing, d.setting, d.value if d.setting == "name" else value_of(d.value))
            except (TypeError, ValueError) as error:
                self.diagram.fail(str(error), d.line, d.column)
            if d.setting not in ("name", "id"):
                thing.__dict__["_pfx_drawn"] = {**thing.__dict__.get("_pfx_drawn", {}), d.setting: d.value}

    # -- what the checks found

    def located(self, error: CheckError) -> CheckError:
        """The error with the line, and a caret at the node."""
        node_of = {self.ids.get(name, name): name for name in (*self.written, *self.flows)}
        problem = next((p for p in error.problems if p.level == "error"), None)
        name = node_of.get(str(problem.node).rsplit("/", 1)[-1]) if problem is not None else None
        if name is None:
            return error
        line, column = self.place(name)
        source = self.diagram.text.split("\n")[line - 1] if self.diagram.text else ""
        caret = f"\n  {source}\n  {' ' * (column - 1)}^" if source else ""
        return CheckError(f"line {line}: {error}{caret}", error.problems)


def _names(value: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in value.split("&") if part.strip()))


def _bundled(arrows: list[DiagramEdge], repeats: Collection[str]) -> dict[tuple[str, str, str], tuple[list[str], list[str]]]:
    """(source, kind, action) to its heads and its detached targets, in written order, each once unless the source is in `repeats`."""
    bundles: dict[tuple[str, str, str], tuple[list[str], list[str]]] = {}
    for e in arrows:
        key = (e.source, "error", "default") if e.kind == "error" else (e.source, "action", e.action)
        heads = bundles.setdefault(key, ([], []))[e.kind == "detached"]
        target = "END" if e.target == "[*]" else e.target
        if target not in heads or e.source in repeats:
            heads.append(target)
    return bundles


def _what(thing: object) -> str:
    kind = thing if isinstance(thing, type) else type(thing)
    if (kind.__module__ or "").split(".")[0] == "pocketflow":
        return "a node of the package pocketflow (import it from pocketflex_nb.pocketflow instead)"
    return f"the class {kind.__name__}" if isinstance(thing, type) else f"of type {kind.__name__}"
