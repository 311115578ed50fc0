"""Reading Mermaid text: what it says, and where it is wrong."""

from __future__ import annotations

import time
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.errors import DiagramError
from pocketflex_nb.core.mermaid.diagram import Diagram, Directive
from pocketflex_nb.core.mermaid.parser import is_mermaid, parse


def arrows(text: str) -> list[tuple[str, ...]]:
    return [(e.source, e.target, e.action, e.kind) for e in parse(f"flowchart LR\n{text}").edges]


def labels(text: str) -> dict[str, tuple[str | None, str]]:
    return {n.id: (n.label, n.shape) for n in parse(f"flowchart LR\n{text}").nodes}


def where(text: str) -> tuple[int, int, str]:
    with pytest.raises(DiagramError) as caught:
        parse(text)
    return caught.value.line, caught.value.column, caught.value.reason


@pytest.mark.parametrize("written", ["a --> b", "a-->b", "a ----> b", "a --> b;", "a-->b %% and so on", "a\t-->\tb"])
def test_an_arrow_is_the_default_action(written: str) -> None:
    assert arrows(written) == [("a", "b", "default", "action")]


@pytest.mark.parametrize("written", [
    "a -->|ok| b", "a -- ok --> b", "a --ok--> b", "a-->|ok|b", 'a -->|"ok"| b', 'a -- "ok" --> b', "a -->| ok | b",
    "a --ok----> b",
])
def test_the_text_of_an_arrow_is_its_action(written: str) -> None:
    assert arrows(written) == [("a", "b", "ok", "action")]


@pytest.mark.parametrize(("written", "kind"), [
    ("a -.-> b", "error"), ("a -..-> b", "error"), ("a -. on error .-> b", "error"), ("a -.->|oops| b", "error"),
    ("a ==> b", "detached"), ("a ====> b", "detached"), ("a == go ==> b", "detached"), ("a ==>|go| b", "detached"),
])
def test_dots_are_errors_and_double_lines_are_detached(written: str, kind: str) -> None:
    assert [a[3] for a in arrows(written)] == [kind]


def test_chains_and_ampersands_are_many_arrows() -> None:
    assert arrows("a & b -->|x| c & d --> e") == [
        ("a", "c", "x", "action"), ("a", "d", "x", "action"), ("b", "c", "x", "action"), ("b", "d", "x", "action"),
        ("c", "e", "default", "action"), ("d", "e", "default", "action"),
    ]


@pytest.mark.parametrize(("written", "shape"), [
    ("a[t]", "rect"), ("a(t)", "round"), ("a([t])", "stadium"), ("a[[t]]", "subroutine"), ("a[(t)]", "cylinder"),
    ("a((t))", "circle"), ("a(((t)))", "double_circle"), ("a>t]", "asymmetric"), ("a{t}", "diamond"), ("a{{t}}", "hexagon"),
    ("a[/t/]", "lean_right"), ("a[\\t\\]", "lean_left"), ("a[/t\\]", "trapezoid"), ("a[\\t/]", "trapezoid_alt"),
    ('a@{ shape: diam, label: "t" }', "diamond"),
])
def test_every_bracket_is_a_shape(written: str, shape: str) -> None:
    assert labels(f"{written} --> b")["a"] == ("t", shape)


def test_labels_may_be_quoted_escaped_and_of_any_script() -> None:
    assert labels('a["x (y) [z] #quot;q#quot; #35; <br/>--> end"] --> b[日本語 ünïcode] --> ç["`md`"]') == {
        "a": ('x (y) [z] "q" # \n--> end', "rect"), "b": ("日本語 ünïcode", "rect"), "ç": ("md", "rect"),
    }


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ('say "hi"', 'say "hi"'), ('"hi" she said', '"hi" she said'), ('she said "hi"', 'she said "hi"'),
        ('"hi" and "ho"', '"hi" and "ho"'),
        ('"hi"', "hi"), ('"`hi`"', "hi"), ('"say #quot;hi#quot;"', 'say "hi"'), ("say #quot;hi#quot;", 'say "hi"'), ('5" pipe', '5" pipe'),
        ('say "x --> y" z', 'say "x --> y" z'), ('"x; y"', "x; y"), ('a "b; c" d', 'a "b; c" d'),
        ('say "x | y ] } ) == .->" z', 'say "x | y ] } ) == .->" z'),
    ],
)
def test_quotes_in_labels_of_every_form_survive(written: str, label: str) -> None:
    forms = [
        f"flowchart LR\n a -->|{written}| b", f"flowchart LR\n a -- {written} --> b", f"flowchart LR\n a == {written} ==> b",
        f"stateDiagram-v2\n a --> b : {written}",
    ]
    nodes = [
        f"flowchart LR\n a{opening}{written}{closing} --> b"
        for opening, closing in (("[", "]"), ("(", ")"), ("{", "}"), ("([", "])"), ("[[", "]]"), ("((", "))"), ("{{", "}}"), (">", "]"))
    ]
    nodes += [f"stateDiagram-v2\n a : {written}\n a --> b", f"flowchart LR\n subgraph a[{written}]\n b\n end\n a --> c"]

    for text in forms:
        assert [(e.source, e.action, e.target) for e in parse(text).edges] == [("a", label, "b")], text
    for text in nodes:
        diagram = parse(text)
        assert [n.label for n in (*diagram.nodes, *diagram.subgraphs) if n.id == "a"] == [label], text


def test_attributes_may_be_quoted_either_way() -> None:
    text = """flowchart LR
    a@{ label: 'say "hi"', shape: round } --> b@{ shape: diam, label: "say \\"hi\\" } now" } --> c@{ label: 'it''s' }"""

    assert [n.label for n in parse(text).nodes] == ['say "hi"', 'say "hi" } now', "it's"]


def test_an_entity_and_a_comment_end_a_state_label_where_they_should() -> None:
    text = "stateDiagram-v2\n a --> b : x#59;y; b --> c : z %% said\n c : #quot;c#quot;; c --> d"

    diagram = parse(text)

    assert [(e.source, e.action) for e in diagram.edges] == [("a", "x;y"), ("b", "z"), ("c", "default")]
    assert [n.label for n in diagram.nodes if n.id == "c"] == ['"c"']


def test_brackets_within_brackets_are_text() -> None:
    assert labels("a(f(x)) --> b[g[0]]") == {"a": ("f(x)", "round"), "b": ("g[0]", "rect")}


def test_ids_may_have_dots_dashes_digits_and_a_class() -> None:
    assert [n.id for n in parse("graph LR\n a.b-->c-d:::css --> 7 & node_1").nodes] == ["a.b", "c-d", "7", "node_1"]


def test_a_node_is_where_it_was_first_written_and_what_was_said_of_it_last() -> None:
    node = parse("flowchart LR\n  a --> b\n  a{Choose}").nodes[0]

    assert (node.id, node.label, node.shape, node.line, node.column) == ("a", "Choose", "diamond", 2, 3)


@pytest.mark.parametrize(("head", "direction"), [
    ("graph TD", "TD"), ("graph TB", "TD"), ("flowchart", "TD"), ("flowchart LR;", "LR"), ("flowchart  RL %% x", "RL"),
    ("graph BT", "BT"),
    ("graph >", "LR"), ("stateDiagram-v2\n direction LR", "LR"), ("stateDiagram", "TD"), ("flowchart-elk LR", "LR"),
    ("\n---\ntitle: x\n---\n%% a comment\n%%{init: {'theme':\n'dark'}}%%\ngraph RL", "RL"),
])
def test_the_head_gives_the_direction(head: str, direction: str) -> None:
    diagram = parse(f"{head}\n a --> b")

    assert (diagram.direction, len(diagram.edges)) == (direction, 1)


def test_statements_may_share_a_line() -> None:
    assert len(parse("graph TD; a-->b; b-->c;;c-->END;").edges) == 3


def test_what_only_decorates_is_kept_and_not_run() -> None:
    diagram = parse(
        "flowchart LR\n accTitle: a title\n accDescr {\n many\n lines }\n a --> b\n classDef x fill:#f9f\n class a x\n"
        ' style b stroke:#333\n click a "javascript:alert(1)"\n linkStyle 0 stroke:red\n %% remark\n'
    )

    assert [n.id for n in diagram.nodes] == ["a", "b"]
    assert [line for line, _ in diagram.ignored] == [2, 3, 7, 8, 9, 10, 11, 12]
    assert diagram.ignored[1][1] == "accDescr {\n many\n lines }"


def test_a_word_that_decorates_may_be_a_node() -> None:
    assert arrows("style --> click\n class & direction --> style") == [
        ("style", "click", "default", "action"), ("class", "style", "default", "action"),
        ("direction", "style", "default", "action"),
    ]


def test_directives_are_read_with_their_places() -> None:
    diagram = parse(
        'flowchart LR\n a --> b\n %% pf: a.retries=3, b.timeout="2m",start=a, x.id="q, #quot;r#quot;"\n  %%pf:b.wait = 0.5'
    )

    assert diagram.directives == (
        Directive("a", "retries", "3", 3, 9), Directive("b", "timeout", "2m", 3, 22), Directive("", "start", "a", 3, 37),
        Directive("x", "id", 'q, "r"', 3, 46), Directive("b", "wait", "0.5", 4, 8),
    )


def test_subgraphs_nest_and_own_the_nodes_written_in_them() -> None:
    diagram = parse(
        'flowchart LR\n p --> q\n subgraph one ["First one"]\n direction TB\n q --> r\n subgraph two\n s\n end\n end\n'
        ' subgraph Big Team\n t\n end\n subgraph "Quoted title"\n u\n end\n subgraph\n v\n end'
    )

    assert [(g.id, g.label, g.parent) for g in diagram.subgraphs] == [
        ("one", "First one", ""), ("two", None, "one"), ("Big_Team", "Big Team", ""), ("Quoted_title", "Quoted title", ""),
        ("subgraph_5", "", ""),
    ]
    assert {n.id: n.group for n in diagram.nodes} == {
        "p": "", "q": "one", "r": "one", "s": "two", "t": "Big_Team", "u": "Quoted_title", "v": "subgraph_5",
    }


def test_a_subgraph_that_an_arrow_names_is_no_node() -> None:
    diagram = parse("flowchart LR\n a --> team\n subgraph team\n b\n end")

    assert [n.id for n in diagram.nodes] == ["a", "b"]


def test_starts_and_ends_may_be_written_as_states() -> None:
    diagram = parse("stateDiagram-v2\n [*] --> Still\n Still --> Moving : push\n Moving --> [*]\n Still : stands: here\n"
                    ' state "On fire" as Fire\n'
                    " Moving --> Fire: crash; Fire --> Still\n note right of Fire : hot\n note left of Still\n cold\n end note")

    assert [(e.source, e.target, e.action) for e in diagram.edges] == [
        ("[*]", "Still", "default"), ("Still", "Moving", "push"), ("Moving", "[*]", "default"), ("Moving", "Fire", "crash"),
        ("Fire", "Still", "default"),
    ]
    assert {n.id: n.label for n in diagram.nodes} == {"Still": "stands: here", "Moving": None, "Fire": "On fire"}


def test_composite_states_are_subgraphs() -> None:
    diagram = parse("stateDiagram-v2\n a --> b\n state b {\n [*] --> c\n c --> [*]\n }\n state d\n b --> d")

    assert [(g.id, g.parent) for g in diagram.subgraphs] == [("b", "")]
    assert [(e.source, e.target, e.group) for e in diagram.edges] == [
        ("a", "b", ""), ("[*]", "c", "b"), ("c", "[*]", "b"), ("b", "d", ""),
    ]


@pytest.mark.parametrize(("text", "line", "column", "said"), [
    ("", 1, 1, "the diagram is empty"),
    ("flowchrt LR\n a --> b", 1, 1, "'flowchrt' begins no diagram; did you mean 'flowchart'?"),
    ("sequenceDiagram\n a->>b: x", 1, 1, "a sequenceDiagram draws no flow: a flowchart or a state diagram is needed; begin with "),
    ("erDiagram\n a ||--o{ b : x", 1, 1, "a erDiagram draws no flow"),
    ("pie title Pets", 1, 1, "a pie draws no flow"),
    ("plan --> write", 1, 1, "the diagram has no header: begin with 'flowchart LR' on a line of its own"),
    ("%% said\n\n[*] --> plan", 3, 1, "the diagram has no header"),
    ("flowchart XY\n a --> b", 1, 10, "LR, TD, RL or BT is needed"),
    ("flowchart LR\n a --- b", 2, 4, "'---' has no arrow head: write '-->'"),
    ("flowchart LR\n a -- x --- b", 2, 4, "this arrow is never finished: write '-->'"),
    ("flowchart LR\n a --x b", 2, 4, "'--x' has no arrow head"),
    ("flowchart LR\n a -.- b", 2, 4, "'-.-' has no arrow head"),
    ("flowchart LR\n a === b", 2, 4, "'===' has no arrow head"),
    ("flowchart LR\n a ~~~ b", 2, 4, "'~~~' is an invisible link"),
    ("flowchart LR\n a <--> b", 2, 4, "an arrow runs one way"),
    ("flowchart LR\n a -->", 2, 4, "this arrow leads nowhere"),
    ("flowchart LR\n a --> b & ", 2, 12, "a node's id is needed here"),
    ("flowchart LR\n a -->|ok b", 2, 7, "this '|' is never closed"),
    ("flowchart LR\n a[open --> b", 2, 3, "'[' is never closed on this line: write ']'"),
    ('flowchart LR\n a["open] --> b', 2, 4, "this quote is never closed"),
    ('flowchart LR\n a["x" y --> b', 2, 8, "']' is needed after the text"),
    ("flowchart LR\n a b", 2, 4, "'b' is not understood here"),
    ("flowchart LR\n --> b", 2, 2, "a node's id is needed here, not '-->'"),
    ("flowchart LR\n a --> end", 2, 8, "'end' closes a subgraph: for the end of the flow write END"),
    ("flowchart LR\n a --> b\n end", 3, 2, "'end' closes nothing"),
    ("flowchart LR\n subgraph x\n a --> b", 2, 11, "subgraph 'x' is never closed: write 'end'"),
    ("flowchart LR\n subgraph x\n end\n subgraph x\n end", 4, 11, "there are two subgraphs 'x'"),
    ("flowchart LR\n END --> a", 2, 10, "END is where a flow ends"),
    ("flowchart LR\n [*] --> END", 2, 10, "an arrow from the start to the end"),
    ("flowchart LR\n a --> b\n %% pf: a.retries", 3, 9, "'a.retries' is no setting"),
    ("---\ntitle: x\nflowchart LR", 1, 1, "the front matter is never closed"),
    ("%%{init: {}\nflowchart LR", 1, 1, "'%%{' is never closed"),
    ("stateDiagram-v2\n state f <<fork>>", 2, 10, "a fork state is not read"),
    ("stateDiagram-v2\n a --> b\n --\n c --> d", 3, 2, "concurrent regions are not read"),
    ("stateDiagram-v2\n state x {\n a --> b", 2, 8, "state 'x' is never closed: write '}'"),
    ("stateDiagram-v2\n }", 2, 2, "'}' closes nothing"),
])
def test_what_is_wrong_is_told_with_its_place(text: str, line: int, column: int, said: str) -> None:
    found = where(text)

    assert found[:2] == (line, column)
    assert found[2].startswith(said)


def test_the_message_shows_the_line_and_a_caret_below_the_place() -> None:
    with pytest.raises(DiagramError) as caught:
        parse("flowchart LR\n  plan --> search\n  search --- write\n")

    assert str(caught.value).split("\n")[1:] == ["    search --- write", "           ^"]
    assert isinstance(caught.value, SyntaxError)
    assert isinstance(caught.value, ValueError)


def test_a_traceback_shows_the_message_too() -> None:
    with pytest.raises(DiagramError) as caught:
        parse("flowchart LR\n  search --- write\n")

    told = "".join(traceback.format_exception_only(caught.value))
    assert "DiagramError: line 2: '---' has no arrow head" in told
    assert told.endswith("  search --- write\n           ^\n")


def test_only_text_can_be_read() -> None:
    with pytest.raises(TypeError, match="Mermaid text"):
        parse(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("body", "is_one"), [
    ("flowchart LR\n a-->b", True), ("graph TD;a-->b", True), ("\n\n%% hello\ngraph TD\n", True),
    ("stateDiagram-v2\n a --> b", True), ("---\ntitle: x\n---\ngraph LR", True),
    ("flowchrt LR\na-->b", True), ("graph\n a --> b", True), ("flowchart\na ==> b", True),
    ("graph = Flow(plan)\ngraph", False), ("graph", False), ("flowchart.run({})", False), ("await LR", False),
    ("# flowchart LR\nx", False), ("x = 1", False), ("", False), ("graph(3)\n'-->'", False), ("not LR", False),
])
def test_a_diagram_is_told_from_python_by_its_first_line(body: str, is_one: bool) -> None:
    assert is_mermaid(body) is is_one


_PIECES = st.sampled_from([
    "flowchart LR\n", "graph TD;", "stateDiagram-v2\n", "a", "b", "END", "[*]", "-->", "-.->", "==>", "--", "-.", "==", "---",
    "|", "ok", "[", "]", "(", ")", "{", "}", '"', "&", ";", "\n", " ", "subgraph", "end", "%%", " pf: ", "a.x=1", "state", ":",
    "<<", ">>", "@{", "}%%", "%%{", "note", "#35;", ">", "class", "direction LR", "\\", "/", "\x00", "é", "\u202e", "#9999999;",
    "<br/>", "---\n", "as", ":::", ".", "-", "=", "~~~", "<-->",
])
_BODIES = st.lists(_PIECES, max_size=30).map("".join)
_HEADED = st.tuples(st.sampled_from(["flowchart LR\n", "stateDiagram-v2\n"]), _BODIES).map("".join)
_TEXTS = st.one_of(_BODIES, _HEADED, _HEADED, st.text(max_size=80))


@settings(max_examples=600, deadline=None)
@given(_TEXTS)
@example("flowchart LR\na@{ label: }")
@example("stateDiagram-v2\nstate \"x\" as")
@example("flowchart LR\nsubgraph \"\"\nend")
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    found = read(text)

    if isinstance(found, Diagram):
        known = {n.id for n in found.nodes} | {g.id for g in found.subgraphs} | {"END", "[*]"}
        assert {e.target for e in found.edges} <= known
    else:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert found.source == lines[found.line - 1]
        assert 1 <= found.column <= len(found.source) + 1


def read(text: str) -> Diagram | DiagramError:
    try:
        return parse(text)
    except DiagramError as error:
        return error


def test_a_large_diagram_is_read_in_one_pass() -> None:
    diagram = parse("flowchart LR\n" + "\n".join(f"n{i}[Node {i}] -->|go {i}| n{i + 1}" for i in range(5_000)))

    assert (len(diagram.nodes), len(diagram.edges)) == (5_001, 5_000)


def _many(statement: str) -> list[str]:
    return [statement.replace("N", str(i)) for i in range(8_000)]


LONG = {
    "attributes": "\n".join(_many('aN@{ shape: rect, label: "x" }')),
    "attributes without quotes": "\n".join(_many("aN@{ shape: rect }")),
    "attributes before an open quote": "\n".join(_many("aN@{ shape: rect }")) + '\nb["',
    "attributes on one line": ";".join(_many('aN@{ shape: rect, label: "x" }')),
    "labels on one line": "-->".join(_many("aN[x]")),
    "quoted labels on one line": "-->".join(_many('aN["x"]')),
    "half quoted labels on one line": "-->".join(_many('aN["x" y]')),
    "actions on one line": "a" + "".join(_many(" -->|x| aN")),
    "quoted actions on one line": "a" + "".join(_many(' -->|"x"| aN')),
    "worded arrows on one line": "a" + "".join(_many(" -- x --> aN")),
    "quoted worded arrows on one line": "a" + "".join(_many(' -- "x" --> aN')),
}


@pytest.mark.parametrize("form", LONG)
def test_a_long_text_is_scanned_once_whatever_its_form(form: str) -> None:
    began = time.process_time()

    read("flowchart LR\n" + LONG[form])

    assert time.process_time() - began < 2      # below 0.5 s; where each statement scans the rest of the text, 14 to 43 s


def test_deep_subgraphs_need_no_recursion() -> None:
    depth = 3_000
    diagram = parse("flowchart LR\n" + "".join(f"subgraph s{i}\n" for i in range(depth)) + "a --> b\n" + "end\n" * depth)

    assert len(diagram.subgraphs) == depth
