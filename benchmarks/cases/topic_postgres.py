from benchmarks.kit import Case

CASE = Case(
    "topic_postgres", "From a publication in one process to the wake of a subscriber in another, at PostgreSQL", "ms", lambda r: r["ms"],
    extra=(("worst of 60, ms", lambda r: r["worst"], "{:.1f}"),),
    doc="Beginning before the publication; the median of 60, 30 ms apart.",
    mark=50, by_ratio=False,
)
