"""llama-index-workflows: event-driven steps; a journal and an event stream are always on."""
from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "llama-index-workflows"
HOPS = 2_000


def make(name, n):
    from benchmarks.adapters import _wf_flows as f

    wf = getattr(f, name)(timeout=None)
    wf.limit = n
    return wf


def hop(variant, name, *, order, note=""):
    @entry("hop_async", SYS, variant, n=HOPS, order=order, note=note)
    def _(m):
        async def main():
            await make(name, 50).run()
            wf = make(name, m.n)
            with m.timed(memory=True):
                out = await wf.run()
            m.check(out == m.n)

        run_asyncio(main)


hop("counter carried in the event", "EventRing", order=50)
hop("counter in ctx.store", "StoreRing", order=51)


@entry("hop_observed_async", SYS, "stream_events(expose_internal=True)", n=HOPS, order=50)
def _(m):
    async def main():
        async def run(n):
            trace = []
            h = make("EventRing", n).run()
            async for ev in h.stream_events(expose_internal=True):
                trace.append((len(trace), type(ev).__name__))
            return await h, len(trace)

        await run(50)
        with m.timed(memory=True):
            out, k = await run(m.n)
        m.check(out == m.n and k >= m.n)

    run_asyncio(main)


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        @entry(f"{_case}_{_n // 1000}k", SYS, "one workflow, gather(run)", n=_n, order=50, timeout=600)
        def _(m, delay=_delay):
            import asyncio

            from benchmarks.adapters._wf_flows import Flow3

            async def main():
                wf = Flow3(timeout=None)
                wf.delay = delay
                await asyncio.gather(*(wf.run() for _ in range(10)))
                with m.timed(memory=True):
                    out = await asyncio.gather(*(wf.run() for _ in range(m.n)))
                m.check(sum(out) == 3 * m.n)

            run_asyncio(main)


def pbatch(variant, name, order, n=10_000, note=""):
    @entry("parallel_batch", SYS, variant, n=n, order=order, timeout=600, note=note)
    def _(m):
        from benchmarks.adapters import _wf_flows as f

        async def main():
            cls = getattr(f, name)
            await cls(timeout=None).run(limit=200)
            with m.timed(memory=True):
                out = await cls(timeout=None).run(limit=m.n)
            m.check(out == m.n * (m.n - 1))

        run_asyncio(main)


pbatch("list fan-out, num_workers=100, list collect", "MapFlow", 50, n=1_000,
       note="1,000 items only: cost grows with the square of the items")
pbatch("send_event x N, num_workers=100, collect_events", "MapSend", 51, n=1_000,
       note="1,000 items only: cost grows with the square of the items")


for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, SYS, "the documented import", n=1, order=50)
    def _(m, before=_before):
        m.imported("from workflows import Workflow, Context, step; from workflows.events import StartEvent, StopEvent", before)
