from benchmarks.kit import Case

CASE = Case(
    "store_redis", "A shared store at Redis: time of one operation beside the bare client's", "x", lambda r: r["ratio"],
    extra=(("ops/s", lambda r: r["ours"], "{:,.0f}"), ("bare client, ops/s", lambda r: r["bare"], "{:,.0f}")),
    doc="Both in turn in one process, at one server; the median of 15 ratios. 1.43x is 0.7x the operations per second.",
    mark=1.43, by_ratio=False,
)
