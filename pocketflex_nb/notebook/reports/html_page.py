"""Runs as a single HTML file: no script, nothing fetched, light and dark theme."""

from __future__ import annotations

import html
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from pocketflex_nb.core.state import State
from pocketflex_nb.core.units import count_text
from pocketflex_nb.notebook.reports.run_story import cut_runs
from pocketflex_nb.notebook.run_data.detail_tabs import store_rows, tab_content
from pocketflex_nb.notebook.run_data.error_card import ErrorCard
from pocketflex_nb.notebook.run_data.inner_runs import inside_of
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_view_model import MANY, Header, RunLane, RunViewModel, flow_names, graphs_of, summed
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.palette import PALETTE
from pocketflex_nb.views.diagrams.timeline import timeline
from pocketflex_nb.views.text.page_text import clean

__all__ = ["FLOWS", "LINES", "TOLD", "page", "write_beside", "write_page"]

#: lines of one run, runs that are described one by one, flows that are drawn
LINES, TOLD, FLOWS = 500, MANY, 20
#: levels of runs inside of runs that are told
_DEEPEST = 3
_HEADS = {
    "store": ("type", "key", "value", "written by"), "events": ("time, s", "event", "where", "what"),
}


def write_page(runs: Iterable[ViewedRun], path: str | PathLike[str], *, title: str | None = None) -> Path:
    """Write `page` to a file, whole or not at all; returns its path."""
    target = Path(path)
    write_beside(target, page(list(runs), title=title))
    return target


def write_beside(target: Path, text: str) -> None:
    """Write a file beside `target` and give it that name: a reader finds the old file or the new one, never half of one.

    Raises
    ------
    OSError
        The folder cannot be written to; what stood at `target` stays.
    """
    real = Path(os.path.realpath(target))
    if real.exists() and not real.is_file():  # a pipe or a device, which must not be replaced
        real.write_text(text, encoding="utf-8")
        return
    beside = real.with_name(f".{real.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if real.exists():
            shutil.copymode(real, beside)
        os.replace(beside, real)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def page(runs: Sequence[ViewedRun], *, title: str | None = None) -> str:
    """Runs as the text of an HTML file: counts, diagram, timeline, and for each run its output, its error, its store, its events.

    Parameters
    ----------
    runs : sequence of Run
        Of more than 60 only the sums are told.
    title : str, optional
        Heading; default: the run's name.
    """
    view_model = RunViewModel(list(runs))
    header = view_model.header(title or (runs[0].name if len(runs) == 1 else f"{len(runs)} runs"))
    named = {run.name: run.state() for run in runs[:TOLD]}
    told = runs if len(runs) <= TOLD else []
    colours = colour_numbers(run.graph for run in told)
    lanes = view_model.lanes(LINES, final=True) if told else []
    parts = [
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{_text(header['name'])}</title><style>{_STYLE}{_states()}</style></head><body>",
        f"<header><h1>{_text(header['name'])}</h1><p>{_chips(header)}</p></header>",
        *_diagrams(runs, view_model),
        f"<figure><figcaption>Timeline</figcaption>{timeline(named, colours=colours)}</figure>" if told else "",
        *(_run(run, lane, is_open=len(runs) <= 6) for run, lane in zip(told, lanes, strict=True)),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part).encode("utf-8", "backslashreplace").decode()


def _text(told: object) -> str:
    return html.escape(str(told))


def _chips(header: Header) -> str:
    chips = [_chip(status, f"{n} {status}" if header["runs"] > 1 else status) for status, n in header["counts"].items()]
    facts = [f"{header['steps']} steps" if "steps" in header else "", f"{header['seconds']:.2f} s" if header["seconds"] is not None else ""]
    facts += [f"{header['tokens']:,} tokens" if header.get("tokens") else "", f"${header['cost']}" if header.get("cost") else ""]
    facts.append(header.get("origin", ""))
    return " ".join([*chips, f"<span class=soft>{_text(' · '.join(fact for fact in facts if fact))}</span>"])


def _chip(status: str, text: str) -> str:
    return f'<span class="chip is-{_text(status)}">{_text(text)}</span>'


def _diagrams(runs: Sequence[ViewedRun], view_model: RunViewModel) -> list[str]:
    graphs = graphs_of(runs)
    drawn = []
    for name, (flow, graph) in list(zip(flow_names([flow for flow, _ in graphs]), graphs, strict=True))[:FLOWS]:
        mine = [run for run in runs if run.flow is flow]
        captions = {path: str(text) for path, (_, _, text, _) in view_model.states(flow).items() if text} if len(mine) > 1 else None
        state = summed([run.state() for run in mine[:TOLD]]) if mine else State()
        drawn.append(f"<figure><figcaption>{_text(name)}</figcaption>{svg(graph, state, captions=captions)}</figure>")
    return drawn


def _run(run: ViewedRun, lane: RunLane, *, is_open: bool, deep: int = 0) -> str:
    seconds = "" if lane["seconds"] is None else f" · {lane['seconds']:.2f} s"
    lines = "\n".join(str(text).rstrip("\n") for _, text, *_ in lane["lines"])
    return (
        f"<details class=run{' open' if is_open else ''}><summary><h2>{_text(lane['name'])}</h2> {_chip(lane['status'], lane['status'])} "
        f"<span class=soft>{lane['steps']} steps{seconds}</span></summary>{_error(lane.get('error'))}"
        + (f"<pre>{_text(lines)}</pre>" if lines else "") + _table(run, "store", "Store", is_open=True)
        + _private_stores(run) + _table(run, "events", "Events", is_open=False) + _inside(run, deep) + "</details>"
    )


def _private_stores(run: ViewedRun) -> str:
    """The stores of the flows that have one of their own, by address."""
    told = ""
    for place in list(run.stores)[:TOLD]:
        if place and (rows := store_rows(run, LINES, place)):
            told += _folded(f"Private store of {clean(place, 160)}", _rows(_HEADS["store"], rows))
    return told


def _inside(run: ViewedRun, deep: int) -> str:
    """The runs that the steps of a run began, folded under the node that began them: their diagram, and each as its outer run is told."""
    told = ""
    for path, children in inside_of(run).items() if deep < _DEEPEST else ():
        kept = cut_runs(children, TOLD)
        view_model = RunViewModel(list(kept))
        lanes = view_model.lanes(LINES, final=True)
        counts = ", ".join(f"{number} {status}" for status, number in view_model.header("")["counts"].items())
        each = "".join(_run(child, lane, is_open=False, deep=deep + 1) for child, lane in zip(kept, lanes, strict=True))
        left = f"<p class=soft>{len(children) - len(kept)} more runs are not told one by one.</p>" if len(kept) < len(children) else ""
        told += _folded(f"{clean(path, 160)} began {count_text(len(children), 'run')}: {counts}",
                        "".join(_diagrams(kept, view_model)) + each + left)
    return told


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{_text(title)}</summary>{content}</details>"


def _error(error: ErrorCard | None) -> str:
    if not error:
        return ""
    told = [f"<dt>{_text(name)}</dt><dd>{_text(text)} <span class=soft>({_text(kind)})</span></dd>" for name, kind, text in error["inputs"]]
    inputs = "".join(told)
    node = f"<dt>node</dt><dd>{_text(error['node'])}</dd>" if error["node"] else ""
    node += f"<dt>because of</dt><dd>{_text(error['cause'])}</dd>" if error["cause"] else ""
    trace = f"<pre>{_text(chr(10).join(error['trace']))}</pre>" if error["trace"] else ""
    return f"<div class=error><strong>{_text(error['type'])}</strong> {_text(error['text'])}<dl>{node}{inputs}</dl>{trace}</div>"


def _table(run: ViewedRun, tab: str, name: str, *, is_open: bool) -> str:
    told = tab_content(tab, [run], None, None, RunViewModel([run]).time_travel)
    if not told["rows"]:
        return ""
    note = f"<p class=soft>{_text(told['note'])}</p>" if told.get("note") else ""
    return f"<details{' open' if is_open else ''}><summary>{name}</summary>{_rows(_HEADS[tab], told['rows'])}{note}</details>"


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{each}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_ALIAS = {"pending": "idle", "paused": "waiting", "unfinished": "waiting"}


def _states() -> str:
    """Colours of the statuses, light and dark."""
    names = ("pending", "running", "paused", "asking", "done", "failed", "cancelled", "unfinished")
    light, dark = (
        "".join(f".is-{name}{{color:{PALETTE[theme][_ALIAS.get(name, name)].strong}}}" for name in names) for theme in ("light", "dark")
    )
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


_STYLE = (
    ":root{color-scheme:light dark;--ink:#1b2028;--soft:#566072;--line:#d8dde6;--low:#f6f8fa;--paper:#fff;--bad:#b3261e}"
    "@media (prefers-color-scheme:dark){:root{--ink:#eef1f6;--soft:#a9b2c0;--line:#3a414c;--low:#1f242c;--paper:#171a20;--bad:#ff9c96}}"
    "body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:68rem;margin:2.5rem auto;padding:0 1.25rem}h1{font-size:1.5rem;line-height:1.25;margin:0;overflow-wrap:anywhere}"
    "h2{display:inline;font-size:1rem;margin:0;overflow-wrap:anywhere}header p{margin:.5rem 0 1.5rem}.soft{color:var(--soft)}"
    ".chip{display:inline-block;font-size:.8rem;font-weight:600;border:1px solid currentColor;border-radius:99px;padding:0 .6rem;"
    "margin-right:.35rem}figure{margin:1.25rem 0;padding:1rem;border:1px solid var(--line);"
    "border-radius:10px;overflow:auto}figcaption{font-size:.85rem;color:var(--soft);margin-bottom:.5rem;overflow-wrap:anywhere}"
    "summary{cursor:pointer}details.run{border:1px solid var(--line);border-radius:10px;padding:.7rem 1rem;margin:.8rem 0}"
    "details details{margin-top:.7rem}pre{font:13px/1.55 ui-monospace,'DejaVu Sans Mono',monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere;unicode-bidi:plaintext;background:var(--low);border-radius:6px;padding:.6rem .8rem;margin:.6rem 0 0}"
    ".error{border-left:3px solid var(--bad);background:var(--low);padding:.6rem .9rem;margin-top:.6rem;overflow-wrap:anywhere}"
    ".error strong{color:var(--bad)}.error pre{padding:0}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.4rem 0 0}"
    "dt{color:var(--soft)}dd{margin:0;font-family:ui-monospace,monospace;font-size:13px}table{border-collapse:collapse;width:100%;"
    "font-size:13px;margin-top:.4rem}th{text-align:left;color:var(--soft);font-weight:500}td,th{padding:.2rem .8rem .2rem 0;"
    "border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere;unicode-bidi:plaintext}"
    "td:nth-child(-n+2){overflow-wrap:break-word;max-width:16rem}td:last-child{overflow-wrap:break-word}"
)
