"""A run that a step begins, in any of the ways to begin one, is a part of the run around it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Run, Store, ask, emit, launch, node, replay, runs
from pocketflex_nb.core.errors import BudgetSpent, CannotAsk, StepLimit
from pocketflex_nb.core.events import Event
from pocketflex_nb.engine.runs.run import lifecycle_of, subscribe

Eventually = Callable[[Callable[[], Any]], None]


class Via(Node):
    """A step that walks `inner` as a run of its own, and gives that run's last action."""

    def __init__(self, inner: Any, store: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.inner, self.given = inner, store

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return exec_res


class ByRun(Via):
    def exec(self, prep_res: Any) -> Any:
        return self.inner.run({} if self.given is None else self.given)


class ByRunAsync(Via):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return await self.inner.run_async({} if self.given is None else self.given)


class ByLaunch(Via):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return await launch(self.inner, self.given, show=False)


class ByBlockingLaunch(Via):
    def exec(self, prep_res: Any) -> Any:
        return launch(self.inner, self.given, show=False).result(20)


class ByGroup(Via):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        group = await launch([self.inner], self.given, show=False)
        return group.results()[0]


WAYS = pytest.mark.parametrize("via", [ByRun, ByRunAsync, ByLaunch, ByBlockingLaunch, ByGroup])


def started(flow: Flow, **options: Any) -> Run:
    run: Run = flow.launch({}, show=False, **options)
    return run


@node
async def spends(shared: Any) -> None:
    emit("usage", tokens=1000, cost=0.5)


@node
async def asks(shared: Any) -> Any:
    return await ask("inner?", ["a", "b"])


class Says(Node):
    def exec(self, prep_res: Any) -> None:
        for word in ("one", "two", "three"):
            emit("token", word)


def looping(times: int) -> Flow:
    class Loop(Node):
        def __init__(self) -> None:
            super().__init__()
            self.seen = [0]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            self.seen[0] += 1
            return "again" if self.seen[0] < times else "over"

    loop = Loop()
    loop - "again" >> loop
    loop - "over" >> Node()
    return Flow(loop, name="loops")


# what is spent -------------------------------------------------------------------------------------------------------
@WAYS
def test_what_is_spent_inside_counts_outside(via: Any) -> None:
    run = started(Flow(via(Flow(spends, name="reader"))))

    run.result(20)

    assert (run.state().tokens, run.state().cost) == (1000, 0.5)


@WAYS
@pytest.mark.parametrize("budget", [{"tokens": 500}, {"cost": 0.4}])
def test_the_outer_budget_ends_a_run_whose_step_spends_it_inside(via: Any, budget: Any) -> None:
    first = via(Flow(spends, name="reader"))
    first >> Node()

    run = started(Flow(first), budget=budget).wait(20)

    assert (run.status, type(run.error)) == ("failed", BudgetSpent)


@WAYS
def test_a_spent_outer_budget_stops_the_run_inside_before_its_next_node(via: Any) -> None:
    reached: list[int] = []

    @node
    async def spend(shared: Any) -> None:
        emit("usage", tokens=1000)

    @node
    def never(shared: Any) -> None:
        reached.append(1)

    spend >> never
    step = via(Flow(spend, name="reader"))
    step.on_error(Node())
    run = started(Flow(step), budget={"tokens": 500}).wait(20)

    assert (run.status, type(run.error), reached) == ("failed", BudgetSpent, [])
    assert [child.status for child in run.children] == ["failed"]


@WAYS
def test_the_budget_of_a_flow_around_the_step_counts_what_a_run_inside_spends(via: Any) -> None:
    first = via(Flow(spends, name="reader"))
    first >> Node()

    run = started(Flow(Flow(first, name="bounded", budget={"tokens": 500}))).wait(20)

    assert (run.status, type(run.error)) == ("failed", BudgetSpent)


@WAYS
@pytest.mark.parametrize("limit", [{"max_steps": 20}, {"budget": {"steps": 20}}])
def test_steps_inside_count_against_the_outer_limit(via: Any, limit: Any) -> None:
    run = started(Flow(via(looping(1000))), **limit).wait(20)

    assert (run.status, type(run.error)) == ("failed", StepLimit if "max_steps" in limit else BudgetSpent)
    (child,) = run.children
    assert child.status == "failed"
    assert child.hops <= 20


# what is asked -------------------------------------------------------------------------------------------------------
@WAYS
def test_a_question_inside_shows_and_is_answered_at_the_outer_run(via: Any) -> None:
    run = started(Flow(via(Flow(asks, name="asker"))))

    question = run.asking(20)
    assert run.status == "asking"
    assert [(e["ask"], e["question"]) for e in run.state().asking.values()] == [(1, "inner?")]
    with pytest.raises(ValueError, match="did you mean"):
        run.answer("aa")
    run.answer("b", question)

    assert run.result(20) == "b"
    assert run.state().asking == {}
    assert [(e.kind, e["ask"], e.depth) for e in run.events if e.kind in ("asked", "answered")] == [("asked", 1, 1), ("answered", 1, 1)]


@WAYS
def test_it_can_be_answered_at_the_run_inside_too(via: Any) -> None:
    run = started(Flow(via(Flow(asks, name="asker"))))
    run.asking(20)

    run.children[0].answer("a")

    with pytest.raises(LookupError):
        run.answer("b")
    assert run.result(20) == "a"


def test_questions_of_several_runs_inside_have_numbers_of_their_own_outside() -> None:
    class Survey(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            group = launch([Flow(via(Flow(asks))) for via in (ByRun, ByRunAsync, ByLaunch)], show=False)
            return [run.action for run in await group]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answers"] = exec_res

    run = started(Flow(Survey()))
    numbers = []
    while (question := run.asking(20)) is not None:
        numbers.append(question.number)
        run.answer("ab"[question.number % 2], question=question.number)

    run.result(20)
    assert sorted(numbers) == [1, 2, 3]
    assert sorted(run.store["answers"]) == ["a", "b", "b"]


@WAYS
def test_the_outer_limits_stand_still_while_a_run_inside_asks(via: Any) -> None:
    step = via(Flow(asks))
    run = started(Flow(step), timeout=0.4)
    question = run.asking(20)
    assert not run.done()

    threading.Event().wait(0.6)  # longer than the limit: what is measured is the clock itself
    question.answer("a")

    assert run.wait(20).status == "done"


def test_a_blocking_run_on_the_main_thread_cannot_ask_inside_of_a_step_either() -> None:
    with pytest.raises(CannotAsk):
        Flow(ByRun(Flow(asks), timeout=10)).run({})


# what is told --------------------------------------------------------------------------------------------------------
@WAYS
def test_events_inside_reach_the_outer_subscriber_in_order_under_the_step(via: Any) -> None:
    heard: list[Event] = []
    step = via(Flow(Says(), name="reader"))
    first = node(lambda shared: None)
    first >> step
    run = started(Flow(first, name="outer"))
    run.subscribe(heard.append)

    run.result(20)

    assert [e.seq for e in heard] == list(range(len(heard)))
    inside = [e for e in heard if e.depth]
    kinds = [e.kind for e in inside if e.kind != "node_started"]
    assert kinds == ["child_started", "output", "output", "output", "node_finished", "child_finished"]
    name = type(step).__name__
    assert {e.address for e in inside if e.kind == "output"} == {f"outer/{name}#1/reader#1/Says#1"}
    assert {e.node for e in inside if e.kind == "node_finished"} == {f"{name}/reader/Says"}
    assert {e.run for e in inside} == {run.children[0].name}
    assert heard[-1].kind == "run_finished"
    assert heard.index(inside[-1]) < next(i for i, e in enumerate(heard) if e.kind == "node_finished" and e.node == name)


@WAYS
def test_tokens_inside_are_told_while_the_step_is_at_work(via: Any) -> None:
    told, go = threading.Event(), threading.Event()

    @node
    async def says(shared: Any) -> None:
        emit("token", "now")
        await asyncio.to_thread(go.wait, 20)

    run = started(Flow(via(Flow(says))))
    run.subscribe(lambda event: told.set() if event.kind == "output" else None)

    assert told.wait(20)
    assert not run.done()
    go.set()
    run.result(20)


@WAYS
def test_nobody_need_look_while_it_runs(via: Any) -> None:
    run = started(Flow(via(Flow(Says(), name="reader")), name="outer"))
    run.result(20)

    events = run.events

    assert [e.seq for e in events] == list(range(len(events)))
    assert [e["text"] for e in events if e.kind == "output"] == ["one", "two", "three"]
    assert replay(events) == run.state()


@WAYS
def test_the_state_shows_the_nodes_and_the_number_of_runs_inside(via: Any) -> None:
    run = started(Flow(via(Flow(Says(), name="reader"))))
    run.result(20)

    state = run.state()

    name = via.__name__
    assert state.nodes[name].runs == {"done": 1}
    assert (state.nodes[f"{name}/reader/Says"].status, state.nodes[f"{name}/reader/Says"].visits) == ("done", 1)
    assert (state.steps, run.hops, state.status) == (1, 1, "done")
    assert [text for _, _, text, _ in state.lines] == ["onetwothree"]


@WAYS
def test_the_step_and_the_node_inside_are_in_flight_meanwhile(via: Any) -> None:
    run = started(Flow(via(Flow(asks, name="asker"))))
    question = run.asking(20)

    state = run.state()

    assert (state.nodes[via.__name__].status, state.nodes[f"{via.__name__}/asker/asks"].status) == ("asking", "asking")
    assert state.nodes[via.__name__].runs == {"running": 1}
    question.answer("a")
    run.result(20)
    assert run.state().nodes[f"{via.__name__}/asker/asks"].status == "done"


@WAYS
def test_runs_inside_runs_are_told_with_their_depth(via: Any) -> None:
    run = started(Flow(via(Flow(via(Flow(Says(), name="deep")), name="middle")), name="outer"))
    run.result(20)

    events = run.events

    name = via.__name__
    assert {(e.depth, e.address) for e in events if e.kind == "output"} == {(2, f"outer/{name}#1/middle#1/{name}#1/deep#1/Says#1")}
    assert [e.kind for e in events if e.kind.startswith(("child", "run"))] == [
        "run_started", "child_started", "child_started", "child_finished", "child_finished", "run_finished",
    ]


@WAYS
def test_a_failure_inside_is_told_and_fails_the_step(via: Any) -> None:
    @node
    async def fails(shared: Any) -> None:
        raise ValueError("inner")

    run = started(Flow(via(Flow(fails, name="reader")))).wait(20)

    assert (run.status, str(run.error)) == ("failed", "inner")
    assert run.state().nodes[via.__name__].runs == {"failed": 1}
    assert [e.kind for e in run.events if e.kind.endswith("finished")] == ["child_finished", "run_finished"]


def test_runs_of_one_name_in_one_step_have_addresses_of_their_own() -> None:
    class Survey(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(3)

        def exec(self, item: Any) -> Any:
            Flow(Says(), name="reader").run({})
            Flow(Says(), name="reader").run({})

    run = started(Flow(Survey(max_concurrency=None), name="outer"))
    run.result(20)

    assert {e.address for e in run.events if e.kind == "child_started"} == {
        f"outer/Survey#1[{item}]/reader#{number}" for item in range(3) for number in (1, 2)
    }


def test_each_visit_of_the_step_numbers_its_runs_anew() -> None:
    loop = looping(3)
    loop.start_node.__class__.exec = lambda self, prep_res: Flow(Says(), name="reader").run({})

    run = started(loop)
    run.result(20)

    assert [e.address for e in run.events if e.kind == "child_started"] == [f"loops/Loop#{visit}/reader#1" for visit in (1, 2, 3)]


@WAYS
def test_who_hears_all_runs_hears_each_event_once(via: Any) -> None:
    heard: list[Event] = []
    stop = subscribe(heard.append)
    try:
        started(Flow(via(Flow(Says(), name="reader")))).result(20)
    finally:
        stop()

    assert [e["text"] for e in heard if e.kind == "output"] == ["one", "two", "three"]
    assert {e.depth for e in heard} == {0}


def test_changes_inside_are_no_changes_of_the_outer_store() -> None:
    @node
    def writes(shared: Any) -> None:
        shared["n"] = 1

    run = started(Flow(ByRun(Flow(writes), Store({}))))
    run.result(20)

    assert "n" not in run.store
    assert list(run.state().changes) == []
    assert [e.depth for e in run.events if e.kind == "store_changed"] == [1]


# what reaches it -----------------------------------------------------------------------------------------------------
@WAYS
def test_cancel_reaches_a_run_inside(via: Any, eventually: Eventually) -> None:
    begun = threading.Event()

    @node
    async def waits(shared: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    run = started(Flow(via(Flow(waits))))
    assert begun.wait(20)
    (child,) = run.children

    run.cancel()

    assert run.wait(20).status == "cancelled"
    eventually(child.done)
    assert child.status == "cancelled"


@WAYS
def test_a_pause_of_the_outer_run_holds_the_run_inside_before_its_next_node(via: Any, eventually: Eventually) -> None:
    begun, go, reached = threading.Event(), threading.Event(), threading.Event()

    @node
    async def first(shared: Any) -> None:
        begun.set()
        await asyncio.to_thread(go.wait, 20)

    @node
    async def second(shared: Any) -> None:
        reached.set()

    first >> second
    run = started(Flow(via(Flow(first))))
    assert begun.wait(20)

    run.pause()
    go.set()
    (child,) = run.children
    eventually(lambda: lifecycle_of(child).controller is not None and lifecycle_of(child).controller.gate.waiting)
    assert (run.status, child.status, reached.is_set()) == ("paused", "paused", False)
    run.step()
    assert reached.wait(20)
    run.resume()

    assert run.wait(20).status == "done"


@WAYS
def test_a_breakpoint_of_the_outer_run_is_met_inside(via: Any, eventually: Eventually) -> None:
    reached = threading.Event()
    gate, begun = threading.Event(), threading.Event()

    @node
    def opens(shared: Any) -> None:
        begun.set()
        gate.wait(20)

    @node
    async def second(shared: Any) -> None:
        reached.set()

    opens >> via(Flow(second, name="reader"))
    run = started(Flow(opens))
    assert begun.wait(20)
    lifecycle_of(run).ensure_controller().gate.breaks = frozenset({"second"})
    lifecycle_of(run).needs_check = True
    gate.set()

    eventually(lambda: run.status == "paused")
    assert not reached.is_set()
    run.resume()

    assert run.wait(20).status == "done"
    assert reached.is_set()


@WAYS
def test_the_outer_time_limit_ends_the_run_inside(via: Any, eventually: Eventually) -> None:
    @node
    async def waits(shared: Any) -> None:
        await asyncio.Event().wait()

    run = started(Flow(via(Flow(waits))), timeout=0.2).wait(20)

    assert run.status == "failed"
    (child,) = run.children
    eventually(child.done)  # a thread that was abandoned ends it by itself


# children ------------------------------------------------------------------------------------------------------------
@WAYS
def test_children_are_kept_when_they_are_over(via: Any) -> None:
    run = started(Flow(via(Flow(Says(), name="reader"))))
    run.result(20)

    (child,) = run.children

    assert (child.parent, child.status, child.flow.name) == (run, "done", "reader")


def test_a_detached_run_is_a_run_of_its_own(eventually: Eventually) -> None:
    made: list[Run] = []

    @node
    async def launches(shared: Any) -> None:
        made.append(launch(Flow(asks), show=False, detached=True))
        made.extend(Flow(asks).launch_each("n", [1], show=False, detached=True))
        made.extend(launch([Flow(spends)], show=False, detached=True))

    run = started(Flow(launches), budget={"tokens": 1})
    run.result(20)

    assert run.children == []
    assert [(child.parent, run.cancel()) for child in made] == [(None, False)] * 3
    for child in made[:2]:
        child.asking(20).answer("a")
    assert [child.wait(20).status for child in made] == ["done"] * 3
    assert [e.kind for e in run.events if e.depth] == []
    assert run.state().tokens == 0


def test_a_run_that_goes_on_after_the_outer_one_goes_on_by_itself() -> None:
    go, made = threading.Event(), []

    @node
    async def launches(shared: Any) -> None:
        @node
        async def later(shared: Any) -> None:
            await asyncio.to_thread(go.wait, 20)
            emit("usage", tokens=5)
            shared["answer"] = await ask("later?")

        made.append(launch(Flow(later), show=False))

    run = started(Flow(launches), budget={"tokens": 1})
    run.result(20)
    go.set()

    made[0].asking(20).answer("so")
    assert made[0].wait(20).status == "done"
    assert (run.events[-1].kind, run.status, run.state().tokens) == ("run_finished", "done", 0)
    assert run.children == made


def test_many_runs_inside_cost_bounded_memory() -> None:
    class Survey(Node):
        def exec(self, prep_res: Any) -> Any:
            reader = Flow(Says(), name="reader")
            for _ in range(6000):
                reader.run({})

    run = started(Flow(Survey(), name="outer"))
    run.result(60)

    assert len(run.children) == 200
    events = run.events
    assert events[-1].kind == "run_finished"
    assert len(events) <= 25_000
    assert events[-1].seq > 6000 * 6
    assert all(later.seq > sooner.seq for sooner, later in pairwise(events))
    assert next(e for e in reversed(events) if e.kind == "child_finished").address == "outer/Survey#1/reader#6000"
    assert lifecycle_of(run).nested._kept <= 10_000


def test_a_long_run_inside_is_told_whole_to_who_listens() -> None:
    finished, go = [0], threading.Event()

    def hear(event: Event) -> None:
        finished[0] += event.kind == "node_finished" and event.depth

    @node
    async def waits(shared: Any) -> None:
        await asyncio.to_thread(go.wait, 20)

    waits >> ByRun(looping(20_000))
    run = started(Flow(waits))
    run.subscribe(hear)
    go.set()
    run.result(60)

    assert finished[0] == 20_001


def test_a_run_without_runs_inside_keeps_no_nest() -> None:
    run = started(Flow(Says()))
    run.result(20)

    assert (lifecycle_of(run).nested, run.children) == (None, [])
    assert run in runs()


def test_addresses_hold_when_the_outer_log_drops_its_oldest_records() -> None:
    go = threading.Event()

    @node
    async def goes(shared: Any) -> None:
        await asyncio.to_thread(go.wait, 20)
        emit("token", "late")

    class Survey(Node):
        def exec(self, prep_res: Any) -> Any:
            child = launch(Flow(goes, name="reader"), show=False)
            for _ in range(30_000):
                emit("progress", done=1)
            go.set()
            child.result(20)

    run = started(Flow(Survey(), name="outer"))
    run.result(60)

    events = run.events
    (late,) = [e for e in events if e.kind == "output"]
    assert late.address == "outer/Survey#1/reader#1/goes#1"
    assert len(events) < 15_000
    assert all(later.seq == sooner.seq + 1 for sooner, later in pairwise(events))
    assert events[-1].seq == lifecycle_of(run).log.size() - 1


def test_a_question_that_nobody_waits_for_any_more_is_shown_no_longer(eventually: Eventually) -> None:
    class Gives(Via):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            child = launch(self.inner, show=False)
            await child.asking()
            child.cancel()
            await child.wait_async()
            await asyncio.to_thread(go.wait, 20)

    go = threading.Event()
    run = started(Flow(Gives(Flow(asks))))

    eventually(lambda: [e for e in run.events if e.kind == "answered"])

    assert (run.status, run.state().asking) == ("running", {})
    with pytest.raises(LookupError):
        run.answer("a")
    go.set()
    run.result(20)


def test_a_time_limit_of_the_step_ends_what_it_launched_and_waits_for(eventually: Eventually) -> None:
    @node
    async def waits(shared: Any) -> None:
        await asyncio.Event().wait()

    for via in (ByRun, ByLaunch, ByBlockingLaunch):
        run = started(Flow(via(Flow(waits), timeout=0.2))).wait(20)

        assert run.status == "failed"
        (child,) = run.children
        eventually(child.done)


@WAYS
def test_runs_inside_of_a_plain_run_are_part_of_it_too(via: Any) -> None:
    Flow(via(Flow(spends, name="reader")), name="plain", budget={"tokens": 2000}).run({})
    run = next(run for run in reversed(runs()) if run.flow.name == "plain")

    assert (run.usage.tokens, len(run.children)) == (1000, 1)
    with pytest.raises(BudgetSpent):
        Flow(via(Flow(spends, name="reader")), name="plain", budget={"tokens": 500}).run({})


@WAYS
def test_runs_inside_of_an_awaited_run_are_part_of_it_too(via: Any) -> None:
    async def main(budget: int) -> None:
        await Flow(via(Flow(spends, name="reader")), name="awaited", budget={"tokens": budget}).run_async({})

    asyncio.run(main(2000))
    run = next(run for run in reversed(runs()) if run.flow.name == "awaited")

    assert (run.usage.tokens, len(run.children)) == (1000, 1)
    with pytest.raises(BudgetSpent):
        asyncio.run(main(500))


def test_the_stores_of_old_runs_inside_are_let_go_and_their_events_kept() -> None:
    class Big(dict[str, Any]):
        """A store that can be looked for."""

    stores: list[Any] = []

    class Survey(Node):
        def exec(self, prep_res: Any) -> Any:
            reader = Flow(Says(), name="reader")
            for _ in range(300):
                store = Big()
                stores.append(weakref.ref(store))
                reader.run(store)

    run = started(Flow(Survey(), name="outer"))
    run.result(60)
    gc.collect()

    assert sum(store() is not None for store in stores) <= 201
    assert len([e for e in run.events if e.kind == "output"]) == 900
