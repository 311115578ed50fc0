"""The rows of the runs of this process, as ``%pf runs`` lists them."""

from __future__ import annotations

from pocketflex_nb.core.units import duration_text
from pocketflex_nb.engine.runs.code_reload import is_stale
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.magics.commands.command import Table
from pocketflex_nb.notebook.run_data.pending import waits_told
from pocketflex_nb.views.text.redaction import redacted
from pocketflex_nb.views.text.summary_text import summary_text

__all__ = ["run_row", "run_table"]


def run_row(run: Run) -> dict[str, object]:
    """A run as a row: name, status, what it is at, steps, time, tokens, cost, error."""
    state = run.state()
    return {
        "run": run.name, "status": run.status, "node": ", ".join(run.in_flight()[:3]) if not run.done() else "", "steps": state.steps,
        "seconds": round(run.seconds, 2), "tokens": state.tokens, "cost": state.cost, "error": redacted(state.error),
        "waits": waits_told(state.waits), "summary": summary_text(state.summary, 80),
        "old code": ", ".join(is_stale(run)),
    }


def run_table(rows: list[dict[str, object]], listed: list[Run], note: str = "") -> Table:
    """The rows of the `listed` runs as a table, their times and tokens as people read them."""
    for row, run in zip(rows, listed, strict=True):
        row["seconds"], row["tokens"] = duration_text(run.seconds), f"{row['tokens']:,}" if row["tokens"] else ""
    return Table(rows, always=("run", "status", "steps"), note=note)
