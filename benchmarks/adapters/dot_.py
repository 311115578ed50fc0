"""Graphviz's `dot`, where it is installed: the layout that everybody knows."""

from __future__ import annotations

from benchmarks.kit import entry

for _case, _n in (("layout_30", 30), ("layout_1k", 1_000)):
    @entry(_case, "graphviz", "dot -Tplain", n=_n, order=10, note="the process and its output included")
    def _(m):
        import shutil
        import subprocess
        import time

        from benchmarks.adapters.pocketflex_nb_ import drawing
        from pocketflex_nb.core.flow.flow_graph import graph_of

        if shutil.which("dot") is None:
            raise SystemExit("graphviz is not installed")
        graph = graph_of(drawing(m.n))
        text = "digraph {" + ";".join(f'"{edge.source}" -> "{edge.target}" [label="{edge.action}"]' for edge in graph.edges) + "}"
        walls = []
        for _ in range(3):
            start = time.perf_counter()
            out = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True).stdout
            walls.append(time.perf_counter() - start)
        m.wall = min(walls)
        m.check(out.count("\nnode ") == m.n)
