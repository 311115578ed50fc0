"""Agents by hand: the least that asyncio can do."""

from __future__ import annotations

from typing import Any

from benchmarks.kit import Meter, entry, run_asyncio

SYS = "bare Python"
CALLS, CASTS, AGENTS, CROSS = 20_000, 100_000, 10_000, 5_000


def make_actor() -> Any:
    import asyncio

    class Actor:
        """One mailbox, one task, private state."""

        __slots__ = ("box", "n", "task")

        def __init__(self) -> None:
            self.n = 0
            self.box: asyncio.Queue[Any] = asyncio.Queue()
            self.task = asyncio.create_task(self.run())

        async def run(self) -> None:
            get = self.box.get
            while True:
                fut, message = await get()
                self.n += message
                if fut is not None:
                    fut.set_result(self.n)

        def ask(self, message: int) -> Any:
            fut = asyncio.get_running_loop().create_future()
            self.box.put_nowait((fut, message))
            return fut

        def tell(self, message: int) -> None:
            self.box.put_nowait((None, message))

    return Actor


@entry("agent_call", SYS, "asyncio.Queue + Future", n=CALLS, limit=True, order=0)
def _(m: Meter) -> None:
    async def main() -> None:
        actor = make_actor()()
        for _ in range(1000):
            await actor.ask(1)
        with m.timed():
            for _ in range(m.n):
                last = await actor.ask(1)
        m.check(last == m.n + 1000)

    run_asyncio(main)


@entry("agent_cast", SYS, "asyncio.Queue", n=CASTS, limit=True, order=0)
def _(m: Meter) -> None:
    async def main() -> None:
        actor = make_actor()()
        await actor.ask(0)
        with m.timed():
            for _ in range(m.n):
                actor.tell(1)
            last = await actor.ask(0)
        m.check(last == m.n)

    run_asyncio(main)


@entry("agent_memory", SYS, "a task and an asyncio.Queue", n=AGENTS, limit=True, order=0)
def _(m: Meter) -> None:
    async def main() -> None:
        cls = make_actor()
        for actor in [cls() for _ in range(10)]:
            await actor.ask(1)
        with m.timed(memory=True):
            live = [cls() for _ in range(m.n)]
            out = [await actor.ask(1) for actor in live]
        m.check(sum(out) == m.n)

    run_asyncio(main)


@entry("agent_call_sync", SYS, "run_coroutine_threadsafe", n=CROSS, limit=True, order=0)
def _(m: Meter) -> None:
    import asyncio
    import threading

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def make() -> Any:
        return make_actor()()

    actor = asyncio.run_coroutine_threadsafe(make(), loop).result()

    async def ask(n: int) -> Any:
        return await actor.ask(n)

    for _ in range(500):
        asyncio.run_coroutine_threadsafe(ask(1), loop).result()
    with m.timed():
        for _ in range(m.n):
            last = asyncio.run_coroutine_threadsafe(ask(1), loop).result()
    m.check(last == m.n + 500)
