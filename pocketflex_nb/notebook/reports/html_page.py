"""Runs as a single HTML file: no script, nothing fetched, light and dark theme."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from pocketflex_nb.core.units import count_text
from pocketflex_nb.notebook.reports.run_in_full import chip, diagrams_of, run_in_full
from pocketflex_nb.notebook.reports.run_story import cut_runs
from pocketflex_nb.notebook.reports.still_html import escaped
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_view_model import MANY, Header, RunViewModel
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.palette import PALETTE
from pocketflex_nb.views.diagrams.timeline import timeline

__all__ = ["RUNS", "TOLD", "page", "write_beside", "write_page"]

#: runs that are described one by one, runs of one timeline
RUNS, TOLD = 1_000, MANY


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
    """Runs as the text of an HTML file: counts, diagram, timeline, and each run with every output, value and event in full.

    Parameters
    ----------
    runs : sequence of Run
        Of more than 1 000 the rest are counted; more than 60 have no timeline together.
    title : str, optional
        Heading; default: the run's name.
    """
    view_model = RunViewModel(list(runs))
    header = view_model.header(title or (runs[0].name if len(runs) == 1 else f"{len(runs)} runs"))
    told = cut_runs(runs, RUNS)
    named = {run.name: run.state() for run in told} if len(runs) <= TOLD else {}
    left = len(runs) - len(told)
    more = f"<p class=soft>{escaped(count_text(left, 'more run'))} not described here</p>" if left else ""
    colours = colour_numbers(run.graph for run in told)
    parts = [
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escaped(header['name'])}</title><style>{_STYLE}{_states()}</style></head><body>",
        f"<header><h1>{escaped(header['name'])}</h1><p>{_chips(header)}</p></header>",
        *diagrams_of(runs, view_model),
        f"<figure><figcaption>Timeline</figcaption>{timeline(named, colours=colours)}</figure>" if named else "",
        *(run_in_full(run, is_open=len(runs) <= 6) for run in told), more,
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part).encode("utf-8", "backslashreplace").decode()


def _chips(header: Header) -> str:
    chips = [chip(status, f"{n} {status}" if header["runs"] > 1 else status) for status, n in header["counts"].items()]
    facts = [f"{header['steps']} steps" if "steps" in header else "", f"{header['seconds']:.2f} s" if header["seconds"] is not None else ""]
    facts += [f"{header['tokens']:,} tokens" if header.get("tokens") else "", f"${header['cost']}" if header.get("cost") else ""]
    facts.append(header.get("origin", ""))
    return " ".join([*chips, f"<span class=soft>{escaped(' · '.join(fact for fact in facts if fact))}</span>"])


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
    "details.inside{border-left:3px solid var(--line);padding-left:.8rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.4rem 0 0}"
    "dt{color:var(--soft)}dd{margin:0;font-family:ui-monospace,monospace;font-size:13px}table{border-collapse:collapse;width:100%;"
    "font-size:13px;margin-top:.4rem}th{text-align:left;color:var(--soft);font-weight:500}td,th{padding:.2rem .8rem .2rem 0;"
    "border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere;unicode-bidi:plaintext}"
    "td:nth-child(-n+2){overflow-wrap:break-word;max-width:16rem}td:last-child{overflow-wrap:break-word}"
)
