"""Flows: walking, nesting, params, and the helpers that wire and change them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pocketflex_nb import END, BatchFlow, Flow, Node, linear, node
from pocketflex_nb.core.errors import UnknownAction


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
