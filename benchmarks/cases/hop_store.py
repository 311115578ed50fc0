from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "hop_store", "Sync hop on a store that keeps versions, writers and changes", "us/hop", per(1e6), per_cpu(1e6),
    doc="Limit: the bare loop of hop_sync on a plain dict.",
    mark=8,
)
