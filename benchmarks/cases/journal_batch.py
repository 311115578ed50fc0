from benchmarks.kit import Case

CASE = Case(
    "journal_batch", "A durable hop, durability='batch', beside a bare INSERT (NORMAL)", "x", lambda r: r["ratio"],
    extra=(("us/hop", lambda r: r["ours"], "{:,.1f}"), ("bare INSERT, us", lambda r: r["bare"], "{:,.1f}")),
    doc="Both in turn in one process, files on one disk, rows of the same bytes; the median of 9 ratios.",
    mark=0.5, by_ratio=False,
)
