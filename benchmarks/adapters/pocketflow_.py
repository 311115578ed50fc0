"""PocketFlow (0.0.x): 100 lines, Node prep/exec/post, Flow, async and batch variants."""
from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "pocketflow"
HOPS = 100_000


def ring(n):
    from pocketflow import Flow, Node

    class Step(Node):
        def prep(self, shared):
            return shared["n"]

        def exec(self, x):
            return x + 1

        def post(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return _close(Step(), Step(), Flow)


def _close(a, b, flow_cls):
    import warnings

    warnings.simplefilter("ignore")  # pocketflow warns when an action ends the flow
    a - "next" >> b
    b - "next" >> a
    return flow_cls(start=a)


def aring(n):
    from pocketflow import AsyncFlow, AsyncNode

    class Step(AsyncNode):
        async def prep_async(self, shared):
            return shared["n"]

        async def exec_async(self, x):
            return x + 1

        async def post_async(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return _close(Step(), Step(), AsyncFlow)


@entry("hop_sync", SYS, "Node + Flow", n=HOPS, order=10)
def _(m):
    ring(1000).run({"n": 0})
    flow, shared = ring(m.n), {"n": 0}
    with m.timed():
        flow.run(shared)
    m.check(shared["n"] == m.n)


@entry("hop_async", SYS, "AsyncNode + AsyncFlow", n=HOPS, order=10)
def _(m):
    async def main():
        await aring(1000).run_async({"n": 0})
        flow, shared = aring(m.n), {"n": 0}
        with m.timed():
            await flow.run_async(shared)
        m.check(shared["n"] == m.n)

    run_asyncio(main)


# PocketFlow has no observability of its own; its cookbook wraps the nodes of a flow.
# This is that idea in its cheapest form: a base class whose _run appends one tuple.
@entry("hop_observed_sync", SYS, "none built in: _run override, tuple", n=HOPS, order=10,
       note="hand-written by the user; pocketflow ships no tracing")
def _(m):
    from pocketflow import Flow, Node

    trace = []

    def build(n):
        class Step(Node):
            def prep(self, shared):
                return shared["n"]

            def exec(self, x):
                return x + 1

            def post(self, shared, p, e):
                shared["n"] = e
                return "next" if e < n else "end"

            def _run(self, shared):
                act = super()._run(shared)
                trace.append((len(trace), type(self).__name__, act))
                return act

        return _close(Step(), Step(), Flow)

    build(1000).run({"n": 0})
    trace.clear()
    flow, shared = build(m.n), {"n": 0}
    with m.timed(memory=True):
        flow.run(shared)
    m.check(shared["n"] == m.n and len(trace) == m.n)


@entry("hop_observed_async", SYS, "none built in: _run_async override, tuple", n=HOPS, order=10,
       note="hand-written by the user; pocketflow ships no tracing")
def _(m):
    from pocketflow import AsyncFlow, AsyncNode

    trace = []

    def build(n):
        class Step(AsyncNode):
            async def prep_async(self, shared):
                return shared["n"]

            async def exec_async(self, x):
                return x + 1

            async def post_async(self, shared, p, e):
                shared["n"] = e
                return "next" if e < n else "end"

            async def _run_async(self, shared):
                act = await super()._run_async(shared)
                trace.append((len(trace), type(self).__name__, act))
                return act

        return _close(Step(), Step(), AsyncFlow)

    async def main():
        await build(1000).run_async({"n": 0})
        trace.clear()
        flow, shared = build(m.n), {"n": 0}
        with m.timed(memory=True):
            await flow.run_async(shared)
        m.check(shared["n"] == m.n and len(trace) == m.n)

    run_asyncio(main)


# ---------------------------------------------------------------- fanout
def flow3(delay):
    import asyncio

    from pocketflow import AsyncFlow, AsyncNode

    class Hop(AsyncNode):
        async def prep_async(self, shared):
            return shared["n"]

        async def exec_async(self, x):
            await asyncio.sleep(delay)
            return x + 1

        async def post_async(self, shared, p, e):
            shared["n"] = e

    a, b, c = Hop(), Hop(), Hop()
    a >> b >> c
    return AsyncFlow(start=a)


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        @entry(f"{_case}_{_n // 1000}k", SYS, "one flow object, gather(run_async)", n=_n, order=10)
        def _(m, delay=_delay):
            import asyncio

            async def main():
                flow = flow3(delay)
                await asyncio.gather(*(flow.run_async({"n": 0}) for _ in range(10)))
                states = [{"n": 0} for _ in range(m.n)]
                with m.timed(memory=True):
                    await asyncio.gather(*(flow.run_async(s) for s in states))
                m.check(sum(s["n"] for s in states) == 3 * m.n)

            run_asyncio(main)


# ---------------------------------------------------------------- parallel_batch
def _pbatch(m, sem_factory):
    import asyncio

    from pocketflow import AsyncFlow, AsyncParallelBatchNode

    class Map(AsyncParallelBatchNode):
        async def prep_async(self, shared):
            self.sem = sem_factory()
            return shared["items"]

        async def exec_async(self, i):
            async with self.sem:
                await asyncio.sleep(0.001)
                return i * 2

        async def post_async(self, shared, p, e):
            shared["out"] = e

    async def main():
        flow = AsyncFlow(start=Map())
        await flow.run_async({"items": range(200)})
        shared = {"items": range(m.n)}
        with m.timed(memory=True):
            await flow.run_async(shared)
        m.check(sum(shared["out"]) == m.n * (m.n - 1))

    run_asyncio(main)


@entry("parallel_batch", SYS, "AsyncParallelBatchNode + semaphore by hand", n=10_000, order=10,
       note="no built-in limit")
def _(m):
    import asyncio

    _pbatch(m, lambda: asyncio.Semaphore(100))


for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, SYS, "the documented import", n=1, order=10)
    def _(m, before=_before):
        m.imported("from pocketflow import Node, Flow, AsyncNode, AsyncFlow", before)
