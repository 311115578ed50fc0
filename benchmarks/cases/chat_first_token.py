from benchmarks.kit import Case

CASE = Case(
    "chat_first_token", "A stream's first token, from the wire to the lane's record", "ms", lambda r: r["latency"],
    doc="From the server's write to the record that views read; a view looks ten times a second, which adds at most 100 ms.",
    mark=100.0, by_ratio=False,
)
