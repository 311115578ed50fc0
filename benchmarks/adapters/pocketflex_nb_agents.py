"""Our agents, with every event recorded."""

from __future__ import annotations

from typing import Any

from benchmarks.kit import Meter, entry, run_asyncio

SYS = "pocketflex_nb"
CALLS, CASTS, AGENTS, CROSS = 20_000, 100_000, 10_000, 5_000


def make_counter() -> Any:
    from pocketflex_nb import Agent

    class Counter(Agent):
        async def init(self) -> None:
            self.n = 0

        async def handle_call(self, message: Any, caller: Any) -> Any:
            self.n += message
            return self.n

        async def handle_cast(self, message: Any) -> None:
            self.n += message

    return Counter


@entry("agent_call", SYS, "ref.call", n=CALLS, order=5, marked=True)
def _(m: Meter) -> None:
    async def main() -> None:
        ref = await make_counter().start(engine="inline")
        for _ in range(1000):
            await ref.call(1)
        with m.timed():
            for _ in range(m.n):
                last = await ref.call(1)
        m.check(last == m.n + 1000)
        await ref.stop()

    run_asyncio(main)


@entry("agent_cast", SYS, "ref.cast", n=CASTS, order=5, marked=True)
def _(m: Meter) -> None:
    async def main() -> None:
        ref = await make_counter().start(engine="inline")
        await ref.call(0)
        with m.timed():
            for _ in range(m.n):
                ref.cast(1)
            last = await ref.call(0)
        m.check(last == m.n)
        await ref.stop()

    run_asyncio(main)


@entry("agent_memory", SYS, "Agent.start", n=AGENTS, order=5, marked=True)
def _(m: Meter) -> None:
    async def main() -> None:
        cls = make_counter()
        for _ in range(10):
            await (await cls.start(engine="inline")).call(1)
        with m.timed(memory=True):
            live = [await cls.start(engine="inline") for _ in range(m.n)]
            out = [await ref.call(1) for ref in live]
        m.check(sum(out) == m.n)

    run_asyncio(main)


@entry("agent_call_sync", SYS, "ref.call_sync", n=CROSS, order=5, marked=True)
def _(m: Meter) -> None:
    ref = make_counter().start_sync()
    for _ in range(500):
        ref.call_sync(1)
    with m.timed():
        for _ in range(m.n):
            last = ref.call_sync(1)
    m.check(last == m.n + 500)


@entry("agent_restart", SYS, "Supervisor", n=200, order=5, marked=True)
def _(m: Meter) -> None:
    async def main() -> None:
        import asyncio

        from pocketflex_nb import Agent, Supervisor, child

        born: Any = None

        class Mortal(Agent):
            async def init(self) -> None:
                if born is not None and not born.done():
                    born.set_result(None)

            async def handle_cast(self, message: Any) -> None:
                raise message

        async with Supervisor([child(Mortal, id="m")], max_restarts=10_000, engine="inline") as sup:
            with m.timed():
                for _ in range(m.n):
                    born = asyncio.get_running_loop().create_future()
                    sup["m"].cast(ValueError("on purpose"))
                    await born
                    await asyncio.sleep(0)
            m.check(sup.children()[0].restarts == m.n)

    run_asyncio(main)


@entry("agent_1000", SYS, "DynamicSupervisor", n=1_000, order=5, marked=True)
def _(m: Meter) -> None:
    async def main() -> None:
        import asyncio

        from pocketflex_nb import DynamicSupervisor

        cls = make_counter()
        with m.timed():
            async with DynamicSupervisor(engine="inline") as ds:
                refs = [await ds.start_child(cls) for _ in range(m.n)]
                last = await refs[-1].call(1)
        await asyncio.sleep(0)
        m.check(last == 1 and len(asyncio.all_tasks()) == 1 and not any(ref.is_alive for ref in refs))

    run_asyncio(main)
