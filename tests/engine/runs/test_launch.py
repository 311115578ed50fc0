"""Flows on the engine thread: stores, names, groups, and flows within flows in every thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Store, launch, node, runs
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import RunCancelled
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.engine.runs.run_registry import REMEMBERED
from tests.engine.conftest import Way


def writes(key: str = "n", action: Any = None) -> Flow:
    @node
    async def write(shared: Any) -> Any:
        shared[key] = shared.get(key, 0) + 1
        return action

    return Flow(write, name="writes")


def fails(text: str = "broken") -> Flow:
    @node
    async def fail(shared: Any) -> None:
        raise ValueError(text)

    return Flow(fail)


class Gate(Node):
    """Waits until it is opened, and tells when it is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.open = threading.Event(), threading.Event()

    def exec(self, prep_res: Any) -> Any:
        self.reached.set()
        self.open.wait(20)


# one ---------------------------------------------------------------------------------------------------------------------
def test_a_dict_is_copied_into_a_store_and_the_callers_is_left_alone() -> None:
    mine: dict[str, Any] = {"n": 1, "nested": []}

    run = writes().launch(mine, show=False)
    run.result(10)

    assert isinstance(run.store, Store)
    assert (run.store["n"], mine["n"]) == (2, 1)
    assert run.store["nested"] is mine["nested"]


def test_a_store_is_shared_as_it_is() -> None:
    store = Store({"n": 1})

    run = writes().launch(store, show=False)
    run.result(10)

    assert run.store is store
    assert store["n"] == 2


@pytest.mark.parametrize("wrong", [3, "text", [1], object()], ids=["int", "str", "list", "object"])
def test_what_is_no_mapping_is_refused_with_the_mend(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"mapping|dict"):
        writes().launch(wrong, show=False)


@pytest.mark.parametrize("wrong", [3, None, "text"], ids=repr)
def test_what_is_no_flow_is_refused_with_the_mend(wrong: Any) -> None:
    with pytest.raises(TypeError, match="flow"):
        launch(wrong, {}, show=False)
    with pytest.raises(TypeError, match="flow"):
        launch([wrong], {}, show=False)


def test_a_bare_node_is_launched_as_a_flow_of_one() -> None:
    run = launch(writes().start_node, {}, show=False)

    run.result(10)

    assert run.store["n"] == 1


def test_names_are_unique_and_kept() -> None:
    first, second = (writes().launch({}, name="night", show=False) for _ in range(2))
    first.wait(10)
    second.wait(10)

    assert lifecycle_of(first).base == lifecycle_of(second).base == "night"
    assert first.name != second.name


def test_the_result_is_the_last_action_and_waits_no_longer_than_told() -> None:
    gate = Gate()
    run = Flow(gate).launch({}, show=False)
    assert gate.reached.wait(10)

    with pytest.raises(TimeoutError, match="still running after"):
        run.result(0.01)
    gate.open.set()

    assert run.result(10) is None
    assert run.status == "done"


def test_awaiting_a_run_gives_what_result_gives() -> None:
    async def main() -> tuple[Any, Any]:
        good = await writes(action="over").launch({}, show=False)
        with pytest.raises(ValueError, match="broken") as caught:
            await fails().launch({}, show=False)
        return good, caught.value

    good, error = asyncio.run(main())

    assert good == "over"
    assert runs()[-1].error is error


def test_a_failed_run_raises_the_same_object_each_time() -> None:
    run = fails().launch({}, show=False)
    run.wait(10)

    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            run.result()
        assert caught.value is run.error


def test_a_result_asked_for_often_does_not_grow_its_traceback() -> None:
    def frames() -> int:
        with pytest.raises(ValueError, match="broken") as caught:
            run.result()
        return len(caught.traceback)

    run = fails().launch({}, show=False).wait(10)

    assert frames() == frames() == frames()


def test_a_run_that_is_over_has_no_node_in_flight(walk: Way) -> None:
    with pytest.raises(ValueError, match="broken"):
        walk(fails(), {})

    assert runs()[-1].in_flight() == []


def test_every_run_leaves_its_record(walk: Way) -> None:
    walk(writes(), {})

    run = runs()[-1]
    assert (run.status, run.hops, run.flow.name) == ("done", 1, "writes")
    assert run not in runs(live=True)
    assert run.graph.start == "write"


def test_print_of_a_plain_run_is_left_alone(walk: Way, capsys: pytest.CaptureFixture[str]) -> None:
    @node
    def says(shared: Any) -> None:
        print("hello")

    walk(Flow(says), {})

    assert capsys.readouterr().out == "hello\n"


# groups ------------------------------------------------------------------------------------------------------------------
def test_a_list_gives_a_group_in_order_and_each_its_own_store() -> None:
    group = launch([writes("a"), writes("b"), writes("c")], {"start": 0}, show=False)

    assert group.wait(10) is group
    assert [set(run.store) for run in group] == [{"start", "a"}, {"start", "b"}, {"start", "c"}]
    assert group.results() == [None] * 3
    assert group.done()


def test_a_dict_names_its_runs() -> None:
    group = launch({"left": writes("a"), "right": (writes("b"), {"own": 1})}, show=False)
    group.wait(10)

    assert group["left"].store["a"] == 1
    assert dict(group["right"].store) == {"own": 1, "b": 1}
    with pytest.raises(KeyError, match="did you mean"):
        group["lefd"]


def test_pairs_bring_their_own_stores() -> None:
    one, two = Store({"n": 10}), {"n": 20}

    group = launch([(writes(), one), (writes(), two)], show=False).wait(10)

    assert one["n"] == 11
    assert group[1].store["n"] == 21


@pytest.mark.parametrize("kind", [dict, Store])
def test_share_gives_one_store_to_all(kind: Any) -> None:
    group = launch([writes(f"k{n}") for n in range(8)], share=kind({"start": 1}), show=False).wait(10)

    stores = {id(run.store) for run in group}
    assert len(stores) == 1
    assert set(group[0].store) == {"start", *(f"k{n}" for n in range(8))}


def test_two_stores_for_one_run_are_refused() -> None:
    with pytest.raises(TypeError, match="store"):
        launch([(writes(), {})], share={}, show=False)
    with pytest.raises(TypeError, match="store"):
        launch(writes(), {}, share={}, show=False)


def test_an_empty_group_is_over() -> None:
    group = launch([], show=False)

    assert group.wait(1).done()
    assert group.results() == []
    assert list(group.as_completed()) == []


def test_results_raise_the_first_failure_in_order_and_wait_raises_nothing() -> None:
    group = launch([writes(), fails("first"), fails("second")], {}, show=False)

    group.wait(10)

    with pytest.raises(ValueError, match="first"):
        group.results()
    assert group.counts() == {"done": 1, "failed": 2}


def test_one_failure_may_stop_the_others() -> None:
    class Waits(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            await asyncio.Event().wait()

    group = launch([Flow(Waits()), fails()], {}, on_error="stop", show=False).wait(10)

    assert [run.status for run in group] == ["cancelled", "failed"]


def test_as_completed_gives_runs_as_they_end() -> None:
    gate = Gate()
    group = launch({"late": Flow(gate), "early": writes()}, {}, show=False)
    order = []

    for run in group.as_completed(timeout=20):
        order.append(lifecycle_of(run).base)
        gate.open.set()

    assert order == ["early", "late"]


def test_as_completed_has_a_time_limit() -> None:
    gate = Gate()
    group = launch([Flow(gate)], {}, show=False)

    with pytest.raises(TimeoutError, match="not all runs are over"):
        list(group.as_completed(timeout=0.02))

    gate.open.set()
    group.wait(10)


def test_a_group_is_awaited_and_iterated_on_a_loop() -> None:
    async def main() -> None:
        group = launch([writes(), fails(), writes()], {}, show=False)
        assert await group is group
        assert group.done()
        assert {run async for run in launch([writes(), writes()], {}, show=False)}

    asyncio.run(main())


def test_launch_each_starts_one_run_per_item() -> None:
    @node
    async def square(shared: Any) -> None:
        shared["result"] = shared["n"] ** 2

    group = Flow(square).launch_each("n", range(20), max_concurrency=3, store={"common": 1}, show=False).wait(20)

    assert [run.store["result"] for run in group] == [n**2 for n in range(20)]
    assert all(run.store["common"] == 1 for run in group)


def test_launch_each_of_mappings_makes_them_the_stores() -> None:
    group = writes().launch_each(None, [{"n": 1}, {"n": 5}], show=False).wait(10)

    assert [run.store["n"] for run in group] == [2, 6]
    with pytest.raises(TypeError, match="mapping"):
        writes().launch_each(None, [1], show=False)


def test_no_more_runs_at_once_than_the_group_says() -> None:
    now, most, lock = [0], [0], threading.Lock()

    class Busy(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            for _ in range(5):
                await asyncio.sleep(0)
            with lock:
                now[0] -= 1

    Flow(Busy()).launch_each("n", range(30), max_concurrency=4, show=False).wait(20)

    assert 2 <= most[0] <= 4


def test_a_cancelled_group_starts_nothing_more() -> None:
    gates = [Gate() for _ in range(3)]
    group = launch([Flow(gate) for gate in gates], {}, max_concurrency=1, show=False)
    assert gates[0].reached.wait(10)

    group.cancel()
    group.wait(10)
    gates[0].open.set()

    assert [run.status for run in group] == ["cancelled"] * 3
    assert not gates[1].reached.is_set()
    with pytest.raises(RunCancelled):
        group.results()


def test_a_thousand_runs_over_one_store_lose_no_increment() -> None:
    @node
    async def add(shared: Any) -> None:
        shared.increment("n")

    store = Store({"n": 0})

    launch([Flow(add)] * 1000, share=store, show=False).wait(30)

    assert store["n"] == 1000


def test_check_warns_at_launch_and_strict_refuses() -> None:
    from typing import Literal

    from pocketflex_nb.core.errors import CheckError

    class Says(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Literal["a", "b"]:
            return "a"

    says = Says()
    says - "a" >> Node()

    with pytest.warns(UserWarning, match="'b'"):
        Flow(says).launch({}, show=False).wait(10)
    with pytest.raises(CheckError, match="'b'"):
        Flow(says, strict=True).launch({}, show=False)


# within each other ---------------------------------------------------------------------------------------------------------
def test_a_flow_runs_inside_a_step_of_another_in_every_way(walk: Way) -> None:
    @node
    def plain(shared: Any) -> None:
        inner: dict[str, Any] = {}
        writes().run(inner)
        shared["from plain"] = inner["n"]

    @node
    async def awaited(shared: Any) -> None:
        inner: dict[str, Any] = {}
        await writes().run_async(inner)
        shared["from async"] = inner["n"]

    @node
    async def launches(shared: Any) -> None:
        run = writes().launch({}, show=False)
        await run
        shared["launched"] = run.store["n"]

    plain >> awaited >> launches

    _, store = walk(Flow(plain), {})

    assert (store["from plain"], store["from async"], store["launched"]) == (1, 1, 1)


def test_a_plain_run_on_the_engines_own_loop_is_re_entrant() -> None:
    @node
    async def deeper(shared: Any) -> None:
        inner: dict[str, Any] = {}
        writes().run(inner)
        shared["n"] = inner["n"]

    @node
    async def deep(shared: Any) -> None:
        inner: dict[str, Any] = {}
        Flow(deeper).run(inner)
        shared["n"] = inner["n"]

    run = Flow(deep).launch({}, show=False)
    run.result(10)

    assert run.store["n"] == 1


def test_a_plain_run_inside_a_running_loop_works_for_plain_and_async_steps() -> None:
    async def main() -> int:
        store: dict[str, Any] = {}
        writes().run(store)
        plain = Node()
        plain >> [writes("a"), writes("b")] >> Node()
        Flow(plain).run(store)
        return len(store)

    assert asyncio.run(main()) == 3


def test_flows_run_from_many_threads_at_once() -> None:
    stores: list[dict[str, Any]] = [{} for _ in range(16)]
    flow = writes()
    threads = [threading.Thread(target=flow.run, args=(store,)) for store in stores]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert stores == [{"n": 1}] * 16


def test_waiting_in_plain_code_on_the_engine_thread_is_refused() -> None:
    @node
    async def waits(shared: Any) -> None:
        writes().launch({}, show=False).result()

    with pytest.raises(RuntimeError, match="await run"):
        Flow(waits).launch({}, show=False).result(10)


def test_a_plain_prep_and_post_run_on_the_engine_thread_and_a_plain_exec_in_the_pool() -> None:
    where: dict[str, bool] = {}

    class Looks(Node):
        def prep(self, shared: Any) -> Any:
            where["prep"] = engine_thread.is_here

        def exec(self, prep_res: Any) -> Any:
            where["exec"] = engine_thread.is_here

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            where["post"] = engine_thread.is_here

    class Inline(Looks):
        blocking = False

    Flow(Looks()).launch({}, show=False).result(10)
    assert where == {"prep": True, "exec": False, "post": True}
    Flow(Inline()).launch({}, show=False).result(10)
    assert where["exec"] is True


def test_an_overridden_private_hook_runs_whole_in_one_pool_thread() -> None:
    seen: list[Any] = []

    class Traced(Flow):
        def _orch(self, shared: Any, params: Any = None) -> Any:
            seen.append(engine_thread.is_here)
            return super()._orch(shared, params)

    class Wrapped(Node):
        def _run(self, shared: Any) -> Any:
            seen.append(engine_thread.is_here)
            return super()._run(shared)

    Traced(Node()).launch({}, show=False).result(10)
    Flow(Wrapped()).launch({}, show=False).result(10)

    assert seen == [False, False]


def test_a_group_that_nobody_keeps_is_freed_but_for_the_runs_that_are_remembered() -> None:
    """Ten thousand runs were kept by the last two hundred, through their group: 100 MB, and a third more time for the next ones."""
    group = launch([writes()] * (REMEMBERED + 300), show=False).wait(30)
    made = [weakref.ref(run) for run in group]
    assert len(runs()) >= REMEMBERED

    del group
    gc.collect()

    assert sum(ref() is not None for ref in made) == REMEMBERED
