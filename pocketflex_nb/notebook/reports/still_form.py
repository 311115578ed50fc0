"""The still form of runs: what they said, when, on what store and how they failed, as HTML without a script and as one Markdown screen.

The HTML carries its colours inline or inherits them, and its pictures as images: pages that clean notebooks of styles and SVG show it too.
"""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence

from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.notebook.run_data.detail_tabs import tab_content
from pocketflex_nb.notebook.run_data.error_card import ErrorCard
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_view_model import Header, RunLane, RunViewModel
from pocketflex_nb.views.diagrams.flow_mermaid import mermaid
from pocketflex_nb.views.diagrams.timeline import timeline
from pocketflex_nb.views.text.page_text import clean

__all__ = ["BOUND", "as_html", "as_markdown"]

#: characters of a still form at most, the pictures included
BOUND = 200_000
#: lines of one run, and whether its timeline is drawn, from the fullest form to the barest
_FORMS = ((500, True), (100, True), (20, True), (20, False), (5, False), (0, False))
#: keys of a store, bars of a timeline, and runs that are told one by one
_KEYS, _BARS, _RUNS = 50, 100, 60
#: of the Markdown: steps, last lines, and nodes of the diagram
_STEPS, _LAST, _NODES = 12, 10, 40
_BOX = "border:1px solid rgba(128,128,128,.45);border-radius:6px;padding:4px 10px;margin:6px 0"
_LANE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:6px 0;font-size:12px"
_CELL = "text-align:left;vertical-align:top;overflow-wrap:anywhere"


def as_html(runs: Sequence[ViewedRun], title: str, picture: str, *, mark: str = "", room: int = BOUND) -> str:
    """Runs as HTML of at most `room` characters: the diagram, and for each run its lane, timeline, store, messages and error.

    Parameters
    ----------
    runs : sequence of Run
        Of more than 60 only the first are told one by one, and the rest are counted.
    title : str
        Heading.
    picture : str
        The diagram, as SVG text; left out where it would take half of the room.
    mark : str
        For the attribute ``data-static``.
    room : int
        Characters.
    """
    model = RunViewModel(list(runs))
    image = _image(picture, "diagram of the flow")
    if len(image) > room // 2:
        image = "<p>The diagram is too large for this form.</p>"
    head = f'<div data-static="{html.escape(mark)}"><p>{_status(model.header(title))}</p>{image}'
    left = room - len(head) - 200
    told: list[str] = []
    few = list(runs)[:_RUNS]
    for number, run in enumerate(few):
        drawn = _fitting(run, left // (len(few) - number), is_open=len(runs) == 1)
        if len(drawn) > left:
            break
        told.append(drawn)
        left -= len(drawn)
    more = len(runs) - len(told)
    note = f"<p>{count_text(more, 'more run')} not told here: to_html(path) tells all.</p>" if more else ""
    return f"{head}{''.join(told)}{note}</div>"


def _fitting(run: ViewedRun, room: int, *, is_open: bool) -> str:
    """The run with as many of its latest lines as fit, or in its barest form."""
    drawn = ""
    for lines, has_bars in _FORMS:
        drawn = _run(run, RunViewModel([run]).lanes(max(lines, 1), final=True)[0], lines, has_bars=has_bars, is_open=is_open)
        if len(drawn) <= room:
            break
    return drawn


def _status(header: Header) -> str:
    counts = ", ".join(f"{n:,} {status}" for status, n in header["counts"].items())
    facts = [counts, count_text(header["steps"], "step") if "steps" in header else ""]
    facts.append(duration_text(header["seconds"]) if header["seconds"] is not None else "")
    facts.append(count_text(header["tokens"], "token") if header.get("tokens") else "")
    return f"<strong>{html.escape(header['name'])}</strong>: {html.escape(', '.join(filter(None, facts)))}"


def _run(run: ViewedRun, lane: RunLane, lines: int, *, has_bars: bool, is_open: bool) -> str:
    state = run.state()
    texts = [str(text).rstrip("\n") for _, text, *_ in lane["lines"]] if lines else []
    cut = state.said - len(texts)
    note = f"<p><em>{count_text(cut, 'earlier line')} not kept here</em></p>" if cut > 0 else ""
    facts = f"{lane['status']}, {count_text(lane['steps'], 'step')}"
    facts += "" if lane["seconds"] is None else f", {duration_text(lane['seconds'])}"
    said = f'<pre style="{_LANE}">{html.escape(chr(10).join(texts))}</pre>' if texts else ""
    bars = _image(timeline({run.name: state}, limit=_BARS), "timeline") if state.spans and has_bars else ""
    parts = [
        _error(lane.get("error")), note, said, bars,
        _table(run, "store", ("type", "key", "value", "written by")), _table(run, "messages", ("time, s", "event", "where", "what")),
    ]
    summary = f"<summary><strong>{html.escape(lane['name'])}</strong>: {html.escape(facts)}</summary>"
    return f'<details{" open" if is_open else ""} style="{_BOX}">{summary}{"".join(parts)}</details>'


def _error(error: ErrorCard | None) -> str:
    if not error:
        return ""
    where = f" in {html.escape(error['node'])}" if error["node"] else ""
    values = "".join(f"\n{name} = {text}" for name, _, text in error["inputs"])
    lines = html.escape("\n".join(error["trace"]) + values)
    return f'<p><strong>{html.escape(error["type"])}</strong>{where}: {html.escape(error["text"])}</p><pre style="{_LANE}">{lines}</pre>'


def _table(run: ViewedRun, tab: str, heads: tuple[str, ...]) -> str:
    told = tab_content(tab, [run], None, None, RunViewModel([run]).time_travel)
    if not told["rows"]:
        return ""
    rows = told["rows"][:_KEYS]
    cut = len(told["rows"]) - len(rows)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{html.escape(str(cell))}</td>' for cell in row) + "</tr>" for row in rows)
    head = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in heads)
    notes = [count_text(cut, "more row") if cut else "", html.escape(str(told.get("note") or ""))]
    note = "".join(f"<p><em>{text}</em></p>" for text in notes if text)
    return f"<details><summary>{tab}</summary><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</details>"


def _image(picture: str, words: str) -> str:
    if not picture:
        return ""
    data = b64encode(picture.encode("utf-8", "replace")).decode()
    return f'<p><img alt="{words}" style="max-width:100%" src="data:image/svg+xml;base64,{data}"></p>'


def as_markdown(runs: Sequence[ViewedRun], title: str) -> str:
    """One screen of Markdown: the status, the diagram in Mermaid, the latest steps, the last lines, and the first error.

    Parameters
    ----------
    runs : sequence of Run
    title : str
        Heading.
    """
    model = RunViewModel(list(runs))
    header = model.header(title)
    counts = ", ".join(f"{n:,} {status}" for status, n in header["counts"].items())
    took = f", {duration_text(header['seconds'])}" if header["seconds"] is not None else ""
    steps = f", {count_text(header['steps'], 'step')}" if "steps" in header else ""
    parts = [f"**{_plain(header['name'])}**: {counts}{steps}{took}"]
    if not runs:
        return parts[0]
    shown = next((run for run in runs if run.status == "failed"), runs[0])
    state = shown.state()
    if len(shown.graph.nodes) <= _NODES:
        parts.append(f"```mermaid\n{mermaid(shown.graph, state)}\n```")
    if state.spans:
        rows = [
            f"| {_plain(span.node)} | {'failed' if span.failed else 'cancelled' if span.cancelled else _plain(span.action or 'default')} "
            f"| {duration_text((span.end - span.start) / 1e9)} |"
            for span in list(state.spans)[-_STEPS:]
        ]
        parts.append("\n".join(["| step | action | time |", "|---|---|---|", *rows]))
    lane = RunViewModel([shown]).lanes(_LAST, final=True)[0]
    if lines := [clean(str(text).rstrip("\n"), 200).replace("```", "'''") for _, text, *_ in lane["lines"]]:
        parts.append("\n".join(["```text", *lines, "```"]))
    if error := lane.get("error"):
        trace = "\n".join(error["trace"]).replace("```", "'''")
        parts.append(f"**{error['type']}** in {_plain(error['node'] or shown.name)}: {_plain(error['text'])}\n\n```text\n{trace}\n```")
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Text that Markdown and its tables take as it stands."""
    return "".join(f"\\{ch}" if ch in "\\`*_|<>[]#" else ch for ch in clean(text, 300).replace("\n", " "))
