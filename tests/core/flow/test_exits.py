"""The last action of a nested flow, and the arrows that the flow around it has for it."""

from __future__ import annotations

import asyncio
import re
import warnings
from typing import Any, Literal

import pytest

from pocketflex_nb import END, BatchFlow, Flow, Node, linear
from pocketflex_nb.core.errors import CheckError, UnknownAction
from pocketflex_nb.core.flow.checks import problems_of
from pocketflex_nb.core.flow.flow_exits import exits_of


class Decides(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["ok", "bad"]:
        return "ok"


class Says(Node):
    def __init__(self, name: str, action: Any = None) -> None:
        super().__init__(name=name)
        self.action = action

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared.setdefault("seen", []).append(self.name)
        return self.action


def inner_of(last: Any) -> Flow:
    return linear(Says("first"), last, name="inner")


def test_an_exit_without_an_arrow_is_found_before_the_run_with_both_names() -> None:
    inner = inner_of(Decides(name="last"))
    inner - "ok" >> Node()

    told = r"node 'inner': this nested flow ends with the action 'bad' at its node 'last'.*inner - 'bad' >> END"
    with pytest.raises(CheckError, match=told):
        Flow(inner, name="outer").check()


def test_an_exit_that_is_drawn_in_both_flows_is_right() -> None:
    inner = inner_of(Decides(name="last"))
    inner - "ok" >> Node()
    inner - "bad" >> END

    assert Flow(inner).check() == []


def test_an_action_drawn_to_the_end_of_the_inner_flow_is_an_exit() -> None:
    last = Says("last", "stop")
    last - "stop" >> END
    inner = inner_of(last)
    inner >> Node()

    assert [(p.kind, p.action, p.node) for p in problems_of(Flow(inner))] == [("missing arrow", "stop", "inner")]


def test_an_arrow_that_no_exit_takes_is_found_where_all_are_known() -> None:
    inner = Flow(Decides(name="only"), name="inner")
    inner.branch({"ok": Node(), "bad": END, "okay": Node()})

    found = problems_of(Flow(inner))

    assert ("dead arrow", "okay") in [(p.kind, p.action) for p in found]
    assert "did you mean 'ok'" in next(p.message for p in found if p.kind == "dead arrow")


def test_a_flow_without_arrows_of_its_own_ends_the_outer_one_with_any_action() -> None:
    assert Flow(inner_of(Decides())).check() == []


def test_exits_are_handed_on_through_nested_flows() -> None:
    middle = Flow(Flow(Decides(name="last"), name="core"), name="middle")
    middle >> Node()

    assert {p.action for p in problems_of(Flow(middle)) if p.kind == "missing arrow"} == {"ok", "bad"}


def test_what_is_not_known_is_not_judged() -> None:
    class Chooses(Flow):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return "mine"

    class Finds(Flow):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            return None

    plan = Node()
    plan >> [Node(), Node()] >> Node()
    for inner in (Chooses(Decides()), Finds(Decides()), BatchFlow(Decides()), Flow(Says("last", "any")), Flow(plan)):
        inner - "mine" >> Node()

        assert problems_of(Flow(inner)) == []


def test_a_flow_that_declares_its_own_actions_is_taken_at_its_word() -> None:
    class Chooses(Flow):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["mine"]:
            return "mine"

    inner = Chooses(Decides())
    inner >> Node()

    assert {(p.kind, p.action) for p in problems_of(Flow(inner))} >= {("missing arrow", "mine"), ("dead arrow", "default")}


def test_of_a_fan_out_that_joins_nowhere_the_last_branch_gives_the_exit() -> None:
    plan = Node()
    plan >> [Says("a"), Decides(name="last")]

    assert exits_of(Flow(plan)).known == {"ok": "last", "bad": "last"}


def test_a_flow_nested_in_itself_has_exits_too() -> None:
    last = Decides(name="last")
    flow = Flow(last, name="again")
    last - "bad" >> flow

    assert "ok" not in exits_of(flow).known  # the inner check tells of the missing arrow
    assert exits_of(flow).is_all is False


def by_run(flow: Flow) -> None:
    flow.run({})


def by_run_async(flow: Flow) -> None:
    asyncio.run(flow.run_async({}))


def by_launch(flow: Flow) -> None:
    run = flow.launch({}, show=False).wait(10)
    if run.error is not None:
        raise run.error


@pytest.mark.parametrize("way", [by_run, by_run_async, by_launch])
@pytest.mark.parametrize("depth", [1, 2])
def test_when_it_happens_flow_node_and_action_are_named(way: Any, depth: int) -> None:
    inner = inner_of(Says("last", "ok"))
    for _ in range(depth - 1):
        inner = Flow(inner, name="middle")
    inner >> Says("next")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way(Flow(inner, name="outer"))
    told = [(w.category, str(w.message)) for w in caught]

    assert told[0] == (UserWarning, "Flow ends: 'ok' not found in ['default']")  # PocketFlow's, word for word
    assert [category for category, _ in told[1:]] == [RuntimeWarning]
    assert re.match(r"Flow ends: (inner|middle): no arrow for action 'ok', which its node '(inner/last|middle/inner)' ended", told[1][1])
    with pytest.raises(UnknownAction, match=r"returned 'ok', which its node '.*' ended it with"):
        way(Flow(inner, name="outer", strict=True))


def test_what_the_flows_own_post_returned_is_not_laid_to_its_last_node() -> None:
    class Chooses(Flow):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return "mine"

    inner = Chooses(Says("last"), name="inner")
    inner >> Says("next")

    with pytest.warns(UserWarning, match=r"^Flow ends: 'mine' not found in \['default'\]$"):
        Flow(inner).run({})


def test_a_nested_flow_that_ends_as_drawn_says_nothing() -> None:
    inner = inner_of(Says("last", "ok"))
    inner - "ok" >> Says("next")
    store: dict[str, Any] = {}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Flow(inner).run(store)

    assert store["seen"] == ["first", "last", "next"]
