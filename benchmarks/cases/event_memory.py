from benchmarks.kit import Case

CASE = Case(
    "event_memory", "What is kept of a hop in memory", "KiB/hop", lambda r: r["kib"],
    doc="Allocated after a run whose records are kept, counted by tracemalloc after a collection. Limit: a tuple of node, action "
    "and two clock readings.",
    mark=0.25, by_ratio=False,
)
