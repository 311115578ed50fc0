from benchmarks.kit import Case

CASE = Case(
    "journal_bytes", "Bytes that a hop takes in a journal", "B/hop", lambda r: r["bytes"],
    doc="A store of 100 keys, of which each hop changes one; the size of the closed file by 20 000 hops.",
    mark=300, by_ratio=False,
)
