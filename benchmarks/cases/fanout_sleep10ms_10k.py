from benchmarks.kit import Case, mem_per, per, per_cpu

CASE = Case(
    "fanout_sleep10ms_10k", "10 000 flows of three hops at once, `await asyncio.sleep(0.01)` in each hop", "us/flow",
    per(1e6), per_cpu(1e6),
    extra=(("peak KiB/flow", mem_per, "{:.1f}"),),
    doc="All started at once in one loop. Limit: asyncio.gather over bare coroutines.",
    mark=1.8, aim=1.4,
)
