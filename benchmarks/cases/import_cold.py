from benchmarks.kit import Case

CASE = Case(
    "import_cold", "Import, beyond `import asyncio`", "ms", lambda r: r["wall"] * 1e3,
    extra=(("modules", lambda r: r["modules"], "{:.0f}"),),
    doc="A fresh process in which asyncio is there already; CPU time, best of three after one that fills the caches.",
    mark=25, by_ratio=False,
)
