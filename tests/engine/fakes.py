"""Nodes that the engine's tests share: they say what they do and wait where a test wants them to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pocketflex_nb import Node
from pocketflex_nb.concurrency.engine_thread import engine_thread

#: seconds after which a wait that should have ended long ago fails its test
SOON = 20.0


class Put(Node):
    """Writes `value` under its key and takes `action`."""

    def __init__(self, key: str, value: Any = True, action: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.key, self.value, self.action, self.name = key, value, action, key

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared[self.key] = self.value
        return self.action


class AsyncPut(Put):
    """The same, ``async def`` throughout."""

    async def prep(self, shared: Any) -> None:
        await asyncio.sleep(0)

    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(0)

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        await asyncio.sleep(0)
        shared[self.key] = self.value
        return self.action


class Wait(Node):
    """Awaits for ever; `started` tells when, `ended` tells that its `finally` ran."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.started, self.ended = threading.Event(), threading.Event()
        self.name = "wait"

    async def exec(self, prep_res: Any) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


class Block(Node):
    """Blocks its thread until `release` is set, then writes `late` to the store it was told of, and returns "free"."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.started, self.release, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.told: list[Any] = []
        self.name = "block"

    def prep(self, shared: Any) -> Any:
        return shared

    def exec(self, prep_res: Any) -> Any:
        self.started.set()
        assert self.release.wait(SOON)
        try:
            prep_res["late"] = True
        finally:
            self.ended.set()
        return "free"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["result"] = exec_res


class Fail(Node):
    """Raises `error` in `step`."""

    def __init__(self, error: BaseException, step: str = "exec", **options: Any) -> None:
        super().__init__(**options)
        self.error, self.step, self.name = error, step, "fail"

    def _maybe(self, step: str) -> None:
        if step == self.step:
            raise self.error

    def prep(self, shared: Any) -> None:
        self._maybe("prep")

    def exec(self, prep_res: Any) -> None:
        self._maybe("exec")

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        self._maybe("post")


def went(event: threading.Event) -> None:
    """Wait for `event`, which is due."""
    assert event.wait(SOON)


async def _others() -> list[Any]:
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def _turn_until_empty() -> list[Any]:
    for _ in range(1000):
        left = await _others()
        if not left:
            return []
        await asyncio.sleep(0)
    return left


@pytest.fixture
def no_task_is_left() -> Any:
    """After the test no task is on the engine's loop that was not there before."""
    before = set(engine_thread.submit(_others()).result(SOON))
    yield
    left = set(engine_thread.submit(_turn_until_empty()).result(SOON)) - before
    assert not left
