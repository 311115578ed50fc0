"""A result that one thread gives and another waits for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pocketflex_nb.concurrency.portal_future import PortalFuture

ERRORS = [ValueError("no"), TimeoutError("late"), StopIteration(1), asyncio.CancelledError(), KeyboardInterrupt()]


def _elsewhere(*calls: object) -> None:
    """Call `calls` in another thread, one after the other, and wait for that thread."""
    thread = threading.Thread(target=lambda: [call() for call in calls])  # type: ignore[operator]
    thread.start()
    thread.join()


def test_plain_code_gets_what_another_thread_gave_first() -> None:
    waiting = PortalFuture()

    _elsewhere(lambda: waiting.set_result(1), lambda: waiting.set_result(2), lambda: waiting.set_exception(ValueError()))

    assert waiting.wait(5) and waiting.done()
    assert waiting.result() == 1


def test_a_task_gets_what_another_thread_gave_first() -> None:
    async def main() -> object:
        waiting = PortalFuture(asyncio.get_running_loop())
        _elsewhere(lambda: waiting.set_result(1), lambda: waiting.set_exception(ValueError()))
        return await waiting

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_plain_code_gets_each_exception_as_the_object_that_it_is(error: BaseException) -> None:
    waiting = PortalFuture()

    _elsewhere(lambda: waiting.set_exception(error))

    assert waiting.wait(5)
    with pytest.raises(type(error)) as raised:
        waiting.result()
    assert raised.value is error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_task_is_woken_by_each_exception(error: BaseException) -> None:
    seen: list[BaseException] = []

    async def main() -> None:
        waiting = PortalFuture(asyncio.get_running_loop())
        _elsewhere(lambda: waiting.set_exception(error))
        try:
            await waiting
        except BaseException as exc:
            seen.append(exc)

    asyncio.run(main())

    assert seen[0] is error or seen[0].__cause__ is error  # a coroutine makes a RuntimeError of StopIteration


def test_a_wait_that_is_over_is_told_so() -> None:
    waiting = PortalFuture()

    assert not waiting.wait(0.01)
    assert not waiting.done()


def test_what_comes_after_the_waiter_gave_up_is_dropped() -> None:
    waiting = PortalFuture()

    waiting.give_up()

    assert waiting.done() and not waiting.is_settled
    assert not waiting.set_result(1)


def test_settling_for_a_loop_that_was_closed_says_that_nobody_is_reached() -> None:
    loop = asyncio.new_event_loop()
    waiting = PortalFuture(loop)
    loop.close()

    assert not waiting.set_result(1)
    assert waiting.is_settled


def test_a_task_that_was_cancelled_does_not_take_the_result() -> None:
    async def main() -> bool:
        waiting = PortalFuture(asyncio.get_running_loop())
        task = asyncio.ensure_future(_wait(waiting))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return waiting.set_result(1)

    assert not asyncio.run(main())


async def _wait(waiting: PortalFuture) -> object:
    return await waiting
