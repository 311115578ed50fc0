from benchmarks.kit import Case

CASE = Case(
    "layout_1k", "Lay out a diagram of 1 000 nodes", "ms", lambda r: r["wall"] * 1e3, lambda r: r["cpu"] * 1e3,
    doc="A random flow with loops and branches, from graph to positions; the best of several. For comparison Graphviz's `dot`, "
    "with its process.",
    mark=100, by_ratio=False,
)
