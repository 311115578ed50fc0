from benchmarks.kit import Case

CASE = Case(
    "agent_1000", "1 000 children of a dynamic supervisor started and stopped", "s", lambda r: r["wall"], lambda r: r["cpu"],
    doc="No task is left afterwards.",
    mark=2.0, by_ratio=False,
)
