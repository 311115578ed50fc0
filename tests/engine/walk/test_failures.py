"""What happens when a step fails: retries, fallbacks, error edges, and errors that are meant for somebody else."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Any

import pytest

from pocketflex_nb import END, Flow, Node, Retry, current, launch
from pocketflex_nb.core.errors import RunCancelled, UnknownAction
from tests.engine.fakes import SOON, Fail, Put

MODES = ["run", "run_async", "launch"]


def walk(flow: Any, shared: Any, mode: str) -> Any:
    """Run `flow` in `mode`; give (action, the store)."""
    if mode == "run":
        return flow.run(shared), shared
    if mode == "run_async":
        async def main() -> Any:
            return await flow.run_async(shared)
        return asyncio.run(main()), shared
    run = flow.launch(shared)
    return run.result(SOON), run.store


ALL_MODES = pytest.mark.parametrize("mode", MODES)


@ALL_MODES
def test_an_error_edge_may_lead_to_the_end(mode: str) -> None:
    put, fail = Put("before", action="go"), Fail(ValueError("broken"))
    put - "go" >> fail
    fail.on_error(END)

    action, store = walk(Flow(put), {}, mode)

    assert action is None
    assert store["before"]


class Mute(Exception):
    """Cannot tell what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")



@ALL_MODES
def test_an_exception_with_a_broken_str_ends_a_run_as_itself(mode: str) -> None:
    error = Mute()

    with pytest.raises(Mute) as caught:
        walk(Flow(Fail(error)), {}, mode)

    assert caught.value is error


@ALL_MODES
def test_a_generator_as_result_is_a_value(mode: str) -> None:
    class Lines(Node):
        def exec(self, prep_res: Any) -> Any:
            yield 1
            yield 2

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["lines"] = list(exec_res)

    _, store = walk(Flow(Lines()), {}, mode)

    assert store["lines"] == [1, 2]


@ALL_MODES
def test_an_unknown_action_warns_ends_the_flow_and_is_an_event(mode: str) -> None:
    put = Put("a", action="nowhere")
    put - "somewhere" >> Put("b")
    flow = Flow(put)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if mode == "launch":
            run = flow.launch({}).wait(SOON)
            assert "unknown_action" in [e.kind for e in run.events]
            assert any("nowhere" in text for text in run.state().problems)
        else:
            action, _ = walk(flow, {}, mode)
            assert action == "nowhere"

    assert "Flow ends: 'nowhere' not found in ['somewhere']" in [str(w.message) for w in caught]


@ALL_MODES
def test_an_unknown_action_of_a_strict_flow_names_the_nearest(mode: str) -> None:
    put = Put("a", action="aprove")
    put - "approve" >> Put("b")

    with pytest.raises(UnknownAction, match="did you mean 'approve'"):
        walk(Flow(put, strict=True), {}, mode)


def test_a_long_backoff_does_not_overflow_and_jitter_stays_below_max_wait() -> None:
    assert Retry(5000, wait=1, backoff=2, max_wait=9).delay(4000) == 9.0
    assert Retry(5000, wait=0, backoff=2).delay(4000) == 0.0
    assert Retry(3, wait=9, jitter=0.5, max_wait=9).delay(0, random=lambda: 0.999) <= 9.0


def test_launch_of_several_gives_the_first_failure_in_order() -> None:
    first, second = ValueError("first"), KeyError("second")
    group = launch([Flow(Put("ok")), Flow(Fail(first)), Flow(Fail(second))])

    with pytest.raises(ValueError, match="first") as caught:
        group.results(SOON)

    assert caught.value is first




@pytest.mark.parametrize("mode", ["run_async", "launch"])
def test_a_second_cancel_leaves_no_branch_behind(mode: str) -> None:
    begun, ended = threading.Event(), []

    class Slow(Node):
        """Takes its time to end, until it is told again."""

        async def exec(self, prep_res: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(True)

    class Twice(Node):
        async def exec(self, prep_res: Any) -> None:
            await asyncio.to_thread(begun.wait, SOON)
            run = current().run
            run.cancel()
            try:
                await asyncio.Event().wait()
            finally:
                run.cancel()

    start = Put("start")
    start >> [Slow(), Twice()] >> Put("join")

    with pytest.raises(RunCancelled):
        walk(Flow(start), {}, mode)

    assert ended == [True]
