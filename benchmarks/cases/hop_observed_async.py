from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "hop_observed_async", "Async hop, observed in memory by the cheapest means there is", "us/hop", per(1e6), per_cpu(1e6),
    doc="Limit: the bare loop with one small tuple per hop appended to a list.",
    mark=4, aim=2.5,
)
