from benchmarks.kit import Case

CASE = Case(
    "journal_reopen", "Reopen a journalled run of 100 000 steps: until its first picture", "s", lambda r: r["wall"],
    extra=(("processor time, s", lambda r: r["cpu"], "{:.2f}"),),
    doc="`open_journal(file).run(name).to_svg()`, the file closed before.",
    mark=0.3, by_ratio=False,
)
