"""A diagram and a notebook's names made into a flow."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any, Literal

import pytest

from pocketflex_nb.core.errors import CheckError, DiagramError
from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.flow_graph import Edge, graph_of, ids_of
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.joins import join_of
from pocketflex_nb.core.flow.nodes import END, BaseNode, BatchNode, Fork, Node
from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.core.mermaid.builder import build, is_wireable, rebuild
from pocketflex_nb.core.mermaid.parser import parse

MULTI_AGENT = """
graph TD
    A[Start: Main Goal] --> B{Orchestrator Node: Assign Tasks};
    B --> C(Task: Run Researcher Agent Flow);
    B --> D(Task: Run Writer Agent Flow);
    C --> E{Orchestrator Node: Collect Research};
    D --> F{Orchestrator Node: Collect Draft};
    E --> G{Orchestrator Node: Synthesize};
    F --> G;
    G --> H[End: Final Output];
"""


class Plan(Node):
    """Plans."""


class Needy(Node):
    def __init__(self, client: Any) -> None:
        super().__init__()


def search(shared: dict) -> None:
    """Searches."""


async def read(shared: dict) -> None:
    """Reads."""


@pytest.fixture
def names() -> dict[str, Any]:
    return {
        "plan": Plan(max_retries=2), "Plan": Plan, "search": search, "read": read, "write": Plan(), "items": BatchNode(),
        "cleanup": Node(),
        "inner": Flow(Plan(), name="inner"), "many": BatchFlow(Plan()), "topics": ["a"], "Needy": Needy, "_hidden": Plan(),
    }


def made(body: str, names: dict[str, Any], **options: Any) -> Flow:
    return build(parse(f"flowchart LR\n{body}"), names, **options)


def nodes(flow: Flow) -> dict[str, Any]:
    return {short: node for node, short in ids_of(flow).items()}


def refused(body: str, names: dict[str, Any]) -> str:
    with pytest.raises(DiagramError) as caught:
        made(body, names)
    assert caught.value.line >= 2
    assert caught.value.source
    return caught.value.reason


def test_the_multi_agent_page_pasted_as_it_is_builds() -> None:
    flow = build(parse(MULTI_AGENT), {letter: Plan() for letter in "ABCDEFGH"}, "report")

    graph, parts = graph_of(flow), nodes(flow)
    fork = parts["B"].successors["default"]
    assert (flow.name, graph.direction, graph.start) == ("report", "TD", "A")
    assert fork.heads == [parts["C"], parts["D"]]
    assert join_of(fork) is parts["G"]
    assert [n.label for n in graph.nodes][:2] == ["Start: Main Goal", "Orchestrator Node: Assign Tasks"]
    assert [n.shape for n in graph.nodes][:3] == ["rect", "diamond", "round"]


def test_the_example_of_the_magics_page_builds(names: dict[str, Any]) -> None:
    flow = made(
        "  plan -->|ok| search & read --> write\n  search -.-> plan\n  write -->|revise| plan\n"
        "  %% pf: search.retries=3, search.timeout=20", names,
    )

    parts = nodes(flow)
    assert flow.start_node is parts["plan"]
    assert join_of(parts["plan"].successors["ok"]) is parts["write"]
    assert parts["search"]._pfx_on_error is parts["plan"]
    assert (parts["search"].max_retries, parts["search"]._pfx_timeout, parts["search"]._pfx_has_retry_policy) == (3, 20.0, True)
    assert flow._pfx_strict


def test_ids_are_nodes_classes_flows_and_functions(names: dict[str, Any]) -> None:
    parts = nodes(made("plan --> Plan --> inner --> search --> read --> items", names | {"part": functools.partial(search, {})}))

    kinds = [type(n).__name__ for n in parts.values()]
    assert kinds == ["Plan", "Plan", "Flow", "FunctionNode", "AsyncFunctionNode", "BatchNode"]
    assert parts["inner"].start_node is names["inner"].start_node


def test_text_in_brackets_names_the_node_when_the_id_does_not(names: dict[str, Any]) -> None:
    parts = nodes(made("plan --> search2[search] --> search3(search)", names))

    assert [(n._pfx_id, n._pfx_label, n._pfx_source) for n in parts.values()] == [
        ("plan", "plan", "plan"), ("search2", "search", "search"), ("search3", "search", "search"),
    ]
    assert parts["search2"] is not parts["search3"]


def test_text_in_brackets_is_only_a_label_when_the_id_is_known(names: dict[str, Any]) -> None:
    parts = nodes(made("plan[look it up] --> write[Write]", names))

    assert (type(parts["plan"]), parts["plan"]._pfx_label) == (Plan, "look it up")


def test_an_id_and_its_text_that_are_two_nodes_are_refused_with_both_names(names: dict[str, Any]) -> None:
    with pytest.raises(DiagramError, match=r"the id 'plan' is one node and its text 'search' names another: .*%% pf: plan.id=plan"):
        made("plan[search] --> write", names)

    parts = nodes(made("plan[search] --> write\n%% pf: plan.id=plan", names))
    assert (type(parts["plan"]), parts["plan"]._pfx_label) == (Plan, "search")


def test_a_text_that_names_the_same_node_its_class_or_its_function_is_a_text(names: dict[str, Any]) -> None:
    def greet(shared: Any) -> None: ...

    more = {**names, "Plan": Plan, "same": names["plan"], "greet": greet, "hello": node(greet), "five": 5}

    parts = nodes(made("plan[Plan] --> same[plan] --> hello[greet] --> write[five]", more))

    assert [n._pfx_source for n in parts.values()] == ["plan", "same", "hello", "write"]


@pytest.mark.parametrize("thing", [5, "text", None, {"a": 1}, int, ValueError, pytest], ids=str)
def test_an_id_that_is_no_node_is_passed_over_when_the_text_names_one(thing: Any, names: dict[str, Any]) -> None:
    parts = nodes(made("A[plan] --> write", {**names, "A": thing}))

    assert [(n._pfx_id, n._pfx_source) for n in parts.values()] == [("A", "plan"), ("write", "write")]
    with pytest.raises(DiagramError, match=r"'A' is .*: a node, a flow or a function is needed"):
        made("A[nothing of that name] --> write", {**names, "A": thing})


def test_each_diagram_works_on_copies_of_its_own(names: dict[str, Any]) -> None:
    names["plan"] - "old" >> names["write"]
    names["plan"].on_error(names["write"])

    one, two = nodes(made("plan --> write", names)), nodes(made("plan -->|x| read", names))

    assert list(one["plan"].successors) == ["default"]
    assert list(two["plan"].successors) == ["x"]
    assert list(names["plan"].successors) == ["old"]
    assert "_pfx_on_error" not in one["plan"].__dict__
    assert "_pfx_id" not in names["plan"].__dict__
    assert one["plan"].max_retries == 2


def test_detached_error_and_end_arrows_are_wired(names: dict[str, Any]) -> None:
    flow = made(
        "plan ==> search\n plan --> write -->|stop| END\n write -->|go| plan\n plan -. when it fails .-> cleanup & read", names
    )

    plan, write = nodes(flow)["plan"], nodes(flow)["write"]
    assert (plan.successors["default"].heads, plan.successors["default"].detached) == ([write], [nodes(flow)["search"]])
    assert write.successors == {"stop": END, "go": plan}
    assert isinstance(plan._pfx_on_error, Fork)
    assert [e.kind for e in graph_of(flow).edges] == ["action", "detached", "error", "error", "action", "action"]


def test_the_same_arrow_twice_is_one_arrow(names: dict[str, Any]) -> None:
    assert graph_of(made("plan --> write\n plan --> write", names)).edges == (Edge("plan", "write"),)


def test_a_circle_begins_with_the_first_node_written_and_a_directive_wins(names: dict[str, Any]) -> None:
    circle = "plan --> write --> plan"

    assert made(circle, names).start_node._pfx_id == "plan"
    assert made(f"{circle}\n %% pf: start=write", names).start_node._pfx_id == "write"
    assert made(f"[*] --> write\n{circle}", names).start_node._pfx_id == "write"


def test_a_flow_may_begin_with_several_nodes(names: dict[str, Any]) -> None:
    flow = made("plan --> write\n search --> write\n %% pf: start=plan & search", names)

    assert [n._pfx_id for n in flow.start_node.heads] == ["plan", "search"]
    assert join_of(flow.start_node)._pfx_id == "write"


def test_a_state_diagram_is_a_flow(names: dict[str, Any]) -> None:
    flow = build(parse("stateDiagram-v2\n [*] --> plan\n plan --> write : ok\n write --> [*]"), names)

    assert graph_of(flow).edges == (Edge("plan", "write", "ok"), Edge("write", "END"))


def test_a_subgraph_that_an_arrow_names_is_a_nested_flow(names: dict[str, Any]) -> None:
    flow = made(
        "plan --> research --> write\n subgraph research [Look it up]\n search --> read\n end\n %% pf: research.timeout=60", names
    )

    graph, research = graph_of(flow), nodes(flow)["research"]
    assert [(g.id, g.label, g.start) for g in graph.groups] == [("research", "Look it up", "research/search")]
    assert (research._pfx_timeout, research._pfx_strict, research.name) == (60.0, True, "research")
    assert Edge("research/search", "research/read") in graph.edges


def test_a_subgraph_that_no_arrow_names_is_decoration(names: dict[str, Any]) -> None:
    flow = made("subgraph team\n plan --> search\n subgraph deep\n read\n end\n end\n search --> read --> write", names)

    assert graph_of(flow).groups == ()
    assert list(nodes(flow)) == ["plan", "search", "read", "write"]


def test_subgraphs_nest_and_have_starts_and_ends_of_their_own(names: dict[str, Any]) -> None:
    flow = made(
        "plan --> outer\n subgraph outer\n search --> core -->|ok| END\n subgraph core\n read --> write --> read\n end\n end\n"
        " %% pf: core.start=write", names,
    )

    graph = graph_of(flow)
    assert [(g.id, g.start) for g in graph.groups] == [("outer", "outer/search"), ("outer/core", "outer/core/write")]
    assert Edge("outer/core", "END", "ok") in graph.edges


@pytest.mark.parametrize(("body", "said"), [
    ("plan --> serach", "no node 'serach'; did you mean 'search'?"),
    ("plan --> zzz", "no node 'zzz'; run the cell that defines it first; known: 'Needy', 'Plan', 'cleanup'"),
    ("plan --> zzz[serach]", "no node 'zzz'"),
    ("plan --> _hiden", "no node '_hiden'"),
    ("plan --> topics", "'topics' is of type list: a node, a flow or a function is needed"),
    ("plan --> Needy", "Needy() could not be made"),
    ("plan --> write\n read --> write", "node 'read' cannot be reached from the start 'plan': draw an arrow to it"),
    ("plan --> write\n search --> items\n read --> items\n items --> search & read",
     "node 'search' cannot be reached from the start 'plan', and no branch can reach the join 'items' of 'search' and 'read'"),
    ("plan --> write\n %% pf: start=wirte", "no node 'wirte' to start with; did you mean 'write'?"),
    ("plan --> write\n %% pf: wirte.retries=3", "no node 'wirte' in this diagram; did you mean 'write'?"),
    ("plan --> write\n %% pf: write.retrys=3", "node 'write' has no setting 'retrys'; did you mean 'retries'?"),
    ("plan --> write\n %% pf: write.retries=many", "retries='many': a whole number of at least 1 is needed"),
    ("plan --> write\n %% pf: write.retries=0", "retries=0: a whole number"),
    ("plan --> write\n %% pf: write.timeout=-1", "timeout=-1: seconds above 0 are needed"),
    ("plan --> write\n %% pf: write.wait=soon", "wait='soon': seconds are needed, such as 20 or '2m'"),
    ("plan --> write\n %% pf: write.concurrency=3", "concurrency belongs to batch nodes and flows"),
    ("plan --> inner\n %% pf: inner.retries=3", "flow 'inner' has no setting 'retries'"),
    ("plan --> write\n %% pf: colour=red", "the flow has no setting 'colour'; known: 'concurrency'"),
    ("plan --> write\n %% pf: strict=perhaps", "strict='perhaps': true or false is needed"),
    ("plan --> write\n %% pf: write.jitter=2", "Retry(jitter=2"),
    ("plan --> x\n subgraph x\n search --> read\n end\n write --> search",
     "an arrow from 'write' to 'search' crosses the border of the flow 'x': draw it at the flow, 'write --> x'"),
    ("plan --> x\n subgraph x\n end", "the flow 'x' has no nodes"),
])
def test_what_cannot_be_wired_is_told_with_its_place(body: str, said: str, names: dict[str, Any]) -> None:
    assert refused(body, names).startswith(said)


def test_a_diagram_without_nodes_is_refused(names: dict[str, Any]) -> None:
    with pytest.raises(DiagramError, match="line 1: the diagram has no nodes"):
        made("%% nothing", names)


def test_the_caret_stands_below_the_name(names: dict[str, Any]) -> None:
    with pytest.raises(DiagramError) as caught:
        made("  plan --> write\n  write --> serach & read", names)

    assert str(caught.value) == (
        "line 3: no node 'serach'; did you mean 'search'?\n    write --> serach & read\n              ^"
    )


def test_every_setting_arrives(names: dict[str, Any]) -> None:
    flow = made(
        "plan --> items --> many\n"
        " %% pf: plan.retries=4, plan.wait=0.5, plan.timeout=1m, plan.backoff=2, plan.jitter=0.1, plan.max_wait=30s\n"
        " %% pf: items.concurrency=8, items.on_error=collect, many.concurrency=None, many.timeout=5\n"
        " %% pf: name=night, timeout=2h, max_steps=100, concurrency=3, strict=false", names,
    )

    plan, items, many = nodes(flow).values()
    assert plan._pfx_retry == Retry(4, wait=0.5, backoff=2.0, jitter=0.1, max_wait=30.0)
    assert (plan._pfx_timeout, plan.max_retries, plan.wait) == (60.0, 4, 0.5)
    assert (items._pfx_max_concurrency, items._pfx_on_item_error) == (8, "collect")
    assert (many._pfx_items_at_once, many._pfx_timeout) == (None, 5.0)
    assert (flow.name, flow._pfx_timeout, flow._pfx_max_steps, flow._pfx_fork_limit) == ("night", 7200.0, 100, 3)
    assert not flow._pfx_strict
    assert "_pfx_retry" not in names["plan"].__dict__


def test_a_given_name_wins_over_the_written_one(names: dict[str, Any]) -> None:
    assert made("plan --> write\n %% pf: name=night", names, name="day").name == "day"
    assert made("plan --> write", names).name == "flow"
    assert made("plan --> write\n %% pf: name=007", names).name == "007"


def test_a_base_node_has_no_retries(names: dict[str, Any]) -> None:
    class Bare(BaseNode):
        """No retries."""

    assert refused("bare --> plan\n %% pf: bare.retries=2", names | {"bare": Bare()}) == (
        "'retries' belongs to nodes that retry, and Bare is a BaseNode"
    )


def test_a_node_of_another_package_is_refused_with_the_mend(names: dict[str, Any]) -> None:
    pocketflow = pytest.importorskip("pocketflow", reason="pip install pocketflow")

    assert "import it from pocketflex_nb.pocketflow instead" in refused("other --> plan", names | {"other": pocketflow.Node()})


def test_the_checks_look_at_the_finished_flow_and_name_the_line(names: dict[str, Any]) -> None:
    class Judge(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["good", "bad"]: ...

    with pytest.raises(CheckError) as caught:
        made("plan --> judge\n judge -->|good| write", names | {"judge": Judge()})

    lines = str(caught.value).split("\n")
    assert lines[0].startswith("line 2: flow 'flow', node 'judge': post declares the action 'bad'")
    assert lines[1:] == ["  plan --> judge", "           ^"]
    assert made("plan --> judge\n judge -->|good| write", names | {"judge": Judge()}, checked=False)


def test_another_id_may_stand_for_the_real_one(names: dict[str, Any]) -> None:
    flow = made('plan --> n1\n %% pf: n1.id="write"', names)

    assert list(nodes(flow)) == ["plan", "write"]
    assert nodes(flow)["write"]._pfx_label == "write"


def test_rebuilding_looks_the_names_up_again(names: dict[str, Any]) -> None:
    class Better(Plan):
        """The cell was run again."""

    flow = made("plan --> write", names, name="report")
    plain = Flow(Plan())

    again = rebuild(flow, names | {"plan": Better()})

    assert (type(again.start_node), again.name) == (Better, "report")
    assert graph_of(again) == graph_of(flow)
    assert rebuild(plain, names) is plain


def test_a_flow_of_a_diagram_copies_and_pickles(names: dict[str, Any]) -> None:
    flow = made("plan --> write & cleanup", names)

    assert graph_of(copy.deepcopy(flow)) == graph_of(flow)
    assert graph_of(pickle.loads(pickle.dumps(flow))) == graph_of(flow)


def test_what_a_diagram_may_name_can_be_listed(names: dict[str, Any]) -> None:
    listed = [name for name, thing in {**names, "In": [], "open": open, "exit": exit}.items() if is_wireable(name, thing)]

    assert listed == ["plan", "Plan", "search", "read", "write", "items", "cleanup", "inner", "many", "Needy"]


def test_statements_on_lines_and_behind_semicolons_build_the_same_flow(names: dict[str, Any]) -> None:
    assert graph_of(build(parse("graph TD\n plan --> write"), names)) == graph_of(build(parse("graph TD;plan-->write"), names))


def test_a_fan_out_that_branches_lead_to_together_is_one() -> None:
    class Says(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared.append(self.name)

    names = {name: Says() for name in "pabcdw"}
    for name, says in names.items():
        says.name = name
    said: list[str] = []

    build(parse("flowchart LR\n p --> a & b\n a & b --> c & d\n c & d --> w"), names).run(said)

    assert (said[0], sorted(said[1:3]), sorted(said[3:5]), said[5:]) == ("p", ["a", "b"], ["c", "d"], ["w"])
