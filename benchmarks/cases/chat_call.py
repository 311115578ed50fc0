from benchmarks.kit import Case

CASE = Case(
    "chat_call", "A Chat beside the bare client: what is added to a call", "ms", lambda r: r["overhead"],
    doc="One call after the other, streamed from a local server in a process of its own, 20 words; the bare client's time is taken off.",
    mark=1.0, by_ratio=False,
)
