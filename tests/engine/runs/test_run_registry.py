"""Which runs are remembered, and for how long."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pocketflex_nb
from pocketflex_nb import Flow, Node, Run, forget, launch, runs
from pocketflex_nb.engine.runs.run import forgetting
from pocketflex_nb.engine.runs.run_lifecycle import registry
from pocketflex_nb.engine.runs.run_registry import REMEMBERED


class Writes(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["x"] = 1


class Waits(Node):
    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(600)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # it says that tasks of closed loops were destroyed
    forget()
    yield
    runs(keep=REMEMBERED)


def _over(number: int) -> list[Run]:
    return list(launch([Flow(Writes()) for _ in range(number)], show=False).wait(30))


def test_the_names_are_public() -> None:
    assert {"forget", "runs"} <= set(pocketflex_nb.__all__)


def test_forget_drops_all_that_are_over_and_no_other() -> None:
    _over(3)
    going = launch(Flow(Waits()), show=False)

    assert forget() == 3 and runs() == [going]

    going.cancel()
    going.wait(10)


def test_forget_drops_the_runs_and_groups_that_are_named() -> None:
    first, second, *rest = _over(5)
    group = launch([Flow(Writes())] * 2, show=False).wait(10)

    assert forget(first, group) == 3
    assert runs() == [second, *rest]
    assert forget(first) == 0


def test_a_forgotten_run_and_its_store_are_freed() -> None:
    run = weakref.ref(_over(1)[0])
    store = weakref.ref(run().store)  # type: ignore[union-attr]

    forget()
    gc.collect()

    assert run() is None and store() is None


def test_whoever_shows_runs_is_told_which_are_forgotten() -> None:
    told: list[list[Run]] = []
    made = _over(2)
    forgetting.append(told.append)
    try:
        forget(made[0])
        forget()
        forget()
    finally:
        forgetting.remove(told.append)

    assert told == [[made[0]], [made[1]]]


def test_as_many_are_remembered_as_keep_says() -> None:
    made = _over(5)

    assert runs(keep=2) == made[-2:]
    assert runs() == made[-2:]
    last = _over(3)
    assert runs() == last[-2:]
    assert runs(keep=0) == []
    _over(1)
    assert runs() == []
    assert runs(keep=3) == [] and _over(2) == runs()


@pytest.mark.parametrize(("keep", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError), ("many", TypeError)])
def test_a_keep_that_is_no_number_of_runs_is_refused(keep: Any, error: type[Exception]) -> None:
    made = _over(1)

    with pytest.raises(error, match=r"runs\(keep="):
        runs(keep=keep)

    assert runs() == made


def _bare() -> Any:
    return Flow(Waits()).run_async({})


def _limited() -> Any:
    return Flow(Waits(), max_steps=5).run_async({})


def _inside() -> Any:
    async def outer() -> None:
        await Flow(Waits()).run_async({})

    return outer()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("begin", [_bare, _limited, _inside])
def test_a_run_whose_loop_was_closed_ends(begin: Callable[[], Any]) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(begin())
    loop.run_until_complete(asyncio.sleep(0.01))
    (run,) = runs(live=True)
    loop.close()

    assert runs(live=True) == [] and run.status == "cancelled"
    assert "was closed" in str(run.error)

    ended = weakref.ref(run)
    del task, run, loop
    forget()
    gc.collect()
    assert ended() is None


def test_a_coroutine_that_is_dropped_ends_its_run() -> None:
    coro = Flow(Waits()).run_async({})

    async def first_step() -> None:
        coro.send(None)

    with pytest.raises(RuntimeError):  # it waits for a future of a loop that does not drive it
        asyncio.run(_awaited(first_step(), coro))

    assert runs(live=True) == []


async def _awaited(first: Any, coro: Any) -> None:
    await first
    coro.close()
    raise RuntimeError


def test_closed_loops_are_found_although_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "look_at", 4)
    monkeypatch.setattr(registry, "_next_look", 4)
    for _ in range(20):
        loop = asyncio.new_event_loop()
        task = loop.create_task(_bare())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        del task, loop
    gc.collect()

    assert len(registry) <= 10
    assert runs(live=True) == []
