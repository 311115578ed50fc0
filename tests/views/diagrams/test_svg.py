"""The picture: well formed, inert, stable, readable in both themes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import Edge, Graph, GraphNode, Group, graph_of
from pocketflex_nb.core.flow.nodes import END, Fork, Node
from pocketflex_nb.core.state import NodeState, State
from pocketflex_nb.views.diagrams.flow_dot import dot
from pocketflex_nb.views.diagrams.flow_svg import caption_of, edge_key, inner_runs_of, svg
from pocketflex_nb.views.diagrams.flow_text import text
from pocketflex_nb.views.diagrams.palette import GLYPHS, INK, PALETTE, SIGNS, STATUSES, style
from pocketflex_nb.views.text.text_metrics import number

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "style", "g", "title", "path", "polygon", "rect", "circle", "text"}
HOSTILE = [
    "<script>alert(1)</script>", "</svg><b>", "\"' onload='x", "\u202eevil\u200f", "\x00\x07\ud800\ufffe", "]]>&amp;&lt;",
    "a" * 10_000_000,
]


class Plan(Node):
    """Plans."""


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def report() -> Graph:
    plan, search, read, write = Plan(), Node(), Node(), Node()
    plan.name, search.name, read.name, write.name = "plan", "search", "read", "write"
    plan.successors["ok"] = Fork([search, read])
    search >> write
    read >> write
    search.on_error(plan)
    write - "revise" >> plan
    write - "done" >> END
    return graph_of(Flow(plan, name="report"))


def test_every_node_and_arrow_has_its_element() -> None:
    state = State()
    state.nodes["search"] = NodeState("running", visits=3)
    state.edges["plan", "ok"] = 3
    state.edges["search", "!error"] = 1

    root = drawn(svg(report(), state))

    nodes = {e.get("data-node"): e for e in by_class(root, "pf-node")}
    arrows = {e.get("data-edge"): e.get("data-count") for e in by_class(root, "pf-edge") if e.get("data-edge")}
    states = {n: e.get("data-state") for n, e in nodes.items()}
    assert states == {"plan": "idle", "search": "running", "read": "idle", "write": "idle"}
    assert arrows == {
        "plan|ok|search": "3", "plan|ok|read": "3", "search|default|write": "0", "read|default|write": "0",
        "search|!error|plan": "1", "write|revise|plan": "0", "write|done|END": "0",
    }
    assert "".join(nodes["search"].itertext()).endswith("running×3")


def test_the_size_is_written_and_nothing_foreign_is_used() -> None:
    text = svg(report())
    root = drawn(text)

    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= TAGS
    assert not re.search(r"url\(|@import|href|foreignObject|<script|\son\w+=", text)
    selectors = re.findall(r"[}{]([^{}@]+)\{", style().replace("{", "{{").replace("}", "}}"))
    assert len(selectors) > 20
    assert all(".pf-svg" in one for selector in selectors for one in selector.split(","))


def test_the_same_flow_gives_the_same_bytes() -> None:
    state = State()
    state.nodes["plan"] = NodeState("done", 1, seconds=1.25)

    assert svg(report(), state) == svg(report(), state)
    assert svg(report()) == svg(report())


def test_a_layout_made_before_gives_the_same_picture() -> None:
    from pocketflex_nb.views.layout.flow_layout import layout

    assert svg(report(), State(), place=layout(report())) == svg(report(), State())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_inert_everywhere(text: str) -> None:
    nodes = (GraphNode(text, text), GraphNode("b", "b", shape=text, kind=text), GraphNode("g/x", text, group="g"))
    edges = (Edge(text, "b", text), Edge("b", "g", "ok"), Edge("b", "b", text))
    state = State()
    state.nodes[text] = NodeState("failed", 2, error=text)
    state.nodes["b"] = NodeState(text)

    picture = svg(Graph(text, nodes, edges, (Group("g", text, "", "g/x"),), text), state, captions={"b": text})

    root = drawn(picture)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= TAGS
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", picture)
    assert len(picture) < 100_000


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=20), st.sampled_from(STATUSES))
def test_any_text_makes_well_formed_xml(label: str, action: str, status: str) -> None:
    state = State()
    state.nodes["a"] = NodeState(status, 12, error=label)

    root = drawn(svg(Graph(label, (GraphNode("a", label), GraphNode("b", "b")), (Edge("a", "b", action),), (), "a"), state))

    assert root.get("role") == "img"


def test_a_long_label_is_cut_and_kept_in_the_title() -> None:
    label = "a label that goes on and on until nobody wants to read it any more because it is far too long for a box"

    root = drawn(svg(Graph("g", (GraphNode("a", label),), (), (), "a")))

    node = by_class(root, "pf-node")[0]
    assert [t.text for t in node.iter(f"{SVG}text")][-1].endswith("…")  # type: ignore[union-attr]
    assert node.findtext(f"{SVG}title") == label


@pytest.mark.parametrize("shape", [
    "rect", "round", "stadium", "subroutine", "cylinder", "circle", "double_circle", "diamond", "hexagon", "lean_right",
    "lean_left", "trapezoid", "trapezoid_alt", "asymmetric", "no such shape",
])
def test_every_shape_is_drawn(shape: str) -> None:
    root = drawn(svg(Graph("g", (GraphNode("a", "two words", shape=shape),), (), (), "a"), State()))

    assert len(by_class(root, "pf-shape")) == 1


def test_live_parts_are_there_before_there_is_a_state() -> None:
    assert by_class(drawn(svg(report(), live=True)), "pf-glyph")
    assert not by_class(drawn(svg(report())), "pf-glyph")


def test_a_lean_picture_is_much_shorter_and_still_tells_every_state_in_words() -> None:
    nodes = [type(f"N{number}", (Node,), {})() for number in range(100)]
    for before, after in pairwise(nodes):
        before >> after
    graph = graph_of(Flow(nodes[0]))
    states = {node.id: NodeState(status=status, visits=1) for node, status in zip(graph.nodes, STATUSES[1:] * 20, strict=False)}

    full, lean = svg(graph, State(nodes=states)), svg(graph, State(nodes=states), lean=True)

    room = len(style())
    assert len(lean) - room < 0.7 * (len(full) - room)
    assert lean.count('class="pf-caption"') == full.count('class="pf-caption"') == 100
    assert "<title>" not in lean


def test_captions_can_be_given() -> None:
    assert "37 here" in svg(report(), captions={"search": "37 here"})


def test_the_caption_of_a_state_says_how_long_it_took() -> None:
    assert [caption_of("idle"), caption_of("running", 3), caption_of("done", 1.26), caption_of("failed", 600)] == [
        "", "running", "done · 1.3 s", "failed · 10.0 min",
    ]


@pytest.mark.parametrize(("runs", "told"), [
    ({}, ""), ({"running": 1}, "1 run · 0 done"), ({"running": 1, "done": 2}, "3 runs · 2 done"), ({"done": 1}, "1 run · 1.3 s"),
    ({"done": 2, "failed": 1}, "3 runs · 1 failed"),
])
def test_a_node_tells_the_runs_that_its_visits_began_in_every_form(runs: dict[str, int], told: str) -> None:
    graph = report()
    state = State(nodes={"search": NodeState(status="running" if "running" in runs else "done", visits=1, seconds=1.26, runs=runs)})

    assert inner_runs_of(state.nodes["search"], 1.26) == told
    assert told in svg(graph, state)
    assert all(f"{times} {how}" in svg(graph, state) for how, times in runs.items())
    assert told.partition(" · ")[0] in text(graph, state)
    assert told.partition(" · ")[0] in dot(graph, state)


def test_an_error_arrow_has_its_own_key() -> None:
    assert edge_key(Edge("a", "b", "default", "error")) == "a|!error|b"


def test_every_state_has_a_glyph_a_sign_and_colours() -> None:
    assert set(GLYPHS) == set(STATUSES) == set(PALETTE["light"]) == set(PALETTE["dark"])
    assert set(STATUSES) <= set(SIGNS)
    assert len(set(GLYPHS.values())) == len(STATUSES) == len({SIGNS[s] for s in STATUSES})


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half(theme: str) -> None:
    ink = INK[theme]
    pairs = {("chip", "ink"): contrast(ink["chip"], ink["chip-ink"])}
    for status, colours in PALETTE[theme].items():
        pairs[status, "label"] = contrast(colours.fill, ink["ink"])
        pairs[status, "caption"] = contrast(colours.fill, colours.strong)
        pairs[status, "sign"] = contrast(colours.strong, ink["sign"])

    assert {what: round(c, 2) for what, c in pairs.items() if c < 4.5} == {}


@pytest.mark.parametrize("paper", ["#ffffff", "#111111"])
def test_lines_show_on_a_white_and_on_a_black_page(paper: str) -> None:
    lines = {(t, s): contrast(c.line, paper) for t in PALETTE for s, c in PALETTE[t].items()}
    lines |= {(t, what): contrast(INK[t][what], paper) for t in INK for what in ("edge", "taken", "error")}

    assert {what: round(c, 2) for what, c in lines.items() if c < 3} == {}


def test_numbers_are_short() -> None:
    assert [number(v) for v in (1.0, -0.04, 2.25, -3.5, 100)] == ["1", "0", "2.2", "-3.5", "100"]
