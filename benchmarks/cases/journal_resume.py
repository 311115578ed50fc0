from benchmarks.kit import Case

CASE = Case(
    "journal_resume", "Resume a run of 10 000 finished nodes: until the next node begins", "s", lambda r: r["wall"],
    extra=(("processor time, s", lambda r: r["cpu"], "{:.2f}"),),
    mark=0.3, by_ratio=False,
)
