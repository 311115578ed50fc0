from benchmarks.kit import Case, mem_per, per, per_cpu

CASE = Case(
    "launch", "10 000 flows of three hops launched in the background, until all are over", "us/flow", per(1e6), per_cpu(1e6),
    extra=(("peak KiB/flow", mem_per, "{:.1f}"),),
    doc="Limit: run_coroutine_threadsafe of bare coroutines onto a loop in another thread. Ours with a store and a handle each.",
)
