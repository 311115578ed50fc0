from benchmarks.kit import Case

CASE = Case(
    "hop_scaling", "A hop of a run of 1 000 000 hops, beside one of 10 000", "x", lambda r: r["ratio"],
    extra=(("us/hop", lambda r: r["each"], "{:.2f}"),),
    doc="Both in one process, the short run often enough to be of the same length; CPU time, the best of each.",
    mark=1.2, by_ratio=False,
)
