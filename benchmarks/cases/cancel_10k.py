from benchmarks.kit import Case

CASE = Case(
    "cancel_10k", "Cancel 10 000 waiting runs, until none is left", "s", lambda r: r["wall"], lambda r: r["cpu"],
    doc="Launched in the background and asleep in their first node. Limit: Task.cancel of bare tasks in their own loop.",
    mark=1.0, by_ratio=False,
)
