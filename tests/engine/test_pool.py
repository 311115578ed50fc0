"""The pool's places: steps that wait for somebody do not keep others from working."""

from __future__ import annotations

import threading
from typing import Any

from pocketflex_nb import Flow, Node, ask, launch
from pocketflex_nb.engine.pool import Pool
from pocketflex_nb.engine.thread import POOL_SIZE, engine_thread
from tests.engine.people import SOON

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

    assert engine_thread.pool.size == before


def test_an_abandoned_thread_lets_queued_work_begin_at_once() -> None:
    pool, release = Pool(1), threading.Event()
    stuck = pool.submit(release.wait, SOON)
    queued = pool.submit(lambda: "done")

    pool.abandon()

    assert queued.result(SOON) == "done"
    release.set()
    assert stuck.result(SOON)
