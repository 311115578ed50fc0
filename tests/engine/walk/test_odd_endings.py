"""What may a step raise? Anything: it ends its own run, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, launch, node
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import RunCancelled, StepCancelled
from tests.engine.conftest import LAUNCH, Way


class Raises(Node):
    def __init__(self, error: BaseException, where: str = "exec") -> None:
        super().__init__()
        self.error, self.where = error, where

    def _maybe(self, where: str) -> None:
        if self.where == where:
            raise self.error

    def prep(self, shared: Any) -> Any:
        self._maybe("prep")

    def exec(self, prep_res: Any) -> Any:
        self._maybe("exec")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        self._maybe("post")


class RaisesAsync(Raises):
    async def prep(self, shared: Any) -> Any:  # type: ignore[override]
        self._maybe("prep")

    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        self._maybe("exec")

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:  # type: ignore[override]
        self._maybe("post")


def fine() -> Node:
    @node
    def fine(shared: Any) -> str:
        return "fine"

    return fine


def still_works() -> None:
    assert Flow(fine()).launch({}, show=False).result(10) == "fine"


@pytest.mark.parametrize("where", ["prep", "exec", "post"])
@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
@pytest.mark.parametrize("error", [TimeoutError("t"), OSError(2, "no"), KeyError("k"), asyncio.InvalidStateError("s")], ids=repr)
def test_the_caller_gets_the_very_exception(walk: Way, kind: Any, where: str, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        walk(Flow(kind(error, where)), {})

    assert caught.value is error


@pytest.mark.parametrize("where", ["prep", "exec", "post"])
@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_an_exit_ends_a_launched_run_and_not_the_engine(kind: Any, where: str, error: BaseException) -> None:
    run = Flow(kind(error, where)).launch({}, show=False)

    with pytest.raises((type(error), RunCancelled)):
        run.result(10)

    assert run.status in ("failed", "cancelled")
    still_works()


@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_an_exit_in_a_branch_ends_that_run_and_not_the_engine(kind: Any, error: BaseException) -> None:
    @node
    def plan(shared: Any) -> None: ...

    plan >> [kind(error), Node()] >> Node()
    run = Flow(plan).launch({}, show=False)

    with pytest.raises((type(error), RunCancelled)):
        run.result(10)

    still_works()


@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_an_exit_passes_through_a_plain_run(kind: Any, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        Flow(kind(error)).run({})

    assert caught.value is error
    still_works()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_an_exit_in_a_parallel_item_ends_that_run_and_not_the_engine(error: BaseException) -> None:
    class Items(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(4)

        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            if prep_res == 2:
                raise error

    run = Flow(Items(max_concurrency=None)).launch({}, show=False)

    with pytest.raises((type(error), RunCancelled)):
        run.result(10)

    still_works()


@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
@pytest.mark.parametrize("where", ["prep", "exec", "post"])
def test_stop_iteration_ends_the_run_as_an_error(walk: Way, kind: Any, where: str) -> None:
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        walk(Flow(kind(StopIteration("over"), where)), {})


@pytest.mark.parametrize("kind", [Raises, RaisesAsync])
def test_a_cancelled_error_of_the_users_own_fails_the_run(walk: Way, kind: Any) -> None:
    with pytest.raises(StepCancelled):
        walk(Flow(kind(asyncio.CancelledError())), {})

    still_works()


@pytest.mark.parametrize("action", [7, 1.5, ("t",), b"a", object()], ids=repr)
def test_an_action_of_any_type_ends_the_flow_and_is_returned(walk: Way, action: Any) -> None:
    class Odd(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return action

    last, _ = walk(Flow(Odd()), {})

    assert last is action


def test_an_unhashable_action_is_a_type_error(walk: Way) -> None:
    class Odd(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return ["a"]

    with pytest.raises(TypeError) as caught:
        walk(Flow(Odd()), {})

    told = [str(caught.value), *getattr(caught.value, "__notes__", ())]  # PocketFlow's words in `run` and `run_async`, ours as a note
    assert walk is LAUNCH or "unhashable" in told[0]
    assert "node 'Odd' of run" in told[-1] and "which is no action" in told[-1]


def test_a_failing_run_leaves_its_neighbours_alone() -> None:
    group = launch([Flow(Raises(SystemExit(1))), Flow(fine()), Flow(Raises(ValueError("v"))), Flow(fine())], {}, show=False)

    group.wait(10)

    assert [run.status for run in group] == ["failed", "done", "failed", "done"]
    assert engine_thread.loop.is_running()


def test_a_done_callback_that_raises_is_reported_and_keeps_no_other_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []

    def bad(run: Any) -> None:
        called.append("bad")
        raise ValueError("callback")

    gate = threading.Event()

    @node
    def waits(shared: Any) -> None:
        gate.wait(10)

    run = Flow(waits).launch({}, show=False)
    run.add_done_callback(bad)
    run.add_done_callback(lambda run: called.append("good"))
    gate.set()
    run.wait(10)

    still_works()
    assert called == ["bad", "good"]
    assert "callback" in caplog.text


@pytest.mark.parametrize("hook", ["_run", "_orch"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_private_hook_of_a_flow_is_called_whichever_way_it_is_walked(walk: Way, hook: str, is_nested: bool) -> None:
    called: list[str] = []

    def hooked(self: Any, *args: Any) -> Any:
        called.append(hook)
        return getattr(Flow, hook)(self, *args)

    flow = type("Hooked", (Flow,), {hook: hooked})(Node())

    walk(Flow(flow) if is_nested else flow, {})

    assert called == [hook]
