from benchmarks.kit import Case, mem_per, per, per_cpu

CASE = Case(
    "agent_memory", "10 000 live agents that have handled a message each", "us/agent", per(1e6), per_cpu(1e6),
    extra=(("peak KiB/agent", mem_per, "{:.2f}"),),
    doc="Limit: a task and an asyncio.Queue each.",
    memory_mark=2.0,
)
