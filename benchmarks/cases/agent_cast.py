from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "agent_cast", "Cast to an agent, until it is handled", "us/cast", per(1e6), per_cpu(1e6),
    doc="Limit: an agent written by hand, asyncio.Queue. Ours records an event each.",
    mark=1.5, aim=0.9,
)
