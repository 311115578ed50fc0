"""A comparison of two runs as text, and as an HTML table with the two side by side; secrets masked, texts escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pocketflex_nb.core.comparison import ComparedRun, ComparedStep, Comparison, StepPair
from pocketflex_nb.core.frozen.frozen_tree import MISSING
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.change_lines import ChangeLine, change_lines, lines_of
from pocketflex_nb.views.values.value_preview import preview

__all__ = ["comparison_html", "comparison_text"]

#: steps that are alike around one that differs, and pairs that are told at most
_AROUND, _TOLD = 2, 200
#: lines of one step's differences, and of the stores'
_LINES, _STORE = 8, 60
_CUT = 160
_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0;overflow-wrap:anywhere"
_MARKED = "border-left:3px solid #b7791f;padding-left:8px"
_SOFT = "opacity:.75"


def comparison_text(found: Comparison) -> str:
    """A comparison as plain text.

    Parameters
    ----------
    found : Comparison
        Steps that are alike are told beside those that differ, the others counted.
    """
    lines = [f"{_run_text(found.a)}    {_run_text(found.b)}", _said(found)]
    for entry in _chosen(found):
        if isinstance(entry, int):
            lines.append(f"    … {count_text(entry, 'step')} alike")
            continue
        number, pair = entry
        mark = "1st" if number == found.first else "   "
        lines.append(f"{mark} {_sign(pair)} {_where(pair)} → {_outcome_text(pair)}{_only(pair, found)}")
        lines += [_line_text(line) for line in _changes(pair)]
    lines += ["stores at the end", *(_line_text(line) for line in _store(found))] if found.store else ["stores alike"]
    return "\n".join(lines)


def comparison_html(found: Comparison) -> str:
    """A comparison as a table: a step a row, the two runs side by side, and below the differences of their stores.

    Parameters
    ----------
    found : Comparison
        As for the text.
    """
    rows = []
    for entry in _chosen(found):
        if isinstance(entry, int):
            rows.append(f'<tr><td colspan="3" style="{_CELL};{_SOFT}">… {count_text(entry, "step")} alike</td></tr>')
            continue
        number, pair = entry
        marked = f";{_MARKED}" if pair.differs else ""
        told = "<strong>first difference</strong> " if number == found.first else "differs " if pair.differs else ""
        changes = "".join(f"<div>{_line_html(line)}</div>" for line in _changes(pair))
        rows.append(
            f'<tr><th scope="row" style="{_CELL}{marked};font-weight:normal">{told}{_text(_where(pair))}{changes}</th>'
            f'<td style="{_CELL}">{_step_html(pair.a)}</td><td style="{_CELL}">{_step_html(pair.b)}</td></tr>'
        )
    heads = "".join(f'<th scope="col" style="{_CELL}">{_run_html(run)}</th>' for run in (found.a, found.b))
    store = "".join(f"<li style='list-style:none'>{_line_html(line)}</li>" for line in _store(found))
    stores = f"<p><strong>Stores at the end</strong></p><ul style='margin:0;padding:0'>{store}</ul>"
    return (
        f'<div style="overflow-x:auto"><table style="border-collapse:collapse">'
        f'<caption style="text-align:left">{_text(_said(found))}</caption>'
        f'<thead><tr><th scope="col" style="{_CELL}">step</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f'{stores if store else "<p>Their stores are alike.</p>"}</div>'
    )


def _said(found: Comparison) -> str:
    differ = sum(bool(pair.differs) for pair in found.steps)
    return f"{count_text(len(found.steps), 'step')}, {f'{differ} different' if differ else 'all alike'}"


def _chosen(found: Comparison) -> list[tuple[int, StepPair] | int]:
    """The pairs that are told, and how many alike ones are passed over between them."""
    near: set[int] = set()
    for number, pair in enumerate(found.steps):
        if pair.differs:
            near.update(range(number - _AROUND, number + _AROUND + 1))
        if len(near) > _TOLD:
            break
    if len(found.steps) <= 3 * _AROUND:
        near.update(range(len(found.steps)))
    entries: list[tuple[int, StepPair] | int] = []
    passed = 0
    for number, pair in enumerate(found.steps):
        if number in near:
            entries += [passed, (number, pair)] if passed else [(number, pair)]
            passed = 0
        else:
            passed += 1
    return [*entries, passed] if passed else entries


def _sign(pair: StepPair) -> str:
    return "=" if not pair.differs else "-" if pair.b is None else "+" if pair.a is None else "~"


def _where(pair: StepPair) -> str:
    return clean(pair.step.address.partition("/")[2] or pair.step.address, _CUT)


def _outcome(step: ComparedStep) -> str:
    told = f"failed: {step.error}" if step.error else step.action or "default"
    return clean(f"{told}{f' ({step.origin})' if step.origin else ''}", _CUT)


def _outcome_text(pair: StepPair) -> str:
    told = [_outcome(step) for step in (pair.a, pair.b) if step is not None]
    return told[0] if len(set(told)) == 1 else " | ".join(told)


def _only(pair: StepPair, found: Comparison) -> str:
    run = found.b if pair.a is None else found.a if pair.b is None else None
    return "" if run is None else f"  (only in {clean(run.name, 60)})"


def _changes(pair: StepPair) -> list[ChangeLine]:
    if pair.a is None or pair.b is None:
        return []
    return change_lines(pair.changes(), limit=_LINES)


def _store(found: Comparison) -> list[ChangeLine]:
    return lines_of(found.store, limit=_STORE)


def _line_text(line: ChangeLine) -> str:
    return f"        {line.sign} {clean(line.where, 80)}  {clean(line.text, 200)}"


def _line_html(line: ChangeLine) -> str:
    return f"<code>{_text(line.sign)} {_text(clean(line.where, 80))}</code> {_text(clean(line.text, 200))}"


def _run_text(run: ComparedRun) -> str:
    tokens = f", {count_text(run.tokens, 'token')}" if run.tokens else ""
    return f"{clean(run.name, 80)}: {run.status}, {count_text(run.steps, 'step')}{tokens}"


def _run_html(run: ComparedRun) -> str:
    facts: Sequence[str] = [
        run.status, count_text(run.steps, "step"), duration_text(run.seconds), count_text(run.tokens, "token") if run.tokens else "",
        f"cost {run.cost:g}" if run.cost else "",
    ]
    return f"{_text(clean(run.name, 80))}<br><span style='font-weight:normal'>{_text(', '.join(filter(None, facts)))}</span>"


def _step_html(step: ComparedStep | None) -> str:
    if step is None:
        return f'<span style="{_SOFT}">not made</span>'
    wrote = ", ".join(
        f"{clean(str(key), 40)} = {clean(preview(value, 60, key=key), 80)}" if value is not MISSING else f"{clean(str(key), 40)} removed"
        for (_, key), value in list(step.changes.items())[:4]
    )
    style = f' style="{_SOFT}"' if step.origin else ""
    told = f"<span{style}>→ {_text(_outcome(step))}, {duration_text(step.seconds)}</span>"
    return f"{told}<br><span style='{_SOFT}'>{_text(wrote)}</span>" if wrote else told


def _text(told: str) -> str:
    return html.escape(told)
