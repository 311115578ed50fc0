from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "hop_async", "Async hop: the same with coroutines", "us/hop", per(1e6), per_cpu(1e6),
    doc="Limit: a bare loop that awaits three coroutines per hop, the next node by dict. Ours with every hop recorded.",
    mark=4, aim=2.5,
)
