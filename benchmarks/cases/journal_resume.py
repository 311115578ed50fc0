from benchmarks.kit import Case

CASE = Case(
    "journal_resume", "Resume a run of 10 000 finished nodes: until the next node begins", "s", lambda r: r["wall"],
    mark=0.3, by_ratio=False,
)
