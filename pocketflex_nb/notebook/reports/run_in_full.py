"""One run in an exported page: every output, value, message and event in full, and the runs inside its steps in their places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import State
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.notebook.reports.still_html import escaped
from pocketflex_nb.notebook.run_data.conversations import has_conversation, run_conversation
from pocketflex_nb.notebook.run_data.detail_tabs import reading_replica, store_rows
from pocketflex_nb.notebook.run_data.error_card import ErrorCard, error_card, whole_traceback
from pocketflex_nb.notebook.run_data.inner_runs import inside_of
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.run_labels import run_label
from pocketflex_nb.notebook.run_data.run_view_model import MANY, RunViewModel, flow_names, graphs_of, summed
from pocketflex_nb.views.conversation.still import conversation_html
from pocketflex_nb.views.diagrams.flow_svg import svg
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted
from pocketflex_nb.views.text.safe_messages import masked_lines, speakable
from pocketflex_nb.views.text.safe_text import inert
from pocketflex_nb.views.text.secret_parts import hides
from pocketflex_nb.views.values.json_text import json_text
from pocketflex_nb.views.values.store_rows import children_of
from pocketflex_nb.views.values.value_page import plain_text, value_page
from pocketflex_nb.views.values.value_preview import preview

__all__ = ["chip", "diagrams_of", "run_in_full"]

#: a value of more characters, or lines, is folded
_SHORT = 160
#: rows of a table that are written out, levels of runs inside of runs, flows that are drawn
_TABLE_ROWS, _DEEPEST, _FLOWS = 10_000, 8, 20
_WHOLE = 10_000_000
_QUIET = frozenset({"start", "seconds", "visit", "text"})


def chip(status: str, text: str) -> str:
    """A status in its colour."""
    return f'<span class="chip is-{escaped(status)}">{escaped(text)}</span>'


def run_in_full(run: ViewedRun, *, is_open: bool, deep: int = 0) -> str:
    """A run as a folded section of HTML.

    Parameters
    ----------
    run : Run
    is_open : bool
        Whether the section is open at first.
    deep : int
        Runs around it.
    """
    state = run.state()
    seconds = f" · {duration_text(run.seconds)}" if run.done() else ""
    events = run.events
    said = "\n".join(_outputs(events))
    parts = [
        _error(run) if run.status == "failed" and run.error is not None else "", f"<pre>{escaped(said)}</pre>" if said else "",
        _folded("Conversation", _conversation(run)), _folded("Store", _store(run), is_open=True),
        *(_folded(f"Private store of {escaped(clean(place, 160))}", _store(run, place)) for place in run.stores if place),
        _inside(run, deep),
        _folded("Events", _table(("time, s", "event", "where", "what"), _rows_of(events))),
    ]
    return (
        f"<details class=run{' open' if is_open else ''}><summary><h2>{escaped(run_label(run))}</h2> {chip(run.status, run.status)} "
        f"<span class=soft>{count_text(state.steps, 'step')}{seconds}</span></summary>{''.join(parts)}</details>"
    )


def diagrams_of(runs: Sequence[ViewedRun], view_model: RunViewModel) -> list[str]:
    """The diagrams of the first flows of these runs, as figures."""
    graphs = graphs_of(runs)
    drawn = []
    for name, (flow, graph) in list(zip(flow_names([flow for flow, _ in graphs]), graphs, strict=True))[:_FLOWS]:
        mine = [run for run in runs if run.flow is flow]
        captions = {path: str(text) for path, (_, _, text, _) in view_model.states(flow).items() if text} if len(mine) > 1 else None
        state = summed([run.state() for run in mine[:MANY]]) if mine else State()
        drawn.append(f"<figure><figcaption>{escaped(name)}</figcaption>{svg(graph, state, captions=captions)}</figure>")
    return drawn


def _folded(title: str, body: str, *, is_open: bool = False, name: str = "") -> str:
    kind = f" class={name}" if name else ""
    return f"<details{kind}{' open' if is_open else ''}><summary>{title}</summary>{body}</details>" if body else ""


def _outputs(events: Iterable[Event]) -> list[str]:
    """Every output of the run itself; the pieces of a stream are joined as they came."""
    said = [event for event in events if event.kind == "output" and not event.depth]
    texts = masked_lines([(str(e.get("stream", "print")), str(e.get("text", "")), e.node) for e in said], None)
    lines: list[str] = []
    before = ("", "")
    for event, text in zip(said, texts, strict=True):
        here = (str(event.get("stream")), event.address)
        if here[0] == "token" and here == before:
            lines[-1] += inert(text)
        else:
            lines.append(inert(text).rstrip("\n") if here[0] != "token" else inert(text))
        before = here
    return lines


def _error(run: ViewedRun) -> str:
    error: ErrorCard = error_card(run)
    told = [
        f"<dt>{escaped(name)}</dt><dd>{escaped(text)} <span class=soft>({escaped(kind)})</span></dd>"
        for name, kind, text in error["inputs"]
    ]
    node = f"<dt>node</dt><dd>{escaped(error['node'])}</dd>" if error["node"] else ""
    node += f"<dt>because of</dt><dd>{escaped(error['cause'])}</dd>" if error["cause"] else ""
    trace = "\n".join(error["trace"])
    trace = f"<pre>{escaped(trace)}</pre>" if trace else ""
    whole = _folded("whole traceback", f"<pre>{escaped(whole_traceback(run))}</pre>")
    text = speakable(str(error["text"]))
    return f"<div class=error><strong>{escaped(error['type'])}</strong> {escaped(text)}<dl>{node}{''.join(told)}</dl>{trace}{whole}</div>"


def _conversation(run: ViewedRun) -> str:
    return conversation_html(run_conversation(run).turns, room=_WHOLE * 10, longest=_WHOLE) if has_conversation([run]) else ""


def _store(run: ViewedRun, place: str = "") -> str:
    """The run's store, or the private one of the flow at `place`, as a table with each value in full."""
    store = run.stores[place] if place else run.store
    if not hasattr(store, "keys"):
        return ""
    with reading_replica(store):
        values = [value for _, value in children_of(store)]
        rows = store_rows(run, len(values), place)
    cells = [
        (kind, key, _in_full(key, value, brief), writer)
        for (kind, key, brief, writer), value in zip(rows, values, strict=False)
    ]
    return _table(("type", "key", "value", "written by"), cells, is_html=2)


def _in_full(key: str, value: object, brief: str) -> str:
    """A value as HTML: as a line where it is short, else folded, with all of it inside."""
    if hides(key, value) or brief == SECRET_MASK:
        return SECRET_MASK
    page = value_page(value)
    if page["form"] == "table":
        return _folded(escaped(brief), _whole_table(value))
    if page["form"] == "tree":
        text = json_text(value, limit=None)
    else:
        text = inert(redacted(plain_text(value)))
    short = preview(value, _SHORT, key=key)
    if (len(text) <= _SHORT and "\n" not in text) or text == short:
        return escaped(short)
    return _folded(escaped(brief), f"<pre>{escaped(text)}</pre>")


def _whole_table(value: object) -> str:
    page = value_page(value)
    columns, rows, more = page.get("columns", []), list(page.get("rows", [])), page["more"]
    while more is not None and len(rows) < _TABLE_ROWS:
        page = value_page(value, more)
        rows += page.get("rows", [])
        more = page["more"]
    return _table(columns, rows)


def _inside(run: ViewedRun, deep: int) -> str:
    """The runs that its steps began, folded under the node that began them: their diagram, and each in full."""
    told = ""
    for path, children in inside_of(run).items() if deep < _DEEPEST else ():
        model = RunViewModel(list(children))
        counts = ", ".join(f"{number} {status}" for status, number in model.header("")["counts"].items())
        each = "".join(run_in_full(one, is_open=False, deep=deep + 1) for one in children)
        title = escaped(f"{clean(path, 160)} began {count_text(len(children), 'run')}: {counts}")
        told += _folded(title, "".join(diagrams_of(children, model)) + each, name="inside")
    return told


def _rows_of(events: Sequence[Event]) -> list[list[str]]:
    zero = min((event.ns for event in events), default=0)
    texts = iter(masked_lines(
        [(str(e.get("stream", "print")), str(e.get("text", "")), e.node) for e in events if e.kind == "output"], None
    ))
    return [
        [f"{(event.ns - zero) / 1e9:.3f}", event.kind.replace("_", " "), clean(event.node or event.run, 200), _facts(event, texts)]
        for event in events
    ]


def _facts(event: Event, texts: Iterable[str]) -> str:
    if event.kind == "output":
        return inert(next(iter(texts), ""))
    if event.kind == "store_changed":
        return ", ".join(clean(str(change["key"]), 200) for change in event["changes"])
    text = [clean(str(event["text"]), 2_000)] if "text" in event.data else []
    facts = [f"{name}={preview(value, 400, key=name)}" for name, value in event.data.items() if name not in _QUIET and value is not None]
    seconds = event.get("seconds")
    return "  ".join([*text, *facts, *([duration_text(seconds)] if isinstance(seconds, (int, float)) else [])])


def _table(heads: Iterable[str], rows: Iterable[Sequence[object]], is_html: int = -1) -> str:
    """A table of plain values; the cells of column number `is_html` are HTML."""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell if number == is_html else escaped(cell)}</td>" for number, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    head = "".join(f"<th scope=col>{escaped(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
