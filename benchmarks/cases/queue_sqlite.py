from benchmarks.kit import Case

CASE = Case(
    "queue_sqlite", "A queue at an SQLite file: time of one put, get and ack beside the bare client's", "x", lambda r: r["ratio"],
    extra=(("messages/s", lambda r: r["ours"], "{:,.0f}"), ("bare client, messages/s", lambda r: r["bare"], "{:,.0f}")),
    doc="Both in turn on one loop, at one server; the median of 11 ratios. 1.43x is 0.7x the operations per second.",
    mark=1.43, by_ratio=False,
)
