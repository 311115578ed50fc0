from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "agent_call_sync", "Call from a cell to an agent on another thread", "us/call", per(1e6), per_cpu(1e6),
    doc="Limit: run_coroutine_threadsafe to an agent written by hand.",
    mark=1.5, aim=1.2,
)
