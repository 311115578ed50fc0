from benchmarks.kit import Case

CASE = Case(
    "journal_many", "1 000 runs at once, durability='power': time of a hop beside one run's", "x", lambda r: r["ratio"],
    extra=(("hops/s of one", lambda r: r["one"], "{:,.0f}"), ("hops/s of 1 000", lambda r: r["many"], "{:,.0f}")),
    doc="Each run makes 10 hops, counted from the first that begins to the last that ends. 0.1x is ten times the hops a second.",
    mark=0.1, by_ratio=False,
)
