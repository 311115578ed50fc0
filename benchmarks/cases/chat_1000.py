from benchmarks.kit import Case, per, per_cpu

CASE = Case(
    "chat_1000", "1 000 conversations at once with a local server", "ms/conversation", per(1e3), per_cpu(1e3),
    doc="Limit: a task each with the same client, pieces put together. The server runs in a process of its own.",
    mark=1.2,
)
