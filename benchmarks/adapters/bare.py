"""Plain Python and asyncio: the limit that every system is compared with."""

from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "bare Python"
HOPS = 100_000


# the hop, plain -----------------------------------------------------------------------------------------------------------
def ring(n):
    def prep(shared):
        return shared["n"]

    def exec_(x):
        return x + 1

    def post(shared, p, e):
        shared["n"] = e
        return "next" if e < n else "end"

    return {"a": (prep, exec_, post, {"next": "b"}), "b": (prep, exec_, post, {"next": "a"})}


def loop(nodes, shared):
    here = "a"
    while here is not None:
        prep, exec_, post, arrows = nodes[here]
        p = prep(shared)
        e = exec_(p)
        here = arrows.get(post(shared, p, e))


def sync_hop(case, variant, make, body, **options):
    @entry(case, SYS, variant, n=HOPS, **options)
    def _(m):
        body(make(1_000), {"n": 0})
        nodes, shared = make(m.n), {"n": 0}
        with m.timed():
            body(nodes, shared)
        m.check(shared["n"] == m.n)


def ring_of_objects(n):
    class Step:
        __slots__ = ("arrows",)

        def __init__(self):
            self.arrows = {}

        def prep(self, shared):
            return shared["n"]

        def exec(self, x):
            return x + 1

        def post(self, shared, p, e):
            shared["n"] = e
            return "next" if e < n else "end"

    a, b = Step(), Step()
    a.arrows["next"], b.arrows["next"] = b, a
    return a


def loop_of_objects(node, shared):
    while node is not None:
        p = node.prep(shared)
        e = node.exec(p)
        node = node.arrows.get(node.post(shared, p, e))


sync_hop("hop_sync", "3 calls, next by dict", ring, loop, limit=True, order=0)
sync_hop("hop_store", "3 calls, next by dict, plain dict", ring, loop, limit=True, order=0)
sync_hop("hop_sync", "3 methods of node objects", ring_of_objects, loop_of_objects, order=1)


# the hop, with coroutines -------------------------------------------------------------------------------------------------
def async_ring(n):
    async def prep(shared):
        return shared["n"]

    async def exec_(x):
        return x + 1

    async def post(shared, p, e):
        shared["n"] = e
        return "next" if e < n else "end"

    return {"a": (prep, exec_, post, {"next": "b"}), "b": (prep, exec_, post, {"next": "a"})}


async def async_loop(nodes, shared):
    here = "a"
    while here is not None:
        prep, exec_, post, arrows = nodes[here]
        p = await prep(shared)
        e = await exec_(p)
        here = arrows.get(await post(shared, p, e))


async def task_per_hop(nodes, shared):
    import asyncio

    async def one(node):
        prep, exec_, post, arrows = node
        p = await prep(shared)
        e = await exec_(p)
        return arrows.get(await post(shared, p, e))

    here = "a"
    while here is not None:
        here = await asyncio.create_task(one(nodes[here]))


def async_hop(case, variant, body, **options):
    @entry(case, SYS, variant, n=HOPS, **options)
    def _(m):
        async def main():
            await body(async_ring(1_000), {"n": 0})
            nodes, shared = async_ring(m.n), {"n": 0}
            with m.timed():
                await body(nodes, shared)
            m.check(shared["n"] == m.n)

        run_asyncio(main)


async_hop("hop_async", "3 awaits, next by dict", async_loop, limit=True, order=0)
async_hop("hop_async", "a task per hop", task_per_hop, order=1, note="the least for engines that make a task of each node")


# the hop, observed --------------------------------------------------------------------------------------------------------
def observed(nodes, shared, trace):
    here, add, i = "a", trace.append, 0
    while here is not None:
        prep, exec_, post, arrows = nodes[here]
        p = prep(shared)
        e = exec_(p)
        action = post(shared, p, e)
        add((i, here, action))
        i += 1
        here = arrows.get(action)


def observed_with_clocks(nodes, shared, trace):
    from time import perf_counter_ns as now

    here, add = "a", trace.append
    while here is not None:
        prep, exec_, post, arrows = nodes[here]
        start = now()
        p = prep(shared)
        e = exec_(p)
        action = post(shared, p, e)
        add((here, action, start, now()))
        here = arrows.get(action)


async def async_observed(nodes, shared, trace):
    here, add, i = "a", trace.append, 0
    while here is not None:
        prep, exec_, post, arrows = nodes[here]
        p = await prep(shared)
        e = await exec_(p)
        action = await post(shared, p, e)
        add((i, here, action))
        i += 1
        here = arrows.get(action)


for _variant, _body, _options in (
    ("a tuple appended", observed, {"limit": True, "order": 0}),
    ("a tuple with two clock readings", observed_with_clocks, {"order": 1}),
):
    @entry("hop_observed_sync", SYS, _variant, n=HOPS, **_options)
    def _(m, body=_body):
        body(ring(1_000), {"n": 0}, [])
        nodes, shared, trace = ring(m.n), {"n": 0}, []
        with m.timed():
            body(nodes, shared, trace)
        m.check(shared["n"] == m.n == len(trace))


@entry("hop_observed_async", SYS, "a tuple appended", n=HOPS, limit=True, order=0)
def _(m):
    async def main():
        await async_observed(async_ring(1_000), {"n": 0}, [])
        nodes, shared, trace = async_ring(m.n), {"n": 0}, []
        with m.timed():
            await async_observed(nodes, shared, trace)
        m.check(shared["n"] == m.n == len(trace))

    run_asyncio(main)


@entry("event_memory", SYS, "a tuple with two clock readings", n=10_000, limit=True, order=0)
def _(m):
    observed_with_clocks(ring(50), {"n": 0}, [])
    nodes, shared, trace = ring(m.n), {"n": 0}, []
    with m.kept():
        observed_with_clocks(nodes, shared, trace)
    m.check(len(trace) == m.n)


@entry("hop_scaling", SYS, "a tuple appended, all kept", n=1_000_000, order=0)
def _(m):
    def one(n):
        nodes, shared = ring(n), {"n": 0}
        observed(nodes, shared, [])
        return shared["n"] == n

    m.compare(one, m.n, 10_000)


# many flows at once -------------------------------------------------------------------------------------------------------
async def flow3(state, delay):
    """A flow of three hops, each with something before and after one sleep."""
    import asyncio

    for _ in range(3):
        x = state["n"]
        await asyncio.sleep(delay)
        state["n"] = x + 1
    return state["n"]


async def gathered(coros):
    import asyncio

    return await asyncio.gather(*coros)


async def grouped(coros):
    import asyncio

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coro) for coro in coros]
    return [task.result() for task in tasks]


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        for _variant, _all, _options in (("gather", gathered, {"limit": True, "order": 0}), ("TaskGroup", grouped, {"order": 1})):
            @entry(f"{_case}_{_n // 1000}k", SYS, _variant, n=_n, **_options)
            def _(m, delay=_delay, together=_all):
                async def main():
                    await together(flow3({"n": 0}, delay) for _ in range(10))
                    with m.timed(memory=True):
                        out = await together(flow3({"n": 0}, delay) for _ in range(m.n))
                    m.check(sum(out) == 3 * m.n)

                run_asyncio(main)


def loop_in_thread():
    import asyncio
    import threading

    other = asyncio.new_event_loop()
    threading.Thread(target=other.run_forever, daemon=True).start()
    return other


@entry("launch", SYS, "run_coroutine_threadsafe", n=10_000, limit=True, order=0)
def _(m):
    import asyncio

    other = loop_in_thread()

    def launch_all(n):
        futures = [asyncio.run_coroutine_threadsafe(flow3({"n": 0}, 0), other) for _ in range(n)]
        return sum(future.result() for future in futures)

    launch_all(10)
    with m.timed(memory=True):
        done = launch_all(m.n)
    m.check(done == 3 * m.n)


for _case, _n in (("cancel_10k", 10_000), ("cancel_200", 200)):
    @entry(_case, SYS, "Task.cancel", n=_n, limit=True, order=0)
    def _(m):
        import asyncio

        async def main():
            tasks = [asyncio.create_task(flow3({"n": 0}, 3600)) for _ in range(m.n)]
            await asyncio.sleep(0)
            with m.timed():
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            m.check(all(task.cancelled() for task in tasks))

        run_asyncio(main)


# a batch ------------------------------------------------------------------------------------------------------------------
ITEMS, AT_ONCE, DELAY = 10_000, 100, 0.001


async def with_semaphore(items):
    import asyncio

    places = asyncio.Semaphore(AT_ONCE)

    async def one(i):
        async with places:
            await asyncio.sleep(DELAY)
            return i * 2

    return await asyncio.gather(*(one(i) for i in items))


async def with_workers(items):
    """Workers that pull from one iterator: no task per item, no semaphore."""
    import asyncio

    items = list(items)
    out, source = [None] * len(items), enumerate(items)

    async def work():
        for k, i in source:
            await asyncio.sleep(DELAY)
            out[k] = i * 2

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return out


for _variant, _body, _options in (
    ("semaphore and gather", with_semaphore, {"limit": True, "order": 0}),
    ("100 workers on one iterator", with_workers, {"order": 1}),
):
    @entry("parallel_batch", SYS, _variant, n=ITEMS, **_options)
    def _(m, body=_body):
        async def main():
            await body(range(200))
            with m.timed(memory=True):
                out = await body(range(m.n))
            m.check(sum(out) == m.n * (m.n - 1))

        run_asyncio(main)


# the rest -----------------------------------------------------------------------------------------------------------------
@entry("import_cold", SYS, "`import asyncio` itself", n=1, order=0, note="for comparison; the others come on top of it")
def _(m):
    m.imported("import asyncio", before="")


@entry("import_kernel", SYS, "sqlite3, dataclasses, json, logging", n=1, order=0)
def _(m):
    m.imported("import sqlite3, dataclasses, json, logging", before="kernel")
