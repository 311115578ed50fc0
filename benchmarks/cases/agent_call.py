from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "agent_call", "Call of an agent and its reply, in one loop", "us/call", per(1e6), per_cpu(1e6),
    doc="Limit: an agent written by hand, asyncio.Queue and a Future. Ours records a call and a reply event each.",
    mark=1.5, aim=1.1,
)
