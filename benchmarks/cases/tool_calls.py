from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "tool_calls", "An agent that calls a tool 100 times", "ms/call", per(1e3), per_cpu(1e3),
    doc="The model is a function that answers at once, so the time is the house's own; one call after the other, and all at once.",
    mark=1.0, by_ratio=False,
)
