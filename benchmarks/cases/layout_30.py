from benchmarks.kit import Case

CASE = Case(
    "layout_30", "Lay out a diagram of 30 nodes", "ms", lambda r: r["wall"] * 1e3, lambda r: r["cpu"] * 1e3,
    doc="A random flow with loops and branches, from graph to positions; the best of several. For comparison Graphviz's `dot`, "
    "with its process.",
    mark=5, by_ratio=False,
)
