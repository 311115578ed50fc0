from benchmarks.kit import Case

CASE = Case(
    "agent_restart", "Crash of a supervised agent, until the new one's init is done", "ms", lambda r: r["wall"] / r["n"] * 1e3,
    lambda r: r["cpu"] / r["n"] * 1e3,
    doc="On one loop, the mean of 200.",
    mark=5.0, by_ratio=False,
)
