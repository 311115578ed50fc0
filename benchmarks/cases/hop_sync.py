from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "hop_sync", "Sync hop: read a counter, add one, write it; a ring of two nodes", "us/hop", per(1e6), per_cpu(1e6),
    doc="Limit: a bare loop, three plain calls per hop, the next node by dict. Ours with every hop recorded.",
    mark=5, aim=3.5,
)
