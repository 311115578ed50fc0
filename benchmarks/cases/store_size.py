from benchmarks.kit import Case

CASE = Case(
    "store_size", "A hop on a store of 100 000 keys, beside one of 10", "x", lambda r: r["ratio"],
    doc="Hops in turn on both stores in one process; the ratio of the best times of each.",
    mark=1.15, by_ratio=False,
)
