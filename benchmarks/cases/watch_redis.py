from benchmarks.kit import Case

CASE = Case(
    "watch_redis", "From a write in one process to the wake of a watch in another, at Redis", "ms", lambda r: r["ms"],
    extra=(("worst of 60, ms", lambda r: r["worst"], "{:.1f}"),),
    doc="Beginning before the write; the median of 60, 30 ms apart.",
    mark=50, by_ratio=False,
)
