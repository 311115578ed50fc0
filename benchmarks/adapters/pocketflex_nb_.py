"""pocketflex_nb: every hop recorded, in every row."""

from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "pocketflex_nb"
HOPS = 100_000
RECORDED = "run, hops recorded"


# the hop ------------------------------------------------------------------------------------------------------------------
def ring(n):
    from pocketflex_nb import Flow, Node

    class Step(Node):
        def prep(self, shared):
            return shared["n"]

        def exec(self, x):
            return x + 1

        def post(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return closed(Step(), Step(), Flow)


def ring_that_writes_on_itself(n):
    from pocketflex_nb import Flow, Node

    class Step(Node):
        def prep(self, shared):
            self.seen = shared["n"]
            return self.seen

        def exec(self, x):
            return x + 1

        def post(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return closed(Step(), Step(), Flow)


def closed(a, b, flow_class):
    """The ring of two nodes, as a flow."""
    import warnings

    warnings.simplefilter("ignore")  # the last action has no arrow, of which PocketFlow warns, and so do we
    a - "next" >> b
    b - "next" >> a
    return flow_class(start=a)


def async_ring(n):
    from pocketflex_nb import Flow, Node

    class Step(Node):
        async def prep(self, shared):
            return shared["n"]

        async def exec(self, x):
            return x + 1

        async def post(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return closed(Step(), Step(), Flow)


def spelled_ring(n):
    from pocketflex_nb.pocketflow import AsyncFlow, AsyncNode

    class Step(AsyncNode):
        async def prep_async(self, shared):
            return shared["n"]

        async def exec_async(self, x):
            return x + 1

        async def post_async(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    return closed(Step(), Step(), AsyncFlow)


def store(values):
    from pocketflex_nb import Store

    return Store(values)


def sync_hop(case, variant, make, wrap, **options):
    @entry(case, SYS, variant, n=HOPS, **options)
    def _(m):
        make(1_000).run(wrap({"n": 0}))
        flow, shared = make(m.n), wrap({"n": 0})
        with m.timed():
            flow.run(shared)
        m.check(shared["n"] == m.n)


sync_hop("hop_sync", "Node + Flow", ring, dict, order=5, marked=True)
sync_hop("hop_sync", "Node + Flow, a step writes on self", ring_that_writes_on_itself, dict, order=6,
         note="each visit is of a copy, as in PocketFlow; above it is left out, since nobody could tell")
sync_hop("hop_observed_sync", "Node + Flow", ring, dict, order=5, marked=True)
sync_hop("hop_store", "Node + Flow on a Store", ring, store, order=5, marked=True)


def async_hop(case, variant, make, **options):
    @entry(case, SYS, variant, n=HOPS, **options)
    def _(m):
        async def main():
            await make(1_000).run_async({"n": 0})
            flow, shared = make(m.n), {"n": 0}
            with m.timed():
                await flow.run_async(shared)
            m.check(shared["n"] == m.n)

        run_asyncio(main)


for _case in ("hop_async", "hop_observed_async"):
    async_hop(_case, "Node with async def + Flow", async_ring, order=5, marked=True)
    async_hop(_case, "AsyncNode + AsyncFlow", spelled_ring, order=6, marked=True)


@entry("hop_scaling", SYS, "Node + Flow", n=1_000_000, order=5, marked=True)
def _(m):
    def one(n):
        shared = {"n": 0}
        ring(n).run(shared)
        return shared["n"] == n

    m.compare(one, m.n, 10_000)


@entry("store_size", SYS, "Node + Flow on a Store", n=100_000, order=5, marked=True)
def _(m):
    import gc
    import time

    hops, best = 20_000, {}
    for _ in range(7):
        for keys in (10, m.n):
            shared = store({"n": 0, **{f"key{i}": i for i in range(keys)}})
            flow = ring(hops)
            gc.collect()
            gc.freeze()  # the collector's walk over a large dict is no cost of a hop
            start = time.process_time()
            flow.run(shared)
            best[keys] = min(best.get(keys, 1e9), time.process_time() - start)
            gc.unfreeze()
            m.check(shared["n"] == hops)
    m.extra["ratio"] = best[m.n] / best[10]


@entry("event_memory", SYS, "Node + Flow", n=10_000, order=5, marked=True)
def _(m):
    from pocketflex_nb import runs

    ring(50).run({"n": 0})
    flow = ring(m.n)
    with m.kept():
        flow.run({"n": 0})
    m.check(runs()[-1].hops == m.n)


# many flows at once -------------------------------------------------------------------------------------------------------
def flow3(delay):
    import asyncio

    from pocketflex_nb import Flow, Node

    class Hop(Node):
        async def prep(self, shared):
            return shared["n"]

        async def exec(self, x):
            await asyncio.sleep(delay)
            return x + 1

        async def post(self, shared, p, e):
            shared["n"] = e

    a, b, c = Hop(), Hop(), Hop()
    a >> b >> c
    return Flow(start=a)


def spelled_flow3(delay):
    import asyncio

    from pocketflex_nb.pocketflow import AsyncFlow, AsyncNode

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
        for _variant, _make, _options in (
            ("gather(run_async)", flow3, {"order": 5, "marked": True}),
            ("AsyncNode + AsyncFlow, gather(run_async)", spelled_flow3, {"order": 6, "marked": True}),
        ):
            @entry(f"{_case}_{_n // 1000}k", SYS, _variant, n=_n, **_options)
            def _(m, delay=_delay, make=_make):
                import asyncio

                async def main():
                    flow = make(delay)
                    await asyncio.gather(*(flow.run_async({"n": 0}) for _ in range(10)))
                    states = [{"n": 0} for _ in range(m.n)]
                    with m.timed(memory=True):
                        await asyncio.gather(*(flow.run_async(state) for state in states))
                    m.check(sum(state["n"] for state in states) == 3 * m.n)

                run_asyncio(main)


@entry("launch", SYS, "launch(list of flows)", n=10_000, order=5, marked=True)
def _(m):
    from pocketflex_nb import launch

    flow = flow3(0)
    launch([flow] * 10, {"n": 0}).wait()
    with m.timed(memory=True):
        group = launch([flow] * m.n, {"n": 0}).wait()
    m.check(sum(run.store["n"] for run in group) == 3 * m.n)


for _case, _n in (("cancel_10k", 10_000), ("cancel_200", 200)):
    @entry(_case, SYS, "RunGroup.cancel", n=_n, order=5, marked=True)
    def _(m):
        from threading import Event

        from pocketflex_nb import Flow, Node, launch, runs

        asleep, left = Event(), [m.n]

        class Sleep(Node):
            async def exec(self, prep_res):
                import asyncio

                left[0] -= 1
                if not left[0]:
                    asleep.set()
                await asyncio.sleep(3600)

        group = launch([Flow(Sleep())] * m.n)
        asleep.wait()
        with m.timed():
            group.cancel()
            group.wait()
        m.check({run.status for run in group} == {"cancelled"} and not runs(live=True))


# a batch ------------------------------------------------------------------------------------------------------------------
@entry("parallel_batch", SYS, "BatchNode(max_concurrency=100)", n=10_000, order=5, marked=True)
def _(m):
    import asyncio

    from pocketflex_nb import BatchNode, Flow

    class Map(BatchNode):
        def prep(self, shared):
            return shared["items"]

        async def exec(self, i):
            await asyncio.sleep(0.001)
            return i * 2

        def post(self, shared, p, e):
            shared["out"] = e

    async def main():
        flow = Flow(start=Map(max_concurrency=100))
        await flow.run_async({"items": range(200)})
        shared = {"items": range(m.n)}
        with m.timed(memory=True):
            await flow.run_async(shared)
        m.check(sum(shared["out"]) == m.n * (m.n - 1))

    run_asyncio(main)


# the rest -----------------------------------------------------------------------------------------------------------------
for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, SYS, "import pocketflex_nb", n=1, order=5, marked=True)
    def _(m, before=_before):
        m.imported("import pocketflex_nb", before)


def drawing(n):
    """A flow of n nodes: a chain with branches that come back to it and loops."""
    import random

    from pocketflex_nb import Flow, Node

    rng = random.Random(7)
    nodes = [Node() for _ in range(n)]
    for number, node in enumerate(nodes):
        node.name = f"step{number}"
        if number:
            nodes[max(0, number - rng.choice((1, 1, 1, 2, 3)))].on(f"to{number}", node)
        if rng.random() < 0.1:
            node.on("back", nodes[rng.randrange(max(0, number - 8), number + 1)])
        if rng.random() < 0.2:
            node.on("skip", nodes[min(n - 1, number + rng.randint(2, 5))])
    return Flow(nodes[0], name="drawing")


for _case, _n in (("layout_30", 30), ("layout_1k", 1_000)):
    @entry(_case, SYS, "views.layout", n=_n, order=5, marked=True)
    def _(m):
        import time

        from pocketflex_nb.core.flow.flow_graph import graph_of
        from pocketflex_nb.views.layout.flow_layout import layout

        graph, walls = graph_of(drawing(m.n)), []
        for _ in range(5):
            start = time.perf_counter(), time.process_time()
            made = layout(graph)
            walls.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        m.wall, m.cpu = min(walls)
        m.check(len(made.nodes) == len(graph.nodes) == m.n)
