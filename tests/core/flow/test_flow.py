"""Flows: walking, nesting, params, and the helpers that wire and change them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from pocketflex_nb import END, BatchFlow, BatchNode, Flow, Node, linear, node
from pocketflex_nb.core.errors import StepLimit, UnknownAction
from pocketflex_nb.core.flow.flow_graph import graph_of, ids_of, nodes_by_path


class Says(Node):
    def __init__(self, name: str, action: Any = None) -> None:
        super().__init__()
        self.name, self.action = name, action

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared.setdefault("seen", []).append((self.name, dict(self.params)))
        return self.action


def seen(flow: Flow) -> list[Any]:
    store: dict[str, Any] = {}
    flow.run(store)
    return [name for name, _ in store["seen"]]


def test_a_flow_gives_the_last_action() -> None:
    a, b = Says("a"), Says("b", "over")
    a >> b

    assert Flow(a).run({}) == "over"


@pytest.mark.parametrize("action", [None, "", "default"])
def test_none_and_the_empty_text_are_the_default_action(action: Any) -> None:
    a = Says("a", action)
    a >> Says("b")

    assert seen(Flow(a)) == ["a", "b"]


def test_a_named_action_does_not_fall_back_to_default() -> None:
    a = Says("a", "nowhere")
    a >> Says("b")

    with pytest.warns(UserWarning, match=r"^Flow ends: 'nowhere' not found in \['default'\]$"):
        assert seen(Flow(a)) == ["a"]


def test_the_warning_shows_none_for_none() -> None:
    a = Says("a")
    a - "go" >> Says("b")

    with pytest.warns(UserWarning, match=r"^Flow ends: 'None' not found in \['go'\]$"):
        Flow(a).run({})


def test_an_end_that_was_drawn_ends_silently() -> None:
    a = Says("a", "stop")
    a - "stop" >> END

    assert Flow(a).run({}) == "stop"


def test_a_strict_flow_raises_with_the_nearest_name() -> None:
    a = Says("a", "aprove")
    a - "approve" >> Says("b")

    with pytest.raises(UnknownAction, match="did you mean 'approve'") as caught:
        Flow(a, strict=True).run({})

    assert (caught.value.node, caught.value.action, list(caught.value.known)) == ("a", "aprove", ["approve"])


def test_a_flow_without_a_start_does_nothing() -> None:
    assert Flow().run({}) is None


def test_start_sets_and_gives_the_first_node() -> None:
    flow, a = Flow(), Says("a")

    assert flow.start(a) is a
    assert seen(flow) == ["a"]


def test_a_nested_flow_routes_on_its_last_action() -> None:
    inner = Flow(Says("in", "left"), name="inner")
    inner - "left" >> Says("left")
    inner - "right" >> Says("right")

    assert seen(Flow(inner)) == ["in", "left"]


def test_a_nested_flows_post_may_choose_the_way() -> None:
    class Chooses(Flow):
        def prep(self, shared: Any) -> Any:
            return "prepared"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return f"{prep_res}-{exec_res}"

    inner = Chooses(Says("in", "x"))
    inner - "prepared-x" >> Says("after")

    assert seen(Flow(inner)) == ["in", "after"]


def test_a_node_may_stand_in_several_flows() -> None:
    shared_node = Says("both")
    one, two = Says("one"), Says("two")
    one >> shared_node
    two >> shared_node

    assert seen(Flow(one)) == ["one", "both"]
    assert seen(Flow(two)) == ["two", "both"]


def test_wiring_after_the_flow_was_made_counts() -> None:
    a = Says("a")
    flow = Flow(a)
    a >> Says("b")

    assert seen(flow) == ["a", "b"]


def test_wiring_while_the_flow_runs_counts() -> None:
    late = Says("late")

    class Wires(Says):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            super().post(shared, prep_res, exec_res)
            first.successors["default"] = late

    first = Wires("first")

    assert seen(Flow(first)) == ["first", "late"]


def test_params_of_the_outermost_flow_reach_everything_and_replace_the_rest() -> None:
    a, b = Says("a"), Says("b")
    a.set_params({"own": 1})
    inner = Flow(b)
    inner.set_params({"inner": 1})
    a >> inner
    flow = Flow(a)
    flow.set_params({"outer": 1})
    store: dict[str, Any] = {}

    flow.run(store)

    assert store["seen"] == [("a", {"outer": 1}), ("b", {"outer": 1})]


def test_a_batch_flow_merges_its_own_params_with_each_items() -> None:
    class Many(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"n": 1}, {"n": 2, "lang": "fr"}]

    flow = Many(Says("a"))
    flow.set_params({"lang": "de"})
    store: dict[str, Any] = {}

    assert flow.run(store) is None
    assert store["seen"] == [("a", {"lang": "de", "n": 1}), ("a", {"lang": "fr", "n": 2})]


def test_shared_is_passed_by_identity_whatever_it_is() -> None:
    class Anything:
        pass

    thing, got = Anything(), []

    class Takes(Node):
        def prep(self, shared: Any) -> Any:
            got.append(shared)

    Flow(Takes()).run(thing)

    assert got == [thing]


def test_twenty_thousand_visits_need_no_deeper_stack() -> None:
    count = [0]

    class Loops(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            count[0] += 1
            return "again" if count[0] < 20_000 else "done"

    loops = Loops()
    loops - "again" >> loops
    loops - "done" >> END

    assert Flow(loops).run({}) == "done"


def test_get_next_node_may_be_overridden() -> None:
    skipped = Says("skipped")

    class Skips(Flow):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            following = super().get_next_node(curr, action)
            return following.successors.get("default") if following is skipped else following

    a = Says("a")
    a >> skipped >> Says("b")

    assert seen(Skips(a)) == ["a", "b"]


@pytest.mark.parametrize("hook", ["_run", "_orch"])
def test_a_patched_private_hook_of_an_instance_is_called(hook: str) -> None:
    calls: list[str] = []
    inner = Flow(Says("in"))
    original = getattr(inner, hook)

    def traced(*args: Any, **kwargs: Any) -> Any:
        calls.append(hook)
        return original(*args, **kwargs)

    setattr(inner, hook, traced)

    assert seen(Flow(inner)) == ["in"]
    assert calls == [hook]


# wiring helpers --------------------------------------------------------------------------------------------------------------
def test_linear_wires_a_chain_and_names_it() -> None:
    flow = linear(Says("a"), Says("b"), Says("c"), name="chain")

    assert flow.name == "chain"
    assert seen(flow) == ["a", "b", "c"]


def test_linear_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        linear()


def test_with_nodes_swaps_in_a_copy_and_leaves_the_flow_alone() -> None:
    a, b, c = Says("a"), Says("b"), Says("c")
    a >> b >> c
    flow = Flow(a)

    twin = flow.with_nodes(b=Says("other"))

    assert seen(twin) == ["a", "other", "c"]
    assert seen(flow) == ["a", "b", "c"]


def test_with_nodes_swaps_branches_starts_and_handlers() -> None:
    a, b, c, join, mends = Says("a"), Says("b"), Says("c"), Says("join"), Says("mends")
    a >> [b, c] >> join
    join.on_error(mends)
    flow = Flow(a)

    assert sorted(seen(flow.with_nodes(c=Says("C"), a=Says("A")))) == ["A", "C", "b", "join"]

    class Breaks(Node):
        def exec(self, prep_res: Any) -> Any:
            raise ValueError

    assert sorted(seen(flow.with_nodes(join=Breaks(), mends=Says("MENDS")))) == ["MENDS", "a", "b", "c"]


def test_with_nodes_shares_what_the_nodes_hold() -> None:
    class Holds(Says):
        def __init__(self, word: str) -> None:
            super().__init__(word)
            self.lock = threading.Lock()  # as a client's: no deep copy can be made of it

    first, last = Holds("first"), Says("last")
    first - "again" >> first
    first >> last

    twin = Flow(first).with_nodes(last=Says("other"))

    assert seen(twin) == ["first", "other"]
    assert twin.start_node is not first
    assert twin.start_node.lock is first.lock
    assert twin.start_node.successors["again"] is twin.start_node


def test_with_nodes_names_the_nearest_for_an_unknown_id() -> None:
    with pytest.raises(ValueError, match="did you mean 'search'"):
        Flow(node(lambda shared: None)).with_nodes() and linear(Says("search"), Says("write")).with_nodes(serch=Node())


@pytest.mark.parametrize("wrong", [{"max_steps": 0}, {"timeout": 0}, {"budget": {"x": 1}}, {"max_concurrency": 0}], ids=str)
def test_a_wrong_limit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Flow(**wrong)


# names, copies, and arrows that Python reads in another order ----------------------------------------------------------------------
def test_nodes_and_functions_may_be_given_a_name() -> None:
    @node(name="greeter", max_retries=2)
    def greet(shared: Any) -> None: ...

    class Batch(BatchNode):
        name = "of the class"

    assert [Node(name="plan").name, greet.name, node(len, name="count").name, BatchNode(name="many").name] == [
        "plan", "greeter", "count", "many"
    ]
    assert Batch().name == "of the class"
    assert list(ids_of(linear(Node(name="plan"), Node(name="plan"))).values()) == ["plan", "plan_2"]


@pytest.mark.parametrize(("name", "error"), [(3, TypeError), (" ", ValueError), ("", ValueError), (["a"], TypeError)])
def test_a_name_that_says_nothing_is_refused(name: Any, error: Any) -> None:
    with pytest.raises(error, match="name="):
        Node(name=name)


def test_arrows_may_be_chained_with_their_actions() -> None:
    a, b = Says("a", "go"), Says("b", "back")

    assert (a - "go" >> b - "back" >> a) is a

    assert a.successors == {"go": b}
    assert b.successors == {"back": a}
    with pytest.raises(StepLimit):
        Flow(a, max_steps=4).run({})


def test_an_action_in_a_chain_belongs_to_the_node_before_it() -> None:
    a, b, c, d = Says("a"), Says("b", "ok"), Says("c"), Says("d")

    a >> b - "ok" >> [c, d]

    assert seen(Flow(a))[:2] == ["a", "b"]
    assert sorted(seen(Flow(a))[2:]) == ["c", "d"]


def test_an_action_behind_a_fan_out_is_drawn_from_where_it_joins() -> None:
    a, b, c, d, e = (Says(name) for name in "abcde")
    d.action = "ok"

    a >> [b, c] >> d - "ok" >> e

    assert seen(Flow(a))[-2:] == ["d", "e"]


@pytest.mark.parametrize(
    "write",
    [
        lambda a, b: a >> [b - "x"],
        lambda a, b: a.on("go", b - "x"),
        lambda a, b: a.branch({"go": b - "x"}),
        lambda a, b: a.on_error(b - "x"),
        lambda a, b: linear(a, b - "x"),
        lambda a, b: linear(a - "x", b),
    ],
)
def test_half_an_arrow_is_refused_where_a_node_is_needed(write: Any) -> None:
    with pytest.raises(TypeError, match=r"[ab] - 'x' is an arrow without a target: .* >> target"):
        write(Says("a"), Says("b"))


def test_a_second_action_on_half_an_arrow_is_refused_with_the_mend() -> None:
    a = Says("a")

    with pytest.raises(TypeError, match="takes no second action"):
        a - "x" - "y"


def test_a_copy_of_a_flow_has_nodes_and_arrows_of_its_own() -> None:
    class Holds(Says):
        def __init__(self, word: str) -> None:
            super().__init__(word)
            self.lock = threading.Lock()

    a, b = Holds("a"), Says("b")
    a >> [b, Says("c")] >> Says("d")
    a.on_error(b)
    inner = Flow(a, name="inner")
    outer = linear(inner, Says("e"), name="outer")

    twin = outer.copy(name="twin")

    assert (twin.name, outer.name) == ("twin", "outer")
    mine, theirs = nodes_by_path(outer), nodes_by_path(twin)
    assert mine.keys() == theirs.keys()
    assert not {id(n) for n in mine.values()} & {id(n) for n in theirs.values()}
    assert theirs["inner/a"].lock is a.lock
    assert theirs["inner/a"]._pfx_on_error is theirs["inner/b"]
    assert replace(graph_of(twin), name="outer") == graph_of(outer)


def test_a_copy_has_not_the_arrows_that_leave_the_flow() -> None:
    inner = Flow(Says("a"), name="inner")
    inner >> Says("b")
    inner.on_error(Says("c"))

    assert inner.copy().successors == {}
    assert not hasattr(inner.copy(), "_pfx_on_error")
    s = Says("s")
    s >> inner.copy() >> Says("m") >> inner.copy("again")
    assert seen(Flow(s)) == ["s", "a", "m", "a"]


def test_a_flow_nested_in_itself_is_nested_in_its_copy() -> None:
    a = Says("a")
    flow = Flow(a, name="again")
    a - "more" >> flow

    twin = flow.copy()

    assert twin.start_node.successors["more"] is twin
    assert twin.start_node is not a


def test_a_copy_keeps_its_class_and_its_settings() -> None:
    class Team(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"n": 1}]

    team = Team(Says("a"), name="team", max_steps=5)

    assert type(team.copy()) is Team
    assert (team.copy()._pfx_max_steps, team.copy().name) == (5, "team")
