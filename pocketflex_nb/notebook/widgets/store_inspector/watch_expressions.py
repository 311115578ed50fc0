"""Watch expressions (``--watch``): values of expressions over each run's store, live; numbers as a curve."""

from __future__ import annotations

import contextlib
import html
import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.requests.run_options import StoreExpression
from pocketflex_nb.notebook.run_data.detail_tabs import reading_replica
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.base.number_series import NumberSeries
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import has_widgets
from pocketflex_nb.views.values.value_preview import preview

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

__all__ = ["WatchTable", "show_watched"]

#: runs that get a row each
_ROWS = 20
#: seconds between two updates of the page
_EVERY = 0.25
_WIDTH, _HEIGHT = 160, 22


class _Row:
    """One expression of one run: its value now, and its numbers so far."""

    def __init__(self, expression: StoreExpression, run: Run) -> None:
        self.expression, self.text, self.run = expression, expression.text, run
        self.shown = "–"
        self.numbers = NumberSeries()
        self._words = tuple(re.findall(r"\w+", expression.text))

    def evaluate(self) -> None:
        """Evaluate it; if that fails, for example because a key is missing, the last value stays."""
        try:
            with reading_replica(self.run.store):
                value = self.expression(self.run.store)
        except Exception:
            return
        self.shown = preview(value, 80, key=self._words)  # masked when the expression names a secret
        self.numbers.add(value)

    def curve(self) -> str:
        """Its numbers as a small SVG, or nothing."""
        points = self.numbers.drawn()
        if len(points) < 2:
            return ""
        low, high = min(points), max(points)
        step, span = (_WIDTH - 4) / (len(points) - 1), (high - low) or 1.0
        line = " ".join(f"{2 + n * step:.1f},{_HEIGHT - 3 - (p - low) / span * (_HEIGHT - 6):.1f}" for n, p in enumerate(points))
        label = html.escape(f"{self.text} of {self.run.name}: from {points[0]:g} to {points[-1]:g}, between {low:g} and {high:g}")
        return (
            f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}"><title>{label}</title>'
            f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
        )


class WatchTable:
    """The table of watch expressions, evaluated ten times a second and shown four times, by the refresh loop.

    Parameters
    ----------
    watched : iterable of StoreExpression
        What is watched.
    runs : sequence of Run
        Whose stores; the first 20 have rows.
    """

    def __init__(self, watched: Iterable[StoreExpression], runs: Sequence[Run]) -> None:
        self.runs, watched = runs, tuple(watched)
        self.rows = [_Row(expression, run) for run in runs[:_ROWS] for expression in watched]
        self._handle: DisplayHandle | None = None
        self._next = 0.0
        self._told = True

    def refresh(self) -> bool:
        """Evaluate, and show what changed; False when every run is over."""
        live = not all(run.done() for run in self.runs)
        for row in self.rows:
            row.evaluate()
        if self._handle is not None and (not live or time.monotonic() >= self._next):
            self._next = time.monotonic() + _EVERY
            with contextlib.suppress(Exception):  # the page may be gone
                self._handle.update(self.bundle(), raw=True)
        if not live and not self._told:
            self._told = True
            print_safely(self)
        return live

    def show(self) -> None:
        """Put the table into the cell; a terminal gets it when the runs are over."""
        from IPython.display import display

        if not has_widgets():
            self._told = False
            return
        self._handle = display(self.bundle(), raw=True, display_id=True)

    def show_in(self, handle: DisplayHandle) -> None:
        """Put the table into an output that is there."""
        self._handle = handle

    def bundle(self) -> dict[str, str]:
        """As HTML and as text."""
        return {"text/html": self._html(), "text/plain": str(self)}

    def __str__(self) -> str:
        several = len(self.runs) > 1
        lines = [f"{f'{row.run.name}  ' if several else ''}{row.text} = {row.shown}" for row in self.rows]
        return "\n".join(lines + self._more())

    def _more(self) -> list[str]:
        return [f"and {len(self.runs) - _ROWS} more runs"] if len(self.runs) > _ROWS else []

    def _html(self) -> str:
        several = len(self.runs) > 1
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr>{f'<th {left} scope=row>{html.escape(row.run.name)}</th>' if several else ''}"
            f"<td {left}><code>{html.escape(row.text)}</code></td><td {left}>{html.escape(row.shown)}</td>"
            f"<td {left}>{row.curve()}</td></tr>"
            for row in self.rows
        )
        more = "".join(f"<p>{html.escape(text)}</p>" for text in self._more())
        return f'<table class="pfx-watch" aria-label="watched">{rows}</table>{more}'


def show_watched(watched: Iterable[StoreExpression], runs: Sequence[Run]) -> WatchTable:
    """Show the table, live until the runs are over."""
    table = WatchTable(watched, runs)
    table.refresh()
    table.show()
    refresh_loop.follow(table)
    return table
