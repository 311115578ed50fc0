"""The tabs below the diagram: diff, messages, store, error and events of one moment, as rows of short, masked texts.

The tab of the conversation is in :mod:`pocketflex_nb.notebook.run_data.conversation_page`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import NotRequired, TypedDict

from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import Span
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.value_text import cut_text
from pocketflex_nb.notebook.run_data.error_card import ErrorCard, error_card
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.conversation.turn_text import event_line
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.redaction import MARGIN
from pocketflex_nb.views.text.safe_messages import masked_lines
from pocketflex_nb.views.values.change_lines import change_lines
from pocketflex_nb.views.values.store_rows import child_rows as tree_rows
from pocketflex_nb.views.values.value_preview import preview

__all__ = [
    "EVENTS", "MESSAGE_KINDS", "RUNS", "TABS", "Rows", "Step", "TabContent", "event_place", "reading_replica", "store_content", "store_of",
    "store_rows", "store_then", "tab_content", "version_then",
]

#: the tabs, as the page names them
TABS = ("diff", "conversation", "messages", "store", "error", "events")
#: rows of one tab; runs that a tab tells about
EVENTS, RUNS = 150, 6
#: outputs before those of the tab that are read to know what goes on in them
_BEFORE = 150
#: kinds of events that are messages between agents, or with a person
MESSAGE_KINDS = frozenset({"call", "cast", "reply", "info", "down", "asked", "answered", "start", "exit", "restart", "giveup"})
_QUIET = frozenset({"start", "seconds", "visit"})

Rows = list[list[str]]
#: a finished step: its run, and its span
Step = tuple[ViewedRun, Span]


class TabContent(TypedDict):
    """The content of one tab: rows of short texts, error cards, and a note where there is something to say.

    Of a store `place` is its address, and `stores` those that may be chosen instead, as address and words.
    """

    tab: NotRequired[str]
    stores: NotRequired[list[list[str]]]
    place: NotRequired[str]
    rows: Rows
    cards: NotRequired[list[ErrorCard]]
    note: str


def reading_replica(store: object) -> AbstractContextManager[object]:
    """Inside, a store that is kept elsewhere answers from its replica: a view must not wait for a server. Others are unaffected."""
    within = getattr(store, "replica_only", None)
    replica: AbstractContextManager[object] = nullcontext() if within is None else within()
    return replica


def tab_content(tab: str, runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    """The content of `tab`.

    Parameters
    ----------
    runs : sequence of Run
        The runs in focus.
    moment : int or None
        Monotonic ns of the time cursor; None: now.
    at : (Run, Span) or None
        The step that was the last one then.
    time_travel : TimeTravel
        Reads the runs' events.
    """
    content = _TABS[tab](list(runs)[:RUNS], moment, at, time_travel)
    content["tab"] = tab
    return content


def _diff(runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    if at is None:
        return {"rows": [], "note": "No step is finished yet."}
    run, span = at
    state = run.state() if moment is None else time_travel.events_of(run).state(moment)
    changes = [change for change in list(state.changes) if change["address"] == span.address]
    rows = [[line.sign, clean(line.where), clean(line.text), ""] for line in change_lines(changes, limit=60)]
    if rows:
        return {"rows": rows, "note": _of_private(changes[0]["store"])}
    if not isinstance(run.store, Store):
        return {"rows": [], "note": "A run over a plain dict keeps its steps, not its changes: launch it, or give it a Store, to see them."}
    return {"rows": [], "note": f"{clean(span.node)} changed nothing in the store."}


def _messages(runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    rows = _event_rows(runs, moment, time_travel, lambda event: event.kind in MESSAGE_KINDS)
    return {"rows": rows, "note": "" if rows else "No message and no question so far."}


def _events(runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    rows = _event_rows(runs, moment, time_travel, lambda event: True)
    return {"rows": rows, "note": "" if rows else "Nothing has happened yet."}


def _event_rows(runs: Sequence[ViewedRun], moment: int | None, time_travel: TimeTravel, wanted: Callable[[Event], bool]) -> Rows:
    found: list[Event] = []
    texts: dict[int, str] = {}
    for run in runs:
        events = time_travel.events_of(run).until(moment)
        latest = list(islice((event for event in reversed(events) if wanted(event)), EVENTS))
        texts.update(_outputs(events, latest))
        found += latest
    zero = _zero(runs)
    found = sorted(found, key=lambda event: event.ns)[-EVENTS:]
    several = len(runs) > 1
    return [
        [f"{max(e.ns - zero, 0) / 1e9:.3f}", e.kind.replace("_", " "), _where(e, several), _facts(e, texts.get(id(e)))]
        for e in reversed(found)
    ]


def event_place(runs: Sequence[ViewedRun], moment: str, where: str, time_travel: TimeTravel) -> tuple[ViewedRun, str] | None:
    """The run and the address of the event whose row has these first and third cells."""
    runs = list(runs)[:RUNS]
    zero = _zero(runs)
    for run in runs:
        for event in reversed(time_travel.events_of(run).read()):
            if f"{max(event.ns - zero, 0) / 1e9:.3f}" == moment and _where(event, len(runs) > 1) == where:
                return run, event.address
    return None


def _zero(runs: Sequence[ViewedRun]) -> int:
    """When the first of the runs began, monotonic ns."""
    return min((life.started for life in map(engine_side, runs) if life.started), default=0)


def _outputs(events: list[Event], latest: list[Event]) -> dict[int, str]:
    """The texts of those outputs, by `id`: masked with what was said before them, since a secret may go through several."""
    said = [event for event in events[-_BEFORE - 4 * EVENTS :] if event.kind == "output"]
    if not said or not any(event.kind == "output" for event in latest):
        return {}
    said = said[-_BEFORE - EVENTS :]
    texts = masked_lines([(str(e.get("stream", "print")), str(e.get("text", "")), e.node) for e in said], MARGIN)
    return {id(event): text for event, text in zip(said, texts, strict=True)}


def _where(event: Event, several: bool) -> str:
    place = event.node or ("" if several else event.run)
    return clean(f"{event.run} · {place}" if several and place else place or event.run, 160)


def _facts(event: Event, text: str | None = None) -> str:
    if text is not None:
        return clean(text, 200)
    if line := event_line(event):
        return cut_text(line, 240)
    if event.kind == "store_changed":
        return clean(", ".join(f"{change['key']}" for change in islice(event["changes"], 12)), 200)
    if "text" in event.data:
        return clean(str(event["text"]), 200)
    facts = [f"{name}={preview(value, 60, key=name)}" for name, value in event.data.items() if name not in _QUIET and value is not None]
    seconds = event.get("seconds")
    return clean("  ".join([*facts, *([f"{seconds:.3f} s"] if seconds is not None else [])]), 240)


def _store(runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    run = at[0] if at is not None else runs[0] if runs else None
    if run is None or not hasattr(run.store, "keys"):
        return {"rows": [], "note": "There is no store to look into."}
    place, store = store_of(run, "" if at is None else at[1].address)
    with reading_replica(store):
        return store_content(run, place, store, moment, time_travel)


def store_rows(run: ViewedRun, limit: int, place: str = "") -> Rows:
    """The first keys of a run's store as it is now, at most `limit`: type, key, value in a line, and who wrote it.

    `place` is the address of a flow with a private store.
    """
    store = run.stores[place] if place else run.store
    with reading_replica(store):
        rows = tree_rows(store, limit=limit)
        return [[row.kind, clean(row.key), clean(row.preview), _writer(store, row.path[0], None)] for row in rows]


def store_of(run: ViewedRun, address: str) -> tuple[str, object]:
    """The store that the step at `address` was on: the private one of the nearest flow around it, by address, else the run's."""
    around = [place for place in run.stores if place and address.startswith(f"{place}/")]
    place = max(around, key=len, default="")
    return place, run.stores.get(place, run.store)


def _of_private(place: str) -> str:
    return f"In the private store of {clean(place, 160)}." if place else ""


def store_content(run: ViewedRun, place: str, store: object, moment: int | None, time_travel: TimeTravel) -> TabContent:
    """The rows of a store of `run`, whose address is `place`, at a moment (monotonic ns; None: now)."""
    held, note = store, _of_private(place)
    if moment is not None:
        held, then = store_then(run, place, store, moment, time_travel)
        note = then or note
    rows = [[row.kind, clean(row.key), clean(row.preview), _writer(store, row.path[0], moment)] for row in tree_rows(held, limit=60)]
    more = len(held) - len(rows) if isinstance(held, Sized) else 0
    return {"rows": rows, "note": note or (f"{more:,} more keys: %pocketflex store" if more > 0 else "" if rows else "The store is empty.")}


def store_then(run: ViewedRun, place: str, store: object, moment: int, time_travel: TimeTravel) -> tuple[object, str]:
    """The content of a store at a moment, monotonic ns, and what is to be said about it; its address is `place`."""
    if not isinstance(store, Store):
        return store, "A plain dict keeps no past: this is the store as it is now."
    try:
        return store.at(version_then(run, place, moment, time_travel)), ""
    except StoreError as exc:
        return {}, str(exc)


def version_then(run: ViewedRun, place: str, moment: int, time_travel: TimeTravel) -> int:
    """The version of a store of `run` at a moment, by what its steps had changed; its address is `place`."""
    events = time_travel.events_of(run).until(moment)
    changed = (event for event in events if event.kind == "store_changed" and event.get("store", "") == place)
    return max((c["version"] for event in changed for c in event["changes"]), default=0)


def _writer(store: object, key: object, moment: int | None) -> str:
    if not isinstance(store, Store) or moment is not None:
        return ""
    try:
        written = store.who(key)
    except LookupError:
        return ""
    return clean(" · ".join(part for part in (written.run, written.node) if part) or "seed", 120) + f"  v{written.version}"


def _error(runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
    failed = [run for run in runs if run.error is not None and run.status == "failed"]
    failed = [run for run in failed if moment is None or engine_side(run).finished <= moment]
    cards = [error_card(run) for run in failed[:3]]
    return {"rows": [], "cards": cards, "note": "" if cards else "Nothing has failed."}


_TABS: dict[str, Callable[[Sequence[ViewedRun], int | None, Step | None, TimeTravel], TabContent]] = {
    "diff": _diff, "messages": _messages, "store": _store, "error": _error, "events": _events,
}
