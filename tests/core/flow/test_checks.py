"""What a look at the drawing finds before anything moves."""

from __future__ import annotations

import enum
from itertools import pairwise
from typing import Annotated, Any, Literal, Optional

import pytest

from pocketflex_nb.core.errors import CheckError
from pocketflex_nb.core.flow.checks import check_flow, problems_of
from pocketflex_nb.core.flow.declared_actions import declared_actions
from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import END, Fork, Node

Way = Literal["ok", "retry"]


class Verdict(enum.StrEnum):
    GOOD = "good"
    BAD = "bad"


class Plan(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["ok", "retry"]: ...


class Open(Node):
    """Declares nothing."""


def kinds(flow: Any) -> list[str]:
    return [p.kind for p in problems_of(flow)]


def test_a_flow_that_is_whole_has_no_problems() -> None:
    plan, write = Plan(), Open()
    plan - "ok" >> write
    plan - "retry" >> plan

    assert check_flow(Flow(plan)) == []


def test_a_flow_without_a_start_says_how_to_give_it_one() -> None:
    with pytest.raises(CheckError, match=r"flow 'report' has no start: give it one, Flow\(start=node\)"):
        check_flow(Flow(name="report"))


def test_a_nested_flow_without_a_start_is_found() -> None:
    plan, inner = Open(), Flow(name="inner")
    plan >> inner

    problem = problems_of(Flow(plan))[0]

    assert (problem.kind, problem.node) == ("no start", "inner")


@pytest.mark.parametrize(("target", "said"), [
    (Open, r"the class Open: a node is needed, Open\(\)"), ("write", "'write': a node is needed, not its name"),
    (print, r"the function print: a node is needed, node\(print\)"), (3, "something of type int"),
])
def test_a_target_that_is_no_node_is_named_with_the_mend(target: Any, said: str) -> None:
    plan = Open()
    plan.successors["go"] = target

    with pytest.raises(CheckError, match=f"flow 'Flow', node 'Open': the arrow 'go' leads to {said}"):
        check_flow(Flow(plan))


def test_a_start_and_a_handler_that_are_no_nodes_are_found() -> None:
    plan = Open()
    plan.on_error("mend")

    assert kinds(Flow(Open)) == kinds(Flow(plan)) == ["unknown target"]


def test_an_arrow_to_none_is_legal() -> None:
    plan = Open()
    plan >> None

    assert check_flow(Flow(plan)) == []


def test_a_declared_action_without_an_arrow_names_the_nearest() -> None:
    plan = Plan()
    plan - "ok" >> Open()
    plan - "retyr" >> plan

    found = {p.kind: p for p in problems_of(Flow(plan, name="report"))}

    assert found.keys() == {"missing arrow", "dead arrow"}
    missing = found["missing arrow"]
    assert (missing.level, missing.node, missing.action) == ("error", "Plan", "retry")
    assert missing.message.startswith("flow 'report', node 'Plan': post declares the action 'retry', and no arrow has that name:")
    assert missing.message.endswith("Plan - 'retry' >> END; did you mean 'retyr'?")
    assert "the arrow 'retyr' is never taken" in found["dead arrow"].message


def test_several_errors_are_listed_together() -> None:
    plan = Plan()
    plan - "no" >> Open()

    with pytest.raises(CheckError, match="flow 'Flow' has 4 errors:\n  flow 'Flow', node 'Plan': post declares") as caught:
        check_flow(Flow(plan))

    assert [p.kind for p in caught.value.problems] == ["missing arrow", "missing arrow", "dead arrow", "unreachable node"]


def test_a_node_without_arrows_may_return_what_it_likes() -> None:
    assert check_flow(Flow(Plan())) == []


def test_end_is_an_arrow_like_any_other() -> None:
    plan = Plan()
    plan - "ok" >> END
    plan - "retry" >> plan

    assert check_flow(Flow(plan)) == []


def test_a_node_behind_dead_arrows_only_cannot_be_reached() -> None:
    class Never(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None: ...

    never, lost = Never(), Open()
    never >> Open()
    never - "lost" >> lost

    assert kinds(Flow(never)) == ["dead arrow", "unreachable node"]


def test_a_join_that_no_branch_can_reach_is_found() -> None:
    class Twist(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["round"]: ...

    plan, a, b, join = Open(), Twist(), Twist(), Open()
    plan >> [a, b]
    for twist in (a, b):
        twist - "round" >> twist
        twist >> join
    join.name = "join"

    found = [p for p in problems_of(Flow(plan)) if p.kind == "unreachable join"]

    assert [(p.node, p.level) for p in found] == [("join", "error")]
    assert "no branch of 'Open' can reach this join" in found[0].message


def test_no_way_to_an_end_is_a_warning_only() -> None:
    ask, answer = Open(), Open()
    ask >> answer >> ask

    found = check_flow(Flow(ask, name="chat"))

    assert [(p.level, p.kind) for p in found] == [("warning", "no end")]
    assert found[0].message.startswith("flow 'chat' has no way to an end")


def test_a_chat_loop_that_ends_by_returning_none_has_an_end() -> None:
    class Chat(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["more"] | None: ...

    chat = Chat()
    chat - "more" >> chat

    assert check_flow(Flow(chat)) == check_flow(Flow(chat, strict=True)) == []


def test_an_arrow_to_end_that_is_never_taken_is_no_end() -> None:
    plan = Plan()
    plan - "ok" >> plan
    plan - "retry" >> plan
    plan - "stop" >> END

    assert kinds(Flow(plan)) == ["dead arrow", "no end"]


def test_a_fan_out_to_the_end_is_an_end() -> None:
    plan = Open()
    plan.successors["default"] = Fork([plan, END])

    assert check_flow(Flow(plan)) == []


def test_problems_of_nested_flows_carry_their_path() -> None:
    plan = Plan()
    plan - "ok" >> Open()
    inner = Flow(plan, name="inner")

    assert [p.node for p in problems_of(Flow(inner))] == ["inner/Plan"]


def test_a_flow_nested_in_itself_is_looked_at_once() -> None:
    plan = Plan()
    flow = Flow(plan)
    plan - "ok" >> flow
    plan - "retry" >> END

    assert check_flow(flow) == []


def test_a_flow_that_finds_its_next_node_itself_is_not_judged_by_its_arrows() -> None:
    class Chooser(Flow):
        def get_next_node(self, curr: Any, action: Any) -> Any: ...

    plan = Plan()
    plan - "ok" >> Open()

    assert check_flow(Chooser(plan)) == []


def test_batch_flows_and_fan_out_starts_are_looked_at() -> None:
    plan = Plan()
    plan - "ok" >> Open()

    assert kinds(BatchFlow(plan)) == kinds(Flow(Fork([plan, Open()]))) == ["missing arrow"]


def declaring(annotation: Any) -> Node:
    class Declares(Node):
        def post(self, shared, prep_res, exec_res): ...

    Declares.post.__annotations__["return"] = annotation
    return Declares()


@pytest.mark.parametrize(("annotation", "actions"), [
    (Literal["ok", "retry"], ["ok", "retry"]), ("Literal['ok', 'retry']", ["ok", "retry"]), ("Way", ["ok", "retry"]),
    (Way, ["ok", "retry"]), (Optional[Literal["ok"]], ["ok", None]), ("Literal['ok'] | None", ["ok", None]),  # noqa: UP045
    (Literal["ok", None], ["ok", None]), (None, [None]), ("None", [None]), (Verdict, ["good", "bad"]),
    ("Verdict", ["good", "bad"]),
    (Literal[Verdict.GOOD], ["good"]), (Annotated[Literal["ok"], "why"], ["ok"]), (Literal["ok"] | Literal["no"], ["ok", "no"]),
    (Literal[""], [None]), (str, None), ("str | None", None), (Any, None), ("Nonsense", None), ("1/0", None), (Literal[1], None),
    (int, None), ("import os", None),
])
def test_annotations_of_post_say_which_actions_there_are(annotation: Any, actions: Any) -> None:
    assert declared_actions(declaring(annotation)) == actions


def test_names_of_an_enclosing_function_are_found_in_string_annotations() -> None:
    LocalWay = Literal["left"]

    class Local(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> LocalWay:
            return LocalWay.__args__[0]

    assert declared_actions(Local()) == ["left"]


def test_the_function_of_a_function_node_declares() -> None:
    @node
    async def plan(shared: dict) -> Literal["ok"]: ...

    assert declared_actions(plan) == ["ok"]


def test_a_post_patched_on_the_instance_declares() -> None:
    plan = Plan()
    plan.post = lambda *args: "ok"

    assert declared_actions(plan) is None


def test_what_says_nothing_declares_nothing() -> None:
    assert declared_actions(Open()) is None
    assert declared_actions(Flow()) is None


def test_ten_thousand_nodes_are_checked_without_recursion() -> None:
    nodes = [Open() for _ in range(10_000)]
    for here, there in pairwise(nodes):
        here.successors["default"] = there

    assert check_flow(Flow(nodes[0])) == []
