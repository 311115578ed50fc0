"""Several actions at once: what a list from `post` starts, with which params, where it is joined, and what is no action."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest

from pocketflex_nb import END, Flow, Node, current, node, runs
from pocketflex_nb.core.errors import CheckError, UnknownAction
from pocketflex_nb.core.state import replay
from pocketflex_nb.engine.runs.run import lifecycle_of
from tests.engine.conftest import Way


class Plan(Node):
    """Takes what `shared["plan"]` says."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return shared["plan"]


class AsyncPlan(Plan):
    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        await asyncio.sleep(0)


class Work(Node):
    """Notes its params."""

    def exec(self, prep_res: Any) -> Any:
        return dict(self.params)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["seen"].append((self.name, exec_res.get("n")))
        return shared.get(self.name)


class AsyncWork(Work):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return dict(self.params)


def work(name: str, kind: Any = Work) -> Any:
    made = kind()
    made.name = name
    return made


def mapped(kind: Any = Work, plan: Any = Plan) -> Any:
    first = plan()
    first - "each" >> work("w", kind) >> work("join", kind)
    return Flow(first)


@pytest.mark.parametrize("number", [0, 1, 2, 7])
@pytest.mark.parametrize("kind", [Work, AsyncWork])
@pytest.mark.parametrize("plan", [Plan, AsyncPlan])
def test_a_list_of_any_length_is_walked_with_its_own_params_and_joined_once(walk: Way, number: int, kind: Any, plan: Any) -> None:
    pairs = [("each", {"n": n}) for n in range(number)]

    _, store = walk(mapped(kind, plan), {"plan": pairs, "seen": []})

    assert sorted(store["seen"][:-1]) == [("w", n) for n in range(number)]
    assert store["seen"][-1] == ("join", None)


@pytest.mark.parametrize("entries", [["b", "c"], ("b", "c"), [("b", {}), "c"], [["b", {"n": None}], "c"]], ids=repr)
def test_several_arrows_are_taken_at_once_and_meet(walk: Way, entries: Any) -> None:
    first, join = Plan(), work("join")
    first - "b" >> work("b") >> join
    first - "c" >> work("c") >> join

    _, store = walk(Flow(first), {"plan": entries, "seen": []})

    assert sorted(store["seen"][:2]) == [("b", None), ("c", None)]
    assert store["seen"][2:] == [("join", None)]


def test_one_pair_alone_is_a_list_of_one(walk: Way) -> None:
    _, store = walk(mapped(), {"plan": ("each", {"n": 3}), "seen": []})

    assert store["seen"] == [("w", 3), ("join", None)]


def test_none_in_a_list_is_the_default_action(walk: Way) -> None:
    first = Plan()
    first >> work("w") >> work("join")

    _, store = walk(Flow(first), {"plan": [(None, {"n": 1}), ("default", {"n": 2})], "seen": []})

    assert sorted(store["seen"][:2]) == [("w", 1), ("w", 2)]
    assert store["seen"][2:] == [("join", None)]


def test_the_branches_are_at_work_together(walk: Way) -> None:
    meet = threading.Barrier(4)

    class Meets(Node):
        def exec(self, prep_res: Any) -> Any:
            meet.wait(20)

    class MeetsAsync(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.to_thread(meet.wait, 20)

    first = Plan()
    first - "each" >> (MeetsAsync() if "run_async" in repr(walk) else Meets())

    walk(Flow(first), {"plan": ["each"] * 4})


def test_no_more_branches_at_once_than_the_flow_says(walk: Way) -> None:
    now, most, lock = [0], [0], threading.Lock()

    class Counts(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            await asyncio.sleep(0.001)
            with lock:
                now[0] -= 1

    first = Plan()
    first - "each" >> Counts()

    walk(Flow(first, max_concurrency=3), {"plan": ["each"] * 12})

    assert most[0] == 3


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_list_that_maps_to_a_flow_and_loops_back_to_its_own_node_is_joined_there(walk: Way, number: int) -> None:
    class Decide(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["rounds"] += 1
            return "answer" if shared["rounds"] > 2 else [("tool", {"n": n}) for n in range(number)]

    decide = Decide()
    decide - "tool" >> Flow(work("w"), name="tools") >> decide
    decide - "answer" >> work("answer")

    _, store = walk(Flow(decide, max_steps=50), {"rounds": 0, "seen": []})

    expected = [("w", n) for n in range(number)] * 2
    if number:
        assert sorted(store["seen"][:-1]) == sorted(expected)
        assert store["seen"][-1] == ("answer", None)
    else:
        assert store["seen"] == []


def test_an_endless_loop_around_a_list_is_joined_before_it_begins_anew(walk: Way) -> None:
    class Rounds(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["rounds"] += 1
            if shared["rounds"] > 2:
                raise StopWalking
            return [("default", {"n": n}) for n in range(3)]

    class StopWalking(Exception):
        pass

    first, join = Rounds(), work("join")
    first >> work("w") >> join >> first
    store: dict[str, Any] = {"rounds": 0, "seen": []}

    with pytest.raises(StopWalking):
        walk(Flow(first), store)

    seen = store["seen"]
    assert [name for name, _ in seen] == ["w", "w", "w", "join"] * 2


@pytest.mark.parametrize(
    ("arrows", "after"),
    [
        ({"each": ["w", "join"]}, ["join"]),
        ({"default": ["w", "join"]}, ["join"]),
        ({"each": ["w", "join"], "stop": ["END"]}, ["join"]),
        ({"each": ["w", "join"], "default": ["join"]}, ["join"]),
        ({"each": ["w", "join"], "default": ["nothing"]}, ["nothing"]),
        ({"each": ["w"], "other": ["x"]}, []),
        ({"each": ["w"]}, []),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_empty_list_goes_on_where_the_branches_would_have_met(walk: Way, arrows: Any, after: list[str]) -> None:
    nodes: dict[str, Any] = {name: work(name) for name in ("w", "x", "join", "nothing")} | {"END": END}
    first = Plan()
    for action, chain in arrows.items():
        here, name = first, action
        for there in chain:
            if name not in here.successors:
                here.next(nodes[there], name)
            here, name = nodes[there], "default"

    _, store = walk(Flow(first), {"plan": [], "seen": []})

    assert [name for name, _ in store["seen"]] == after


def test_an_empty_list_goes_by_what_post_declares_to_list(walk: Way) -> None:
    class Declares(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> list[tuple[Literal["each"], dict[str, int]]] | Literal["default"]:
            return []

    first = Declares()
    first - "each" >> work("w") >> work("join")
    first >> work("nothing")

    _, store = walk(Flow(first), {"seen": []})

    assert store["seen"] == [("join", None)]


def test_a_list_from_a_function_node(walk: Way) -> None:
    @node
    def plan(shared: Any) -> Any:
        return [("each", {"n": n}) for n in (1, 2)]

    @node
    def each(shared: Any) -> None:
        shared["seen"].append(current().params["n"])

    plan - "each" >> each

    _, store = walk(Flow(plan), {"seen": []})

    assert sorted(store["seen"]) == [1, 2]


def test_a_nested_flow_passes_its_list_on(walk: Way) -> None:
    inner = Flow(Plan(), name="inner")
    inner - "each" >> work("w") >> work("join")

    _, store = walk(Flow(inner), {"plan": [("each", {"n": 1}), ("each", {"n": 2})], "seen": []})

    assert sorted(store["seen"][:2]) == [("w", 1), ("w", 2)]
    assert store["seen"][2:] == [("join", None)]


def test_lists_within_lists_are_joined_within(walk: Way) -> None:
    class Inner(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return [("leaf", {"n": (self.params["n"], k)}) for k in range(2)]

    first, inner, join = Plan(), Inner(), work("join")
    first - "each" >> inner
    inner - "leaf" >> work("leaf") >> work("inner join")
    inner.successors["leaf"].successors["default"] >> join

    _, store = walk(Flow(first), {"plan": [("each", {"n": 1}), ("each", {"n": 2})], "seen": []})

    assert sorted(n for name, n in store["seen"] if name == "leaf") == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [name for name, _ in store["seen"]][4:] == ["inner join", "join"]  # as with drawn forks that meet at one node


def test_a_branch_that_waits_at_a_node_goes_on_when_another_one_maps_over_it(walk: Way) -> None:
    class Inner(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            for _ in range(20 * self.params["n"]):
                await asyncio.sleep(0)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return ["leaf", [], [("leaf", {"n": 5}), ("leaf", {"n": 6})]][self.params["n"]]

    first, inner = Plan(), Inner()
    first - "each" >> inner
    inner - "leaf" >> work("leaf") >> work("join")

    _, store = walk(Flow(first), {"plan": [("each", {"n": n}) for n in range(3)], "seen": []})

    assert sorted(store["seen"][:-1]) == [("leaf", 0), ("leaf", 5), ("leaf", 6)]
    assert store["seen"][-1] == ("join", None)


def test_the_params_of_the_walk_stay_below_those_of_a_branch(walk: Way) -> None:
    seen = []

    class Looks(Node):
        def exec(self, prep_res: Any) -> None:
            seen.append(dict(self.params))

    first = Plan()
    first - "each" >> Looks()
    flow = Flow(first)
    flow.set_params({"a": 1, "n": 0})

    walk(flow, {"plan": ["each", ("each", {"n": 2})]})

    assert sorted(seen, key=lambda params: params["n"]) == [{"a": 1, "n": 0}, {"a": 1, "n": 2}]


def test_a_list_to_the_end_ends_the_flow_with_that_action(walk: Way) -> None:
    first = Plan()
    first - "stop" >> END

    action, _ = walk(Flow(first), {"plan": ["stop"]})

    assert action == "stop"


def test_each_branch_has_an_address_and_each_arrow_is_counted(walk: Way) -> None:
    walk(mapped(), {"plan": [("each", {"n": n}) for n in range(3)], "seen": []})
    run = runs()[-1]

    addresses = [e.address for e in run.events if e.node == "w" and e.kind == "node_finished"]
    assert sorted(addresses) == [f"Flow/Plan#1{{w}}[{n}]/w#1" for n in range(3)]
    assert run.state().edges[("Plan", "each")] == replay(run.events).edges[("Plan", "each")] == 3
    (plan,) = (e for e in run.events if e.node == "Plan")
    assert (plan["action"], plan["branches"]) == ("each ×3", {"each": 3})


def test_a_loop_of_lists_is_counted_when_its_records_are_dropped() -> None:
    class Loops(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["n"] += 1
            return ["each", "each"] if shared["n"] < 5_000 else "stop"

    first = Loops()
    first - "each" >> Node() >> first
    first - "stop" >> END
    run = Flow(first).launch({"n": 0}, show=False).wait(60)

    assert (run.status, run.hops) == ("done", 14_998)
    assert run.state().edges[("Loops", "each")] == 9_998
    assert len(lifecycle_of(run).joins) == 1


def test_a_flow_that_chooses_itself_is_asked_for_each(walk: Way) -> None:
    asked = []

    class Chooses(Flow):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            asked.append(action)
            return super().get_next_node(curr, action)

    first = Plan()
    first - "b" >> work("b")
    first - "c" >> work("c")

    _, store = walk(Chooses(first), {"plan": ["b", "c"], "seen": []})

    assert sorted(store["seen"]) == [("b", None), ("c", None)]
    assert asked[:2] == ["b", "c"]


@pytest.mark.parametrize("plan", [["each", "wrong"], [("each", {}), ("eahc", {})]], ids=repr)
def test_an_unknown_action_in_a_list_is_an_error_and_nothing_is_begun(walk: Way, plan: Any) -> None:
    store: dict[str, Any] = {"plan": plan, "seen": []}

    with pytest.raises(UnknownAction, match=r"node 'Plan'.*entry 1 is"):
        walk(mapped(), store)

    assert store["seen"] == []


@pytest.mark.parametrize("entry", [{"n": 1}, ("each", 3), ("each", {}, 1), 7, (1, {})], ids=repr)
def test_an_odd_entry_of_a_list_is_an_error_with_its_index(walk: Way, entry: Any) -> None:
    with pytest.raises(TypeError, match=r"node 'Plan'.*entry 1"):
        walk(mapped(), {"plan": ["each", entry], "seen": []})


@pytest.mark.parametrize("odd", [{"a": 1}, {"a"}, True, False, 0, 1, 1.5, Node(), b"each", ("x", "y"), ["x"], object()], ids=repr)
def test_what_is_no_action_is_an_error_of_a_launched_run_with_the_nodes_name(odd: Any) -> None:
    run = mapped().launch({"plan": odd, "seen": []}, show=False).wait(20)

    assert run.status == "failed"
    assert "'Plan'" in str(run.error)
    assert "action" in str(run.error)
    assert run.state().nodes["Plan"].status == "failed"


def test_what_is_no_action_goes_to_an_error_edge() -> None:
    flow = mapped()
    flow.start_node.on_error(work("mended"))

    run = flow.launch({"plan": {"a": 1}, "seen": []}, show=False).wait(20)

    assert run.store["seen"] == [("mended", None)]


@pytest.mark.parametrize("strict", [False, True])
def test_a_plain_run_does_with_odd_actions_what_pocketflow_does_unless_it_is_strict(strict: bool) -> None:
    def way(odd: Any) -> Any:
        return Flow(mapped().start_node, strict=strict).run({"plan": odd, "seen": []})

    if strict:
        for odd in (True, 0, {"a": 1}):
            with pytest.raises(TypeError, match="'Plan'"):
                way(odd)
        return
    with pytest.raises(TypeError, match="unhashable") as caught:
        way({"a": 1})
    assert "'Plan'" in caught.value.__notes__[0]
    with pytest.warns(UserWarning, match="Flow ends: 'True' not found"):
        way(True)


@pytest.mark.parametrize("odd", [True, 0, ("x",), 1.5, "x", [], {}], ids=repr)
def test_a_node_without_arrows_ends_the_flow_with_what_it_returns(walk: Way, odd: Any) -> None:
    action, _ = walk(Flow(Plan()), {"plan": odd})

    assert action == odd


@pytest.mark.parametrize("odd", [{"a": 1}, ["x"], {"x"}], ids=repr)
def test_a_node_without_arrows_that_returns_anything_else_is_named(walk: Way, odd: Any) -> None:
    with pytest.raises(TypeError) as caught:
        walk(Flow(Plan()), {"plan": odd})

    assert "'Plan'" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_checks_read_the_actions_that_post_declares_in_lists() -> None:
    class Declares(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> list[tuple[Literal["each"], dict[str, int]]] | list[Literal["all"]]:
            return []

    first = Declares()
    first - "each" >> Node()
    with pytest.raises(CheckError, match="'all'"):
        Flow(first).check()
    first - "all" >> Node()

    assert Flow(first).check() == []


@pytest.mark.parametrize("heads", ["ww", "wyw", "www", "yww"])
@pytest.mark.parametrize("what", ["node", "flow"])
def test_a_head_that_is_named_twice_is_walked_twice(walk: Way, heads: str, what: str) -> None:
    w = work("w") if what == "node" else Flow(work("w"), name="sub")
    first = Plan()
    first >> [w if head == "w" else work("y") for head in heads] >> work("join")

    _, store = walk(Flow(first, max_steps=30), {"plan": None, "seen": []})

    names = [name for name, _ in store["seen"]]
    assert (names.count("w"), names.count("y"), names[-1]) == (heads.count("w"), heads.count("y"), "join")
    assert names.count("join") == 1
