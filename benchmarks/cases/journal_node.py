from benchmarks.kit import Case

CASE = Case(
    "journal_node", "A durable hop, durability='node' (synchronous=NORMAL), beside a bare INSERT", "x", lambda r: r["ratio"],
    extra=(("us/hop", lambda r: r["ours"], "{:,.1f}"), ("bare INSERT, us", lambda r: r["bare"], "{:,.1f}")),
    doc="Both in turn in one process, files on one disk, rows of the same bytes; the median of 9 ratios.",
    mark=2.0, by_ratio=False,
)
