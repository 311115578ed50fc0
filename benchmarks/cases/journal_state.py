from benchmarks.kit import Case

CASE = Case(
    "journal_state", "Reopen a journalled run of 100 000 steps: until its whole state and store are there", "s", lambda r: r["wall"],
    extra=(("processor time, s", lambda r: r["cpu"], "{:.2f}"),),
    mark=2, by_ratio=False,
)
