from benchmarks.kit import Case

CASE = Case(
    "import_kernel", "Import inside an IPython kernel", "ms", lambda r: r["wall"] * 1e3,
    extra=(("modules", lambda r: r["modules"], "{:.0f}"),),
    doc="A fresh process in which ipykernel, IPython, tornado and traitlets are there already; CPU time, best of three.",
    mark=15, by_ratio=False,
)
