from benchmarks.kit import Case

CASE = Case(
    "cancel_200", "Cancel 200 waiting runs, until none is left", "s", lambda r: r["wall"], lambda r: r["cpu"],
    doc="What the kernel's stop button does with 200 live runs.",
    mark=0.3, by_ratio=False,
)
