"""llama-index-workflows classes (module level: step signatures are inspected)."""
import asyncio

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Go(StartEvent):
    limit: int = 0
    delay: float = 0.0


class Ping(Event):
    n: int


class Pong(Event):
    n: int


class EventRing(Workflow):
    """Counter travels in the event; the limit sits on the instance: the leanest idiomatic form."""

    limit = 0

    @step
    async def start(self, ev: Go) -> Ping:
        return Ping(n=0)

    @step
    async def a(self, ev: Ping) -> Pong | StopEvent:
        n = ev.n + 1
        return Pong(n=n) if n < self.limit else StopEvent(result=n)

    @step
    async def b(self, ev: Pong) -> Ping | StopEvent:
        n = ev.n + 1
        return Ping(n=n) if n < self.limit else StopEvent(result=n)


class Tick(Event):
    pass


class Tock(Event):
    pass


class StoreRing(Workflow):
    """Counter lives in ctx.store, as the docs advise for shared state."""

    limit = 0

    @step
    async def start(self, ctx: Context, ev: Go) -> Tick:
        await ctx.store.set("n", 0)
        return Tick()

    @step
    async def a(self, ctx: Context, ev: Tick) -> Tock | StopEvent:
        n = await ctx.store.get("n") + 1
        await ctx.store.set("n", n)
        return Tock() if n < self.limit else StopEvent(result=n)

    @step
    async def b(self, ctx: Context, ev: Tock) -> Tick | StopEvent:
        n = await ctx.store.get("n") + 1
        await ctx.store.set("n", n)
        return Tick() if n < self.limit else StopEvent(result=n)


class E1(Event):
    n: int


class E2(Event):
    n: int


class Flow3(Workflow):
    delay = 0.0

    @step
    async def a(self, ev: Go) -> E1:
        await asyncio.sleep(self.delay)
        return E1(n=1)

    @step
    async def b(self, ev: E1) -> E2:
        await asyncio.sleep(self.delay)
        return E2(n=ev.n + 1)

    @step
    async def c(self, ev: E2) -> StopEvent:
        await asyncio.sleep(self.delay)
        return StopEvent(result=ev.n + 1)


class Item(Event):
    i: int


class Done(Event):
    v: int


class MapFlow(Workflow):
    @step
    async def split(self, ev: Go) -> list[Item]:
        return [Item(i=i) for i in range(ev.limit)]

    @step(num_workers=100)
    async def work(self, ev: Item) -> Done:
        await asyncio.sleep(0.001)
        return Done(v=ev.i * 2)

    @step
    async def gather(self, evs: list[Done]) -> StopEvent:
        return StopEvent(result=sum(e.v for e in evs))


class MapSend(Workflow):
    """The older idiom: ctx.send_event per item, ctx.collect_events at the end."""

    @step
    async def split(self, ctx: Context, ev: Go) -> Item | None:
        await ctx.store.set("k", ev.limit)
        for i in range(ev.limit):
            ctx.send_event(Item(i=i))

    @step(num_workers=100)
    async def work(self, ev: Item) -> Done:
        await asyncio.sleep(0.001)
        return Done(v=ev.i * 2)

    @step
    async def gather(self, ctx: Context, ev: Done) -> StopEvent | None:
        got = ctx.collect_events(ev, [Done] * await ctx.store.get("k"))
        if got is None:
            return None
        return StopEvent(result=sum(e.v for e in got))
