"""What happens when a step fails: retries, fallbacks, error edges, and errors that are meant for somebody else."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Any

import pytest

from pocketflex_nb import END, BatchNode, Flow, Node, Retry, current, launch, node
from pocketflex_nb.core.errors import NodeTimeout, UnknownAction
from pocketflex_nb.core.nodes import Fork
from pocketflex_nb.engine.thread import engine_thread
from tests.engine.people import SOON, AsyncPut, Fail, Put

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


class Flaky(Node):
    """Fails its first `failures` tries."""

    def __init__(self, failures: int, error: type[Exception] = ValueError, **options: Any) -> None:
        super().__init__(**options)
        self.failures, self.error, self.tries = failures, error, []

    def exec(self, prep_res: Any) -> str:
        self.tries.append(self.cur_retry)
        if len(self.tries) <= self.failures:
            raise self.error("not yet")
        return "worked"

    def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
        self.tries.append(f"gave up: {exc}")
        raise exc

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["out"] = exec_res


class AsyncFlaky(Flaky):
    async def exec(self, prep_res: Any) -> str:  # type: ignore[override]
        await asyncio.sleep(0)
        return Flaky.exec(self, prep_res)


KINDS = pytest.mark.parametrize("kind", [Flaky, AsyncFlaky])
ALL_MODES = pytest.mark.parametrize("mode", MODES)


@ALL_MODES
@KINDS
def test_exec_is_tried_as_often_as_max_retries_says(kind: Any, mode: str) -> None:
    flaky = kind(2, max_retries=3)

    _, store = walk(Flow(flaky), {}, mode)

    assert (flaky.tries, store["out"]) == ([0, 1, 2], "worked")


@ALL_MODES
@KINDS
def test_spent_tries_go_to_the_fallback_and_raise_the_same_object(kind: Any, mode: str) -> None:
    flaky = kind(9, max_retries=2)

    with pytest.raises(ValueError, match="not yet"):
        walk(Flow(flaky), {}, mode)

    assert flaky.tries == [0, 1, "gave up: not yet"]


@ALL_MODES
@KINDS
def test_retry_on_lets_other_errors_through_at_once(kind: Any, mode: str) -> None:
    flaky = kind(9, KeyError, retry=Retry(5, on=ValueError))

    with pytest.raises(KeyError):
        walk(Flow(flaky), {}, mode)

    assert flaky.tries[0] == 0
    assert len(flaky.tries) == 2


@ALL_MODES
def test_a_failed_run_raises_the_very_object_that_was_raised(mode: str) -> None:
    error = KeyError("gone")

    with pytest.raises(KeyError) as caught:
        walk(Flow(Fail(error)), {}, mode)

    assert caught.value is error
    assert caught.value.args == ("gone",)


@ALL_MODES
@pytest.mark.parametrize("step", ["prep", "exec", "post"])
def test_an_error_edge_takes_a_failure_of_any_step_and_the_handler_reads_it(mode: str, step: str) -> None:
    error, seen = ValueError("broken"), []
    fail = Fail(error, step)

    @node
    def mend(shared: Any) -> str:
        seen.append(current().error)
        shared["mended"] = True
        return "again"

    fail.on_error(mend)
    mend - "again" >> Put("after")
    _, store = walk(Flow(fail), {}, mode)

    assert seen == [error]
    assert (store["mended"], store["after"]) == (True, True)


@ALL_MODES
def test_an_error_in_the_handler_is_not_caught_by_it(mode: str) -> None:
    fail, handler = Fail(ValueError("first")), Fail(KeyError("second"))
    fail.on_error(handler)

    with pytest.raises(KeyError, match="second"):
        walk(Flow(fail), {}, mode)


@ALL_MODES
def test_an_error_edge_may_lead_to_the_end(mode: str) -> None:
    put, fail = Put("before", action="go"), Fail(ValueError("broken"))
    put - "go" >> fail
    fail.on_error(END)

    action, store = walk(Flow(put), {}, mode)

    assert action is None
    assert store["before"]


@ALL_MODES
def test_an_error_edge_may_lead_to_a_fan_out(mode: str) -> None:
    fail, tell = Fail(ValueError("broken")), Put("tell")
    fork = Fork([Put("a"), Put("b")])
    fork.next(tell)
    fail.on_error(fork)

    _, store = walk(Flow(fail), {}, mode)

    assert (store["a"], store["b"], store["tell"]) == (True, True, True)


@ALL_MODES
def test_an_error_edge_around_a_nested_flow_takes_what_fails_inside(mode: str) -> None:
    inner = Flow(Fail(ValueError("deep")), name="inner")
    inner.on_error(Put("mended"))

    _, store = walk(Flow(inner), {}, mode)

    assert store["mended"]


@ALL_MODES
def test_an_error_edge_inside_a_branch_keeps_the_siblings_going(mode: str) -> None:
    start, fail, join = Put("start"), Fail(ValueError("broken")), Put("join")
    mend, other = Put("mend"), AsyncPut("other")
    start >> [fail, other] >> join
    fail.on_error(mend)
    mend >> join

    _, store = walk(Flow(start), {}, mode)

    assert {"start", "mend", "other", "join"} <= set(store)


@ALL_MODES
def test_a_branch_that_fails_cancels_its_siblings(mode: str) -> None:
    begun, ended = threading.Event(), threading.Event()

    class Sibling(Node):
        async def exec(self, prep_res: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    class FailLater(Node):
        def exec(self, prep_res: Any) -> None:
            pass

        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            while not begun.is_set():
                await asyncio.sleep(0)
            raise ValueError("broken")

    start = Put("start")
    start >> [Sibling(), FailLater()] >> Put("join")

    with pytest.raises(ValueError, match="broken"):
        walk(Flow(start), {}, mode)

    assert ended.wait(SOON)


class Mute(Exception):
    """Cannot tell what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@ALL_MODES
@KINDS
def test_an_exception_with_a_broken_str_is_retried_and_recorded(kind: Any, mode: str) -> None:
    flaky = kind(1, max_retries=2)
    flaky.error = lambda text: Mute()

    _, store = walk(Flow(flaky), {}, mode)

    assert store["out"] == "worked"


@ALL_MODES
def test_an_exception_with_a_broken_str_ends_a_run_as_itself(mode: str) -> None:
    error = Mute()

    with pytest.raises(Mute) as caught:
        walk(Flow(Fail(error)), {}, mode)

    assert caught.value is error


@ALL_MODES
def test_stop_iteration_in_a_plain_exec_fails_the_run_and_hangs_nobody(mode: str) -> None:
    class Empty(Node):
        def exec(self, prep_res: Any) -> Any:
            return next(iter(()))

    with pytest.raises((StopIteration, RuntimeError)):
        walk(Flow(Empty()), {}, mode)


@ALL_MODES
def test_stop_iteration_in_an_async_exec_fails_the_run(mode: str) -> None:
    class Empty(Node):
        async def exec(self, prep_res: Any) -> Any:
            return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        walk(Flow(Empty()), {}, mode)


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


def _leaving(error: BaseException, is_async: bool) -> Node:
    class Leave(Node):
        def exec(self, prep_res: Any) -> None:
            raise error

    class AsyncLeave(Node):
        async def exec(self, prep_res: Any) -> None:
            await asyncio.sleep(0)
            raise error

    return AsyncLeave() if is_async else Leave()


def _engine_lives() -> bool:
    return Flow(AsyncPut("alive")).launch({}).wait(SOON).status == "done"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["node", "branch", "batch"])
def test_an_exit_in_a_launched_node_ends_its_run_and_never_the_engine(error: BaseException, is_async: bool, place: str) -> None:
    leave = _leaving(error, is_async)
    flow = Flow(leave)
    if place == "branch":
        start = Put("start")
        start >> [leave, AsyncPut("other")] >> Put("join")
        flow = Flow(start)
    if place == "batch":
        class Items(type(leave), BatchNode):  # type: ignore[misc]
            def prep(self, shared: Any) -> list[int]:
                return [1, 2, 3]
        flow = Flow(Items(max_concurrency=2))

    run = flow.launch({}).wait(SOON)

    assert run.status == ("failed" if isinstance(error, SystemExit) else "cancelled")
    assert _engine_lives()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_in_an_async_step_of_a_plain_run_reaches_the_caller_and_the_engine_lives(error: BaseException) -> None:
    with pytest.raises(type(error)):
        Flow(_leaving(error, is_async=True)).run({})

    assert _engine_lives()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_in_a_branch_of_a_plain_run_reaches_the_caller(error: BaseException) -> None:
    start = Put("start")
    start >> [_leaving(error, is_async=False), AsyncPut("b")]

    with pytest.raises(type(error)):
        Flow(start).run({})

    assert _engine_lives()


@ALL_MODES
def test_a_timeout_bounds_one_try_of_a_plain_exec(mode: str) -> None:
    release = threading.Event()

    class Slow(Node):
        def exec(self, prep_res: Any) -> str:
            if self.cur_retry == 0:
                release.wait(SOON)
            return "quick"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["out"] = exec_res

    try:
        _, store = walk(Flow(Slow(max_retries=2, timeout=0.05)), {}, mode)
    finally:
        release.set()

    assert store["out"] == "quick"


@ALL_MODES
def test_a_timeout_that_is_spent_names_the_node_and_the_mend(mode: str) -> None:
    class Slow(Node):
        async def exec(self, prep_res: Any) -> None:
            await asyncio.Event().wait()

    with pytest.raises(NodeTimeout, match=r"'Slow' took longer than 0\.02 s; give it more with timeout="):
        walk(Flow(Slow(timeout=0.02)), {}, mode)


@ALL_MODES
def test_a_timeout_error_of_the_users_own_stays_itself(mode: str) -> None:
    error = TimeoutError("the provider's")

    class Provider(Node):
        async def exec(self, prep_res: Any) -> None:
            raise error

    with pytest.raises(TimeoutError) as caught:
        walk(Flow(Provider(timeout=SOON)), {}, mode)

    assert caught.value is error


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


def test_backoff_and_jitter_are_waited_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    flaky = Flaky(3, retry=Retry(4, wait=1, backoff=2, max_wait=3))

    Flow(flaky).run({})

    assert waits == [1.0, 2.0, 3.0]


def test_a_long_backoff_does_not_overflow_and_jitter_stays_below_max_wait() -> None:
    assert Retry(5000, wait=1, backoff=2, max_wait=9).delay(4000) == 9.0
    assert Retry(5000, wait=0, backoff=2).delay(4000) == 0.0
    assert Retry(3, wait=9, jitter=0.5, max_wait=9).delay(0, random=lambda: 0.999) <= 9.0


def test_a_callback_that_fails_does_not_keep_the_others_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    go, heard = threading.Event(), threading.Event()

    class Hold(Node):
        def exec(self, prep_res: Any) -> None:
            go.wait(SOON)

    run = Flow(Hold()).launch({})
    run.add_done_callback(lambda _: 1 / 0)
    run.add_done_callback(lambda _: heard.set())
    go.set()

    assert heard.wait(SOON)
    assert run.wait(SOON).status == "done"


def test_detached_branches_that_fail_are_seen_in_the_record_and_fail_nobody() -> None:
    release = threading.Event()

    class Hold(Node):
        def exec(self, prep_res: Any) -> None:
            release.wait(SOON)

    start, fail, main = Put("start"), Fail(ValueError("aside")), Hold()
    start.successors["default"] = Fork([main], detached=[fail])
    run = Flow(start).launch({})
    while not any(e.kind == "node_failed" for e in run.events):
        run.wait(0.01)
    release.set()

    assert run.wait(SOON).status == "done"
    assert run.state().nodes["fail"].status == "failed"


def test_launch_of_several_gives_the_first_failure_in_order() -> None:
    first, second = ValueError("first"), KeyError("second")
    group = launch([Flow(Put("ok")), Flow(Fail(first)), Flow(Fail(second))])

    with pytest.raises(ValueError, match="first") as caught:
        group.results(SOON)

    assert caught.value is first


def test_the_engine_thread_stays_the_same_through_all_this() -> None:
    before = engine_thread.ident
    Flow(_leaving(SystemExit(1), is_async=True)).launch({}).wait(SOON)

    assert _engine_lives()
    assert engine_thread.ident == before or before is None
