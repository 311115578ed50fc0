"""The pool's places: steps that wait for somebody do not keep others from working."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Store, ask, launch
from pocketflex_nb.concurrency.engine_thread import POOL_SIZE, engine_thread
from pocketflex_nb.concurrency.thread_pool import Pool
from tests.engine.fakes import SOON

MANY = POOL_SIZE + 6


class Work(Node):
    def exec(self, prep_res: Any) -> str:
        return "worked"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["out"] = exec_res
        return exec_res


def test_more_plain_steps_ask_than_there_are_threads_and_others_still_work(eventually: Any) -> None:
    class Ask(Node):
        def exec(self, prep_res: Any) -> Any:
            return ask("well?")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return exec_res

    group = launch([Flow(Ask()) for _ in range(MANY)])
    eventually(lambda: all(run.status == "asking" for run in group))

    assert Flow(Work()).launch({}).result(SOON) == "worked"
    for run in group:
        run.answer("yes")
    assert group.results(SOON) == ["yes"] * MANY


def test_more_plain_steps_wait_for_runs_of_their_own_than_there_are_threads() -> None:
    class Orchestrate(Node):
        def exec(self, prep_res: Any) -> Any:
            return Flow(Work()).launch({}).result(SOON)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return exec_res

    group = launch([Flow(Orchestrate()) for _ in range(MANY)])

    assert group.results(SOON) == ["worked"] * MANY


def test_a_place_that_is_lent_is_given_back() -> None:
    before = engine_thread.pool.size

    test_more_plain_steps_wait_for_runs_of_their_own_than_there_are_threads()

    assert engine_thread.pool.size <= before  # places beyond the size go when they are idle


def test_an_abandoned_thread_lets_queued_work_begin_at_once() -> None:
    pool, release = Pool(1), threading.Event()
    stuck = pool.submit(release.wait, SOON)
    queued = pool.submit(lambda: "done")

    pool.abandon()

    assert queued.result(SOON) == "done"
    release.set()
    assert stuck.result(SOON)


# a full pool ---------------------------------------------------------------------------------------------------------------
class Wait(Node):
    """Blocks its thread until somebody sets the event in the store."""

    def prep(self, shared: Any) -> Any:
        return shared["go"]

    def exec(self, go: threading.Event) -> bool:
        return go.wait(SOON)


class Set(Wait):
    def exec(self, go: threading.Event) -> bool:
        go.set()
        return True


def test_a_step_that_all_threads_wait_for_gets_one_and_is_told_that_it_waited() -> None:
    go = threading.Event()
    group = launch([(Flow(Wait()), {"go": go}) for _ in range(POOL_SIZE)])

    run = Flow(Set()).launch({"go": go}).wait(SOON)

    assert run.status == "done"
    assert [run.status for run in group.wait(SOON)] == ["done"] * POOL_SIZE
    told = [event.data["text"] for event in run.events if event.kind == "pool_full"]
    assert len(told) == 1
    assert f"{POOL_SIZE} plain steps block its threads" in told[0]
    assert told[0] in run.state().problems


@pytest.mark.parametrize("way", ["run", "launch"])
def test_without_a_limit_as_many_items_are_worked_on_as_there_are(way: str) -> None:
    all_here = threading.Barrier(POOL_SIZE + 36)

    class Meet(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(POOL_SIZE + 36)

        def exec(self, item: int) -> int:
            all_here.wait(SOON)
            return item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["items"] = exec_res

    before = engine_thread.pool.size
    flow, store = Flow(Meet(max_concurrency=None)), Store({})
    flow.run(store) if way == "run" else flow.launch(store).result(SOON)

    assert store["items"] == list(range(POOL_SIZE + 36))
    assert engine_thread.pool.size <= before  # places beyond the size go when they are idle


def test_a_pool_grows_no_further_than_it_may_and_tells_each_that_waits_once(eventually: Any) -> None:
    pool, go, told = Pool(1, most=2, patience=0.01), threading.Event(), []

    calls = [pool.submit(go.wait, SOON, told=told.append) for _ in range(4)]

    eventually(lambda: len(told) == 3)  # the first had a thread at once
    assert "3 waited" in told[0]
    assert pool.statistics()["threads"] == 2
    go.set()
    assert all(call.result(SOON) for call in calls)
    assert len(told) == 3


def test_a_pool_that_is_busy_but_gets_on_makes_no_threads() -> None:
    pool = Pool(2, patience=0.5)

    calls = [pool.submit(lambda n: n, n) for n in range(500)]

    assert [call.result(SOON) for call in calls] == list(range(500))
    assert pool.statistics()["threads"] <= 2


def test_threads_beyond_the_size_go_when_they_are_idle(eventually: Any) -> None:
    pool, go = Pool(1, most=4, patience=0.01, idle=0.05), threading.Event()
    calls = [pool.submit(go.wait, SOON) for _ in range(4)]
    eventually(lambda: pool.statistics()["threads"] == 4)

    go.set()
    assert all(call.result(SOON) for call in calls)

    eventually(lambda: pool.statistics()["threads"] == 0)
    assert pool.size == 1
