"""Random graphs, actions, failures and interruptions thrown at the engine: it never hangs, loses nothing, leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb import END, BatchFlow, BatchNode, Flow, Node, Run, State, Store, replay
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import RunCancelled, StepLimit
from pocketflex_nb.core.flow.nodes import Fork

pytestmark = pytest.mark.filterwarnings("ignore:Flow ends", "ignore:Overwriting successor", "ignore:flow ", "ignore:node ")

#: seconds after which a walk of a few microseconds hangs
HANG = 20.0
ACTIONS = (None, "a", "b", "nowhere")
STEPS = 60


@dataclass
class Shape:
    """A random flow as data. Arrows are indices into `nodes`; -1 is `END`; a tuple is a fan-out."""

    kinds: list[str]
    arrows: list[dict[str, Any]]
    actions: list[list[Any]]
    errors: list[int | None]
    raises: list[int]
    starts: list[int] = field(default_factory=list)
    detached: int | None = None


class Enough(Exception):
    """What a raising node raises."""


class Step:
    """What every node of these graphs does: count the visit in the store, note it as finished, give its next action."""

    me: int
    actions: list[Any]
    raises: int
    finished: Counter[int]

    def _turn(self, shared: Any) -> Any:
        shared.increment(f"visits{self.me}")
        visit = shared.increment("turns")
        shared[f"turn{visit}"] = self.me
        if self.raises and visit % self.raises == 0:
            raise Enough(self.me)
        self.finished[self.me] += 1
        return self.actions[visit % len(self.actions)]


class Plain(Step, Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return self._turn(shared)


class Pooled(Step, Node):
    def exec(self, prep_res: Any) -> Any:
        return threading.get_ident()

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return self._turn(shared)


class Awaited(Step, Node):
    async def prep(self, shared: Any) -> Any:
        await asyncio.sleep(0)

    async def exec(self, prep_res: Any) -> Any:
        await asyncio.sleep(0)

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return self._turn(shared)


class Items(Step, BatchNode):
    def prep(self, shared: Any) -> Any:
        return [1, 2, 3]

    async def exec(self, item: Any) -> Any:
        await asyncio.sleep(0)
        return item

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        assert exec_res == [1, 2, 3]
        return self._turn(shared)


class Inner(Step, Flow):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return self._turn(shared)


class InnerBatch(Step, BatchFlow):
    def prep(self, shared: Any) -> Any:
        return [{"i": 0}, {"i": 1}]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return self._turn(shared)


KINDS: dict[str, Any] = {
    "plain": lambda: Plain(), "pooled": lambda: Pooled(), "awaited": lambda: Awaited(),
    "items": lambda: Items(max_concurrency=2), "one by one": lambda: Items(), "flow": lambda: Inner(),
    "batch flow": lambda: InnerBatch(), "parallel flow": lambda: InnerBatch(max_concurrency=2),
}


@st.composite
def shapes(draw: Any) -> Shape:
    """A graph of up to seven nodes, with forks, loops, nested flows and error edges."""
    size = draw(st.integers(1, 7))
    index = st.integers(0, size - 1)
    target = st.one_of(index, index, st.just(-1), st.lists(index, min_size=2, max_size=3).map(tuple))
    return Shape(
        kinds=[draw(st.sampled_from(sorted(KINDS))) for _ in range(size)],
        arrows=[draw(st.dictionaries(st.sampled_from(["default", "a", "b"]), target, max_size=3)) for _ in range(size)],
        actions=[draw(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4)) for _ in range(size)],
        errors=[draw(st.one_of(st.none(), st.none(), index)) for _ in range(size)],
        raises=[draw(st.sampled_from([0, 0, 0, 0, 3, 5, 7])) for _ in range(size)],
        starts=[draw(index) for _ in range(size)],
        detached=draw(st.one_of(st.none(), st.none(), st.none(), index)),
    )


def built(shape: Shape) -> tuple[Flow, Counter[int]]:
    """The flow of `shape`, and the count of visits that came to their end, by node."""
    finished: Counter[int] = Counter()
    nodes = [KINDS[kind]() for kind in shape.kinds]
    for me, node in enumerate(nodes):
        node.me, node.actions, node.raises, node.finished = me, shape.actions[me], shape.raises[me], finished
        node.name = f"n{me}"
        if isinstance(node, Flow):
            # inwards only, so that the walk of a flow is no walk of itself
            node.start(nodes[me + 1 + shape.starts[me] % (len(nodes) - me - 1)] if me + 1 < len(nodes) else None)
        for action, target in shape.arrows[me].items():
            if isinstance(target, tuple):
                aside = [nodes[shape.detached]] if shape.detached is not None and shape.detached != me else []
                node.successors[action] = Fork([nodes[t] for t in target], detached=aside)
            else:
                node.successors[action] = END if target == -1 else nodes[target]
        if shape.errors[me] is not None:
            node.on_error(nodes[shape.errors[me]])
    return Flow(nodes[0], name="outer", max_steps=STEPS), finished


async def _tasks() -> set[Any]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def _turn_until_empty(before: set[Any]) -> set[Any]:
    for _ in range(2000):
        if not (left := await _tasks() - before):
            return set()
        await asyncio.sleep(0)
    async with asyncio.timeout(HANG):
        while left := await _tasks() - before:
            await asyncio.sleep(0.001)
    return left


def holds(run: Run, store: Store, finished: Counter[int], before: set[Any]) -> None:
    """What must hold of every run that is over, however it came to its end."""
    assert run.done()
    assert not engine_thread.submit(_turn_until_empty(before)).result(HANG + 1)
    # no store write of a finished node is lost
    turns = store.get("turns", 0)
    assert sorted(int(k[4:]) for k in store if k.startswith("turn") and k != "turns") == list(range(1, turns + 1))
    visited = {m: store[f"visits{m}"] for m in range(9) if f"visits{m}" in store}
    assert Counter(store[f"turn{n}"] for n in range(1, turns + 1)) == visited
    for me, times in finished.items():
        assert store[f"visits{me}"] >= times
    # every finished visit has an address of its own, numbers have no gaps, and the fold is the fold of the events
    events = run.events
    assert [e.seq for e in events] == list(range(len(events)))
    assert [e.ns for e in events if e.kind == "run_finished"]
    visits = [e.address for e in events if e.kind in ("node_finished", "node_failed")]
    assert len(visits) == len(set(visits)), [a for a, n in Counter(visits).items() if n > 1]
    told, state = replay(events), run.state()
    assert told.steps == state.steps == run.hops == len(visits)
    assert _visits(told) == _visits(state)
    assert told.edges == state.edges
    assert told.status == state.status == run.status
    # every visit that came to its end was recorded as one, and nothing is marked as being in flight
    done = Counter(e.node.rsplit("/", 1)[-1] for e in events if e.kind == "node_finished")
    assert all(done[f"n{me}"] <= times for me, times in finished.items())
    assert not any(n.active for n in state.nodes.values())
    assert run not in _live()


def _visits(state: State) -> dict[str, int]:
    return {path: node.visits for path, node in state.nodes.items() if node.visits}


def _live() -> list[Run]:
    from pocketflex_nb import runs

    return runs(live=True)


def _last(flow: Flow) -> Run:
    from pocketflex_nb import runs

    return next(run for run in reversed(runs()) if run.flow is flow)


def _before() -> set[Any]:
    return set(engine_thread.submit(_tasks()).result(HANG))


@settings(max_examples=40)
@given(shapes())
def test_a_plain_run_holds_whatever_it_walks(shape: Shape) -> None:
    flow, finished = built(shape)
    store, before = Store(), _before()

    try:
        flow.run(store)
    except (Enough, StepLimit):
        pass

    holds(_last(flow), store, finished, before)


@settings(max_examples=40)
@given(shapes())
def test_an_awaited_run_holds_whatever_it_walks(shape: Shape) -> None:
    flow, finished = built(shape)
    store, before = Store(), _before()

    async def main() -> None:
        try:
            async with asyncio.timeout(HANG):
                await flow.run_async(store)
        except (Enough, StepLimit):
            pass
        for _ in range(100):  # detached branches are cancelled with the run; each fork within them takes some turns
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())

    holds(_last(flow), store, finished, before)


@settings(max_examples=70)
@given(shapes())
def test_a_launched_run_holds_whatever_it_walks(shape: Shape) -> None:
    flow, finished = built(shape)
    before = _before()

    run = flow.launch(Store()).wait(HANG)

    holds(run, run.store, finished, before)


@settings(max_examples=70)
@given(shapes(), st.lists(st.sampled_from(["cancel", "pause", "resume", "step", "step", "pause"]), max_size=8), st.integers(0, 20))
def test_a_launched_run_holds_whoever_interrupts_it(shape: Shape, orders: list[str], after: int) -> None:
    flow, finished = built(shape)
    before = _before()
    reached = threading.Event()
    run = flow.launch(Store())
    run.add_done_callback(lambda _: reached.set())
    stop = run.subscribe(lambda event: reached.set() if event.seq >= after else None)

    reached.wait(HANG)
    for order in orders:
        getattr(run, order)()
    run.resume()
    stop()
    run.wait(HANG)

    holds(run, run.store, finished, before)
    if run.status == "cancelled":
        assert "cancel" in orders
        assert isinstance(run.error, RunCancelled)


@settings(max_examples=40)
@given(shapes(), st.integers(1, 12))
def test_a_run_that_a_node_of_its_own_cancels_ends_and_leaves_nothing(shape: Shape, at: int) -> None:
    for mode in ("run", "run_async", "launch"):
        flow, finished = built(shape)
        store, before = Store(), _before()
        for node in _nodes(flow):
            node.raises = 0
            node._turn = _cancelling(node, at)
        if mode == "launch":
            run = flow.launch(store).wait(HANG)
        else:
            try:
                if mode == "run":
                    flow.run(store)
                else:
                    asyncio.run(_awaited(flow, store))
            except (RunCancelled, StepLimit):
                pass
            run = _last(flow)

        holds(run, store, finished, before)


def _nodes(flow: Flow) -> list[Any]:
    from pocketflex_nb.core.flow.flow_graph import nodes_by_path

    return [n for n in nodes_by_path(flow).values() if isinstance(n, Step)]


def _cancelling(node: Any, at: int) -> Any:
    from pocketflex_nb import current

    was = node._turn

    def turn(shared: Any) -> Any:
        action = was(shared)
        if shared["turns"] == at:
            current().run.cancel()
        return action

    return turn


async def _awaited(flow: Flow, store: Store) -> None:
    try:
        async with asyncio.timeout(HANG):
            await flow.run_async(store)
    finally:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
