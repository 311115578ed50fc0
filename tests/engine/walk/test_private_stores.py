"""Flows on stores of their own: what they take and give, by which rules, per item of a batch, and how they are drawn and read."""

from __future__ import annotations

import asyncio
import operator
import pickle
import threading
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, Flow, Node, Store, current, linear, node, runs
from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.flow.flow_graph import graph_of
from pocketflex_nb.core.mermaid.builder import build
from pocketflex_nb.core.mermaid.parser import parse
from pocketflex_nb.core.state import replay
from pocketflex_nb.pocketflow import AsyncBatchFlow, AsyncFlow, AsyncParallelBatchFlow
from tests.engine.conftest import Way


class Look(Node):
    """Writes about its topic, and a note for itself."""

    def prep(self, shared: Any) -> Any:
        return shared["topic"]

    def exec(self, prep_res: Any) -> Any:
        if prep_res == "bad":
            raise ValueError("bad topic")
        return prep_res.upper()

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["scratch"] = True
        shared["found"] = [exec_res]


class AsyncLook(Look):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return Look.exec(self, prep_res)


class Many(BatchFlow):
    def prep(self, shared: Any) -> Any:
        return [{"topic": topic} for topic in shared["topics"]]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        if exec_res is not None:
            shared["failed"] = [(lost.index, lost.item["topic"], str(lost.cause)) for lost in exec_res.failures]


LOOKS = pytest.mark.parametrize("look", [Look, AsyncLook])


@LOOKS
@pytest.mark.parametrize("kind", ["nested", "outermost", "async flow"])
def test_a_flow_takes_and_gives_what_it_declares_and_nothing_else(walk: Way, look: Any, kind: str) -> None:
    if kind == "async flow":
        flow: Any = AsyncFlow(AsyncFlow(look(), inputs={"question": "topic"}, outputs={"found": "answer"}))
        if "run_async" not in repr(walk) and "launch" not in repr(walk):
            pytest.skip("an AsyncFlow is run by run_async")
    else:
        flow = Flow(look(), inputs={"question": "topic"}, outputs={"found": "answer"})
        flow = linear(flow) if kind == "nested" else flow

    _, store = walk(flow, {"question": "sun", "topic": "untouched"})

    assert dict(store) == {"question": "sun", "topic": "untouched", "answer": ["SUN"]}


@pytest.mark.parametrize(("inputs", "outputs"), [("topic", "found"), (["topic"], ("found",)), ({"topic"}, {"found": "found"})], ids=repr)
def test_names_may_be_one_text_any_iterable_or_a_mapping(walk: Way, inputs: Any, outputs: Any) -> None:
    _, store = walk(linear(Flow(Look(), inputs=inputs, outputs=outputs)), {"topic": "sun"})

    assert dict(store) == {"topic": "sun", "found": ["SUN"]}


def test_what_is_taken_is_a_copy_and_objects_of_other_classes_are_shared(walk: Way) -> None:
    client = threading.Lock()

    @node
    def changes(shared: Any) -> None:
        shared["notes"]["deep"].append("private")
        shared["same"] = shared["client"] is client

    outer = {"notes": {"deep": [1]}, "client": client}
    _, store = walk(linear(Flow(changes, inputs=["notes", "client"], outputs=["same"])), outer)

    assert store["notes"] == {"deep": [1]}
    assert store["same"]


def test_the_flows_own_prep_and_post_see_the_store_around(walk: Way) -> None:
    class Own(Flow):
        def prep(self, shared: Any) -> Any:
            return shared["topic"]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["post"] = (prep_res, list(shared["found"]))
            return "on"

    own = Own(Look(), inputs=["topic"], outputs=["found"])
    own - "on" >> Node()

    _, store = walk(Flow(own), {"topic": "sun"})

    assert store["post"] == ("sun", ["SUN"])


@pytest.mark.parametrize("rule", [operator.add, lambda base, theirs, mine: theirs + mine], ids=["theirs, mine", "base, theirs, mine"])
def test_a_rule_merges_what_is_given_with_what_stands_there(walk: Way, rule: Any) -> None:
    flow = linear(Flow(Look(), inputs=["topic"], outputs=["found"], merge={"found": rule}))

    _, store = walk(flow, {"topic": "sun", "found": ["first"]})
    assert store["found"] == ["first", "SUN"]

    _, store = walk(flow, {"topic": "sun"})
    assert store["found"] == ["SUN"]


@pytest.mark.filterwarnings("error")
def test_parallel_flows_with_a_rule_lose_nothing_and_warn_of_nothing(walk: Way) -> None:
    def look(topic: str) -> Any:
        return Flow(AsyncLook(), name=topic, inputs={topic: "topic"}, outputs=["found"], merge={"found": operator.add})

    plan = Node()
    plan >> [look("a"), look("b"), look("c")] >> Node()

    _, store = walk(Flow(plan), Store({"a": "x", "b": "y", "c": "z", "found": []}))

    assert sorted(store["found"]) == ["X", "Y", "Z"]


@pytest.mark.filterwarnings("error")
def test_a_rule_holds_for_branches_inside_too(walk: Way) -> None:
    meet = asyncio.Barrier(2)

    class Adds(Node):
        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            await meet.wait()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"] = [self.what]

    plan = Node()
    plan >> [Adds("a"), Adds("b")] >> Node()

    _, store = walk(linear(Flow(plan, outputs=["notes"], merge={"notes": operator.add})), {"notes": ["first"]})

    assert store["notes"][0] == "first"
    assert sorted(store["notes"][1:]) == ["a", "b"]


def test_a_lost_update_of_what_is_given_is_told(walk: Way) -> None:
    began, written = threading.Event(), threading.Event()

    class Slow(AsyncLook):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            began.set()
            await asyncio.to_thread(written.wait, 20)
            return "slow"

    @node
    async def quick(shared: Any) -> None:
        await asyncio.to_thread(began.wait, 20)
        shared["found"] = ["quick"]
        written.set()

    plan = Node()
    plan >> [quick, Flow(Slow(), name="slow", inputs=["topic"], outputs=["found"])] >> Node()

    walk(Flow(plan), Store({"topic": "sun", "found": []}, on_conflict="ignore"))

    assert [e["key"] for e in runs()[-1].events if e.kind == "conflict"] == ["found"]


@pytest.mark.filterwarnings("error")
def test_what_another_branch_wrote_before_the_flow_began_is_no_conflict(walk: Way) -> None:
    @node
    def early(shared: Any) -> None:
        shared["found"] = ["early"]

    plan = Node()
    late = Flow(Look(), name="late", inputs=["topic"], outputs=["found"])
    plan >> [early, Node()] >> late

    walk(Flow(plan), Store({"topic": "sun", "found": []}))

    assert not [e for e in runs()[-1].events if e.kind == "conflict"]


@LOOKS
@pytest.mark.parametrize("at_once", [1, 2, None])
def test_each_item_has_a_store_of_its_own_and_what_they_give_is_gathered_in_order(walk: Way, look: Any, at_once: int | None) -> None:
    flow = linear(Many(look(), inputs=["topic", "style"], outputs={"found": "all"}, max_concurrency=at_once))

    _, store = walk(flow, {"topics": ["a", "b", "c"], "style": "s"})

    assert store["all"] == [["A"], ["B"], ["C"]]
    assert "scratch" not in store


@pytest.mark.parametrize("at_once", [1, None])
def test_a_rule_folds_the_items_in_their_order(walk: Way, at_once: int | None) -> None:
    flow = linear(Many(AsyncLook(), inputs=["topic"], outputs=["found"], merge={"found": operator.add}, max_concurrency=at_once))

    _, store = walk(flow, {"topics": list("abc"), "found": ["first"]})

    assert store["found"] == ["first", "A", "B", "C"]


@pytest.mark.parametrize("at_once", [1, None])
def test_no_items_give_an_empty_list(walk: Way, at_once: int | None) -> None:
    _, store = walk(linear(Many(Look(), inputs=["topic"], outputs=["found"], max_concurrency=at_once)), {"topics": []})

    assert store["found"] == []


@LOOKS
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("at_once", [1, 2, None])
def test_failing_items_are_collected_with_index_cause_and_params(walk: Way, look: Any, private: bool, at_once: int | None) -> None:
    class Reads(look):  # type: ignore[misc,valid-type]
        def prep(self, shared: Any) -> Any:
            return self.params["topic"]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if private:
                super().post(shared, prep_res, exec_res)

    names = {"inputs": ["topic"], "outputs": {"found": "all"}} if private else {}
    flow = linear(Many(Reads(), name="many", on_error="collect", max_concurrency=at_once, **names))

    _, store = walk(flow, {"topics": ["a", "bad", "c", "bad"]})

    assert store["failed"] == [(1, "bad", "bad topic"), (3, "bad", "bad topic")]
    if private:
        assert store["all"] == [["A"], None, ["C"], None]
    run = runs()[-1]
    assert [e["index"] for e in run.events if e.kind == "item_failed"] == [1, 3]
    assert replay(run.events).nodes["many"].lost == 2


@pytest.mark.parametrize("kind", [AsyncBatchFlow, AsyncParallelBatchFlow])
def test_the_async_spelling_reads_the_same_options(kind: Any) -> None:
    class ManyAsync(kind):  # type: ignore[misc,valid-type]
        async def prep_async(self, shared: Any) -> Any:
            return [{"topic": topic} for topic in shared["topics"]]

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["failed"] = [lost.index for lost in exec_res.failures]

    shared: dict[str, Any] = {"topics": ["a", "bad", "c"]}
    flow = AsyncFlow(ManyAsync(AsyncLook(), inputs=["topic"], outputs=["found"], on_error="collect"))
    asyncio.run(flow.run_async(shared))

    assert shared == {"topics": ["a", "bad", "c"], "found": [["A"], None, ["C"]], "failed": [1]}


def test_a_batch_flow_without_a_post_of_its_own_goes_on_by_its_default_arrow(walk: Way) -> None:
    class Items(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"topic": "bad"}, {"topic": "a"}]

    @node
    def after(shared: Any) -> None:
        shared["after"] = True

    _, store = walk(linear(Items(Look(), inputs=["topic"], on_error="collect"), after), {})

    assert store["after"]


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("how", ["drawn", "list"])
def test_branches_that_fail_are_collected_and_the_join_reads_them(walk: Way, limit: int | None, how: str) -> None:
    worked: list[int] = []

    class Fails(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            raise ValueError("no")

    class Works(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            for _ in range(20):
                await asyncio.sleep(0)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            worked.append(1)

    class Plan(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return None if how == "drawn" else ["w", "f", "w"]

    @node
    def join(shared: Any) -> None:
        shared["lost"] = [(lost.index, lost.item, str(lost.cause)) for lost in current().failures]

    plan, works, fails = Plan(), Works(), Fails()
    if how == "drawn":
        plan >> [works, fails, works] >> join
    else:
        plan - "w" >> works >> join
        plan - "f" >> fails >> join

    _, store = walk(Flow(plan, on_error="collect", max_concurrency=limit), {})

    assert len(worked) == 2
    assert store["lost"] == [(1, "Fails", "no")]
    assert runs()[-1].state().nodes["Fails"].status == "failed"


def test_when_every_branch_failed_the_join_is_walked_all_the_same(walk: Way) -> None:
    class Fails(Node):
        def exec(self, prep_res: Any) -> None:
            raise ValueError("no")

    class Reads(Flow):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["lost"] = len(current().failures)

    @node
    def join(shared: Any) -> None:
        shared["joined"] = True

    plan = Node()
    plan >> [Fails(), Fails()] >> join

    _, store = walk(Reads(plan, on_error="collect"), {})

    assert (store["joined"], store["lost"]) == (True, 2)


@pytest.mark.parametrize("what", ["branches", "items", "batch"])
def test_a_cancelled_run_or_a_spent_limit_is_no_failure_of_an_item(what: str) -> None:
    from pocketflex_nb import BatchNode

    started = threading.Event()

    class Waits(Node):
        async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
            started.set()
            await asyncio.Event().wait()

    class Batch(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2]

        exec = Waits.exec  # type: ignore[assignment]

    class Items(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{}, {}]

    plan = Node()
    plan >> [Waits(), Waits()] >> Node()
    flow = {
        "branches": lambda: Flow(plan, on_error="collect"),
        "items": lambda: linear(Items(Waits(), on_error="collect", max_concurrency=None)),
        "batch": lambda: linear(Batch(on_error="collect", max_concurrency=None)),
    }[what]()

    run = flow.launch({}, show=False)
    assert started.wait(20)
    run.cancel()
    assert run.wait(20).status == "cancelled"

    run = flow.launch({}, show=False, timeout=0.05).wait(20)
    assert type(run.error).__name__ == "RunTimeout"


def test_private_stores_are_read_from_the_outer_run() -> None:
    run = linear(Many(Look(), name="many", inputs=["topic"], outputs=["found"])).launch({"topics": ["a", "b"]}, show=False).wait(20)

    assert list(run.stores) == ["", "Flow/many#1[0]", "Flow/many#1[1]"]
    assert run.stores[""] is run.store
    assert dict(run.stores["Flow/many#1[1]"]) == {"topic": "b", "scratch": True, "found": ["B"]}
    changed = [(c["store"], c["node"], c["key"]) for c in run.state().changes]
    assert changed == [
        ("Flow/many#1[0]", "many/Look", "scratch"), ("Flow/many#1[0]", "many/Look", "found"),
        ("Flow/many#1[1]", "many/Look", "scratch"), ("Flow/many#1[1]", "many/Look", "found"), ("", "", "found"),
    ]


def test_the_last_hundred_private_stores_are_kept() -> None:
    run = linear(Many(Look(), name="many", inputs=["topic"])).launch({"topics": ["a"] * 130}, show=False).wait(20)

    assert (len(run.stores), list(run.stores)[1], list(run.stores)[-1]) == (101, "Flow/many#1[30]", "Flow/many#1[129]")


def test_private_stores_within_private_stores(walk: Way) -> None:
    inner = Flow(Look(), name="inner", inputs={"t": "topic"}, outputs={"found": "f"})
    outer = Flow(inner, name="outer", inputs={"question": "t"}, outputs={"f": "answer"})

    _, store = walk(linear(outer), {"question": "sun"})

    assert dict(store) == {"question": "sun", "answer": ["SUN"]}


def test_a_missing_input_and_a_missing_output_are_errors_with_the_nearest_name(walk: Way) -> None:
    with pytest.raises(StoreError, match=r"flow 'sub'.*takes 'topik'.*did you mean 'topic'"):
        walk(linear(Flow(Look(), name="sub", inputs=["topik"])), {"topic": "sun"})
    with pytest.raises(StoreError, match=r"flow 'sub'.*gives 'fuond'.*did you mean 'found'"):
        walk(linear(Flow(Look(), name="sub", inputs=["topic"], outputs=["fuond"])), {"topic": "sun"})


def test_nothing_is_given_back_when_the_flow_fails(walk: Way) -> None:
    @node
    def writes(shared: Any) -> None:
        shared["found"] = 1

    store: dict[str, Any] = {"topic": "bad"}
    with pytest.raises(ValueError, match="bad topic"):
        walk(linear(Flow(linear(writes, Look()).start_node, inputs=["topic"], outputs=["found"])), store)

    assert store == {"topic": "bad"}


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"inputs": 3}, TypeError, "names of keys"),
        ({"outputs": ["a"], "merge": {"b": max}}, ValueError, "'b' is not an output; known: 'a'"),
        ({"outputs": ["a"], "merge": {"a": 3}}, TypeError, "a rule is a function"),
        ({"outputs": ["a"], "merge": 3}, TypeError, "a mapping of output to rule"),
        ({"on_error": "ignore"}, ValueError, "'raise' or 'collect'"),
    ],
)
@pytest.mark.parametrize("kind", [Flow, BatchFlow])
def test_options_that_make_no_sense_are_refused(kind: Any, options: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        kind(Node(), **options)


def test_a_flow_with_a_store_of_its_own_is_pickled_with_what_it_declares() -> None:
    flow = pickle.loads(pickle.dumps(Flow(Node(), inputs=["a"], outputs={"b": "c"}, merge={"c": operator.add})))

    assert (flow._pfx_private.takes, flow._pfx_private.gives, flow._pfx_private.rules) == ({"a": "a"}, {"b": "c"}, {"c": operator.add})


def test_what_a_flow_takes_and_gives_is_drawn_and_comes_back_from_mermaid() -> None:
    sub = Flow(Look(), name="sub", inputs={"question": "topic"}, outputs=["found"])
    flow = linear(Node(), sub, name="whole")

    again = build(parse(flow.to_mermaid()), {"Node": Node(), "Look": Look()})

    assert graph_of(flow).groups[0].store == "question as topic -> found"
    assert graph_of(again) == graph_of(flow)
    for drawn in (flow.to_text(), flow.to_svg().replace("&gt;", ">"), flow.to_dot()):
        assert "question as topic -> found" in drawn
    assert again.run(store := {"question": "sun"}) is None
    assert store == {"question": "sun", "found": ["SUN"]}


def test_a_diagram_may_have_branches_and_items_collected() -> None:
    @node
    def fails(shared: Any) -> None:
        raise ValueError("no")

    @node
    def join(shared: Any) -> None:
        shared["lost"] = len(current().failures)

    text = "flowchart LR; plan --> fails & other; fails & other --> join\n%% pf: on_error=collect\n"
    flow = build(parse(text), {"plan": Node(), "fails": fails, "other": Node(), "join": join})
    flow.run(store := {})

    assert store == {"lost": 1}
    text = "flowchart LR; many --> end_\n%% pf: many.on_error=collect, many.inputs=topic\n"
    many = build(parse(text), {"many": Many(Look()), "end_": Node()})
    assert many.start_node._pfx_on_item_error == "collect"
    assert many.start_node._pfx_private.takes == {"topic": "topic"}


def test_branches_of_a_list_are_drawn_with_their_count_while_they_run() -> None:
    gate, begun = threading.Event(), threading.Barrier(4)

    class Plan(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return [("each", {"n": n}) for n in range(5)]

    class Work(Node):
        def exec(self, prep_res: Any) -> None:
            if self.params["n"] > 1:
                begun.wait(20)
                assert gate.wait(20)

    plan = Plan()
    plan - "each" >> Work() >> Node()
    run = Flow(plan).launch({}, show=False)
    begun.wait(20)
    while run.state().nodes["Work"].visits < 2:
        threading.Event().wait(0.002)

    from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel
    from pocketflex_nb.views.diagrams.flow_dot import dot
    from pocketflex_nb.views.diagrams.flow_text import text

    assert RunViewModel([run]).states(run.flow)["Work"] == ["running", 2, "2 of 5 done", 0]
    assert "2 of 5 done" in run.to_svg()
    assert "2 of 5 done" in dot(run.graph, run.state())
    assert "Work ×2 of 5" in text(run.graph, run.state())
    assert run.state().nodes["Work"].active == 3
    gate.set()
    run.wait(20)
    assert RunViewModel([run]).states(run.flow)["Work"][:2] == ["done", 5]
    assert replay(run.events).nodes["Work"].due == 5


def test_the_store_tab_shows_the_private_store_of_the_step_under_the_cursor() -> None:
    from pocketflex_nb.notebook.run_data.detail_tabs import tab_content
    from pocketflex_nb.notebook.run_data.time_travel import TimeTravel

    sub = Flow(Look(), name="sub", inputs=["topic"], outputs=["found"])
    run = linear(Node(), sub, Node()).launch({"topic": "sun"}, show=False).wait(20)
    inside, after = (next(s for s in run.state().spans if s.node == name) for name in ("sub/Look", "Node_2"))
    past = TimeTravel()

    for moment in (None, inside.end):
        told = tab_content("store", [run], moment, (run, inside), past)
        assert "private store of Flow/sub#1" in told["note"]
        assert sorted(row[1] for row in told["rows"]) == ["found", "scratch", "topic"]
    assert "private store of Flow/sub#1" in tab_content("diff", [run], None, (run, inside), past)["note"]
    told = tab_content("store", [run], after.end, (run, after), past)
    assert (sorted(row[1] for row in told["rows"]), told["note"]) == (["found", "topic"], "")


def test_what_a_failed_try_wrote_to_a_private_store_is_taken_back(walk: Way) -> None:
    tries = []

    @node(max_retries=2)
    def flaky(shared: Any) -> None:
        shared["tries"] = shared.get("tries", 0) + 1
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("once")

    _, store = walk(linear(Flow(flaky, outputs=["tries"])), {})

    assert (store["tries"], len(tries)) == (1, 2)


def test_a_crowd_of_runs_counts_every_arrow_of_a_list() -> None:
    from pocketflex_nb import launch
    from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel

    class Plan(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return ["each", "each", "other"]

    plan = Plan()
    plan - "each" >> Node()
    plan - "other" >> Node()
    flow = Flow(plan)
    group = launch([flow] * 70, show=False).wait(30)
    picture = RunViewModel(list(group))
    picture.states(flow)

    assert picture.edges(flow) == {"Plan|each": 140, "Plan|other": 70}
