from benchmarks.kit import Case, per

CASE = Case(
    "journal_hop", "A step that is kept in SQLite before the next one begins", "us/step", per(1e6),
    doc="One number in the state; wall time, since the disk counts. Limit: one INSERT of a row of the same size, write-ahead log, "
    "synchronous=NORMAL. What each keeps: ours the changed key, LangGraph and Burr the whole state, DBOS the step's output.",
)
