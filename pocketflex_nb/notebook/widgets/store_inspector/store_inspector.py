"""`StoreInspector`: the shared store as a live tree with types, previews and writers, now or at any step."""

from __future__ import annotations

import ast
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import traitlets

from pocketflex_nb.core.store.changes import Change, Written
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.units import count_text
from pocketflex_nb.core.value_text import path_text
from pocketflex_nb.engine.runs.run import Run, lifecycle_of, runs
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.reports.still_html import (
    document,
    escaped,
    folded,
    markdown_table,
    markdown_text,
    preformatted,
    table,
)
from pocketflex_nb.notebook.run_data.detail_tabs import reading_replica
from pocketflex_nb.notebook.run_data.value_image import image_of
from pocketflex_nb.notebook.widgets.base.delta_widget import DeltaWidget
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.number_series import NumberSeries
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, display_with_fallback, handle_clicks_while_busy
from pocketflex_nb.notebook.widgets.base.view_lifetimes import close_with_cell, notify_when_forgotten
from pocketflex_nb.notebook.widgets.store_inspector.breakpoints import KeyBreaks
from pocketflex_nb.notebook.widgets.store_inspector.store_history import StoreHistory, put_at
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted_head
from pocketflex_nb.views.text.secret_parts import is_hidden_at
from pocketflex_nb.views.values.json_text import json_text
from pocketflex_nb.views.values.store_rows import StoreRow, value_at
from pocketflex_nb.views.values.store_rows import child_rows as tree_rows
from pocketflex_nb.views.values.value_preview import detail, preview, type_label

__all__ = ["COPIED", "CURVE", "CUT", "DEEPEST", "EDITABLE", "FORMS", "LEAVES", "PAGE", "WATCHED", "StoreInspector", "inspect_store"]

#: the content of a store: a Store, a mapping, or one version of either
_Content = Mapping[object, object]
#: keys and indexes from the top
_KeyPath = tuple[object, ...]
#: a path, and how many more rows there are below it
_More = tuple[_KeyPath, int]
_HERE = Path(__file__).parent
#: rows of one page, characters of one preview, levels of a tree, characters of a value that can be edited
PAGE, CUT, DEEPEST, EDITABLE = 200, 160, 30, 4_000
#: the forms in which a store is shown; items of one container that a table goes into
FORMS, LEAVES = ("tree", "table", "json"), 2_000
#: characters of a value that are copied, which stay below a message's cap of 100 KB; values that are watched
COPIED, WATCHED = 20_000, 20
#: points of the curve of a watched number
CURVE = 60
#: of the still form: keys, keys of one screen of Markdown, bytes of the keys' table, and characters of the JSON
_STILL_KEYS, _SCREEN, _STILL_ROOM, _STILL_JSON = 50, 20, 60_000, 20_000
_marks = itertools.count(1)


class StoreInspector(StaticFallback, DeltaWidget):
    """A live tree of a shared store, with its history.

    Parameters
    ----------
    source : Store, mapping, Run, or RunGroup
        What to look into; of a run its store, of a group the first run's, which can be compared with the others'.
    title : str, optional
        What stands above; default: the run's name, or where a shared store is kept.

    Notes
    -----
    Shown as a tree, whose children are read when a branch is opened, 200 at a time; as a table of all values with their paths; or as
    JSON text. Values under keys that name a secret are masked, on the page and in
    the saved file. Who wrote a key, its versions and the slider over the steps exist for a `Store`; a plain mapping shows its
    values only. Values can be edited while no run is walking with the store: paused, or over. A value can be watched, which
    pins it above the tree with its last writer, and a break can be set on it: after a node has changed it, the launched runs that
    walk with the store are paused before their next node.

    Examples
    --------
    >>> from pocketflex_nb import Store
    >>> inspector = StoreInspector(Store({"topic": "tides", "notes": ["high"]}), title="before the run")
    >>> print(inspector.plain())
    topic: 'tides'
    notes: ['high']
    >>> inspector.close()
    """

    _offered = ("close", "go_to", "plain", "seed", "still")
    _esm = bundle(_HERE / "store_inspector.js")
    _css = _HERE / "store_inspector.css"

    head = traitlets.Dict().tag(sync=True)
    rows: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    diff: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
    watched: traitlets.List[list[object]] = traitlets.List().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, source: _Content | Run | RunGroup, *, title: str | None = None, **options: object) -> None:
        self._group = list(source) if isinstance(source, RunGroup) else []
        if self._group:
            source = self._group[0]
        self._run = source if isinstance(source, Run) else None
        self._store: _Content = source.store if isinstance(source, Run) else {} if isinstance(source, RunGroup) else source
        if not hasattr(self._store, "keys"):
            raise TypeError(f"a store, a mapping or a run is needed, not {type(source).__name__} {preview(source, 60)}")
        kept = getattr(source, "url", "") if isinstance(source, Store) else ""  # where a shared store is, without its secrets
        kept = kept if len(kept) <= 48 else f"…{kept[-47:]}"
        self._title = title or (source.name if isinstance(source, Run) else kept or "store")
        if hasattr(self._store, "follow"):  # kept elsewhere: what other kernels write is to be seen as it comes
            self._store.follow()
        self._past = StoreHistory(self._store)
        self._breaks = KeyBreaks(self._store, lambda: refresh_loop.hurry())
        self._pinned: list[_KeyPath] = []
        self._numbers: dict[_KeyPath, NumberSeries] = {}
        self._version_counted: object = None
        self._open: set[_KeyPath] = set()
        self._more: dict[_KeyPath, int] = {}
        self._filter, self._base, self._note = "", "before", ""
        self._changed_only = False
        self._form = FORMS[0]
        self._differ: list[tuple[_KeyPath, str]] = []
        self._version: int | None = None
        self._chosen: _KeyPath | None = None
        self._paths: list[_KeyPath] = []
        self._requests: deque[Mapping[str, Any]] = deque()
        self._seen: object = None
        self._has_let_go = False
        self._kept_still: dict[str, str] = {}  # when the store is not held any more
        super().__init__(**options)
        self._push()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        notify_when_forgotten(self)
        refresh_loop.follow(self)

    def __repr__(self) -> str:
        if self._has_let_go:
            return f"StoreInspector({self._title!r}, closed)"
        with reading_replica(self._store):
            return f"StoreInspector({self._title!r}, {len(self._store)} keys)"

    def close(self) -> None:
        """Close the view, and release its store; breakpoints that were set here are removed."""
        if breaks := getattr(self, "_breaks", None):  # ipywidgets closes what was never finished, too
            refresh_loop.close(self)
            breaks.close()
            self._hold_nothing()
        super().close()

    def _let_go(self, gone: set[int]) -> None:
        """Runs of these numbers are forgotten: when it was made for one of them, it stays on the page as it is, and looks no longer."""
        if self._run is not None and self._run.number in gone:
            refresh_loop.last(self)
            self._kept_still = self.still_bundle() if self.static else {}
            self._breaks.close()
            self._hold_nothing()

    def _hold_nothing(self) -> None:
        self._has_let_go = True
        self._requests.clear()
        self._run, self._store, self._group, self._chosen, self._version = None, {}, [], None, None
        self._past, self._breaks = StoreHistory(self._store), KeyBreaks(self._store, lambda: None)

    # the refresh loop's side -------------------------------------------------------------------------------------------------
    def refresh(self) -> bool:
        """Send what changed."""
        requested = bool(self._requests)
        while self._requests:
            with contextlib.suppress(LookupError, TypeError, ValueError):  # a page may send anything
                self._request(self._requests.popleft())
        if self._has_let_go:
            return False
        if not requested and not self.has_budget():
            return self.comm is not None
        seen = self._stamp()
        if requested or seen != self._seen:
            self._seen = seen
            self._push()
        return self.comm is not None

    def _stamp(self) -> object:
        walking = len(self._breaks.walking()) if self._chosen is not None else 0  # of ten thousand runs the count takes time
        status = self._run.status if self._run is not None else "", walking, self._breaks.why
        if isinstance(self._store, Store):
            return self._store.version, status
        return status, *((key, id(value)) for key, value in list(self._store.items())[:PAGE])

    def _push(self) -> None:
        with reading_replica(self._store):
            self._push_from_replica()

    def _push_from_replica(self) -> None:
        held = self._past.at(self._version)
        others = self._others()
        if self._base not in others and self._base != "start":
            self._base = "before"
        lines = self._past.lines(self._base, self._version, others)
        signs = {line.path[0]: (line.sign if len(line.path) == 1 else "~") for line in reversed(lines) if line.path}
        self._paths = []
        self._differ = [(line.path, line.sign) for line in lines]
        rows = list(_WALKS[self._form](self, held, signs))
        text = json_text(held) if self._form == "json" else ""
        told = [[line.sign, clean(line.where), clean(line.text)] for line in lines]
        self.push(head=self._headline(held, list(others)), rows=rows, text=text, diff=told, detail=self._details(held, others),
                  watched=[self._pin(held, path) for path in self._pinned])
        self._version_counted = self._past.version

    def _headline(self, held: _Content, others: list[str]) -> dict[str, object]:
        stops = self._past.stops()
        place = self._past.place(self._version) if stops else 0
        return {
            "title": clean(self._title, 200), "keys": len(held), "version": self._past.version if self._version is None else self._version,
            "filter": self._filter,
            "changed": self._changed_only, "live": self._version is None, "at": place, "of": max(len(stops) - 1, 0),
            "place": clean(stops[place].text, 200) if place else "as it began", "base": self._base, "others": others[:40],
            "note": self._note, "form": self._form, "why": self._breaks.why,
        }

    def _others(self) -> dict[str, _Content]:
        """The stores of other runs by name: of the group's, else of the latest."""
        among = self._group or runs()[-20:]
        mine = self._store
        private = self._run.stores if self._run is not None else {}
        return {clean(f"private store of {place}", 120): store for place, store in private.items() if place} | {
            clean(run.name, 80): run.store for run in among
            if run is not self._run and run.store is not mine and isinstance(run.store, Mapping) and self._run is not None
        }

    # the tree --------------------------------------------------------------------------------------------------------
    def _walk(self, held: _Content, signs: Mapping[object, str]) -> Iterator[list[Any]]:
        for row in self._level(held, (), len(held)):
            if isinstance(row, StoreRow):
                if self._changed_only and row.path[0] not in signs:
                    continue
                branch = list(self._branch(held, row))
                if self._filter and not any(self._fits(r) for r in branch if isinstance(r, StoreRow)):
                    continue
            else:
                branch = [row]
            for each in branch:
                yield self._line(each, signs)

    def _flat(self, held: _Content, signs: Mapping[object, str]) -> Iterator[list[Any]]:
        """Every value that holds no others, with its whole path, a page at a time."""
        limit = self._more.get((), PAGE)
        differ = self._differ
        wanted = (row for row in _leaves(held) if self._fits(row) and (not self._changed_only or _sign_of(row.path, differ)))
        found = list(itertools.islice(wanted, limit + 1))
        for row in found[:limit]:
            version, writer = self._written(row.path[0])
            number, sign = len(self._paths), _sign_of(row.path, differ)
            self._paths.append(row.path)
            yield [number, 0, clean(row.where, 300), row.kind, clean(row.preview, CUT), 0, False, version, writer, sign]
        if len(found) > limit:
            self._paths.append(())
            yield [len(self._paths) - 1, 0, "", "more", f"the next {PAGE}", 0, False, None, "", ""]

    def _nothing(self, held: _Content, signs: Mapping[object, str]) -> Iterator[list[Any]]:
        return iter(())

    def _branch(self, held: _Content, row: StoreRow) -> Iterator[StoreRow | _More]:
        yield row
        if row.path in self._open and row.children and row.depth < DEEPEST:
            for below in self._level(held, row.path, row.children):
                if isinstance(below, StoreRow):
                    yield from self._branch(held, below)
                else:
                    yield below

    def _level(self, held: _Content, path: _KeyPath, size: int) -> Iterator[StoreRow | _More]:
        """The rows directly below `path`, and (path, how many more) if there are more."""
        limit = self._more.get(path, PAGE)
        yield from tree_rows(held, path, limit=limit)
        if size > limit:
            yield path, size - limit

    def _fits(self, row: StoreRow) -> bool:
        return self._filter in row.where.lower() or self._filter in row.preview.lower()

    def _line(self, row: StoreRow | _More, signs: Mapping[object, str]) -> list[Any]:
        number = len(self._paths)
        if not isinstance(row, StoreRow):
            path, left = row
            self._paths.append(path)
            return [number, len(path), "", "more", f"{left:,} more", 0, False, None, "", ""]
        self._paths.append(row.path)
        version, writer = self._written(row.path[0]) if row.depth == 0 else (None, "")
        sign = signs.get(row.path[0], "") if row.depth == 0 else ""
        opened = row.path in self._open and row.children > 0
        return [
            number, row.depth, clean(row.key, 200), row.kind, clean(row.preview, CUT), row.children, opened, version, writer, sign,
        ]

    def _written(self, key: object) -> tuple[int | None, str]:
        if not isinstance(self._store, Store):
            return None, ""
        if self._version is None:
            return _last_written(self._store, key)
        try:
            written = [change for change in self._store.history(key) if change.version <= self._version][-1]
        except LookupError:
            return None, ""
        return written.version, _writer(written, 120)

    # one value -------------------------------------------------------------------------------------------------------
    def _details(self, held: _Content, others: Mapping[str, _Content]) -> dict[str, object]:
        if self._chosen is None:
            return {}
        where = clean(path_text(self._chosen), 400)
        row = self._paths.index(self._chosen) if self._chosen in self._paths else -1
        try:
            value = value_at(held, self._chosen)
        except LookupError:
            return {"path": where, "row": row, "gone": True, **self._followed()}
        text = SECRET_MASK if self._is_hidden(held) else detail(value, key=self._chosen)
        hidden = text == SECRET_MASK
        source = None if hidden or not self._can_edit() else _source(value)
        return {
            "path": where, "row": row, "type": type_label(value), "text": text, "image": "" if hidden else image_of(value),
            "history": [] if hidden else self._history(), "edit": source,
            **self._followed(),
            "words": [] if hidden else self._past.words(self._chosen, value, self._base, self._version, others),
        }

    def _is_hidden(self, held: _Content) -> bool:
        """Whether the chosen value is a secret because of its siblings, such as a header's value beside its name."""
        return self._chosen is not None and is_hidden_at(held, self._chosen)

    def _followed(self) -> dict[str, object]:
        """Whether the chosen value is watched, whether a break is set on it, and why none can be."""
        is_set = self._chosen is not None and self._chosen in self._breaks
        return {"watched": self._chosen in self._pinned, "breaks": is_set, "refusal": "" if is_set else self._breaks.refusal(self._run)}

    def _pin(self, held: _Content, path: _KeyPath) -> list[object]:
        """One watched value: its path, the value, who wrote it last, the version that made, whether it is gone, its numbers so far."""
        version, writer = self._written(path[0])
        try:
            value = value_at(held, path)
            text = SECRET_MASK if is_hidden_at(held, path) else clean(preview(value, CUT, key=path), CUT)
            is_gone = False
        except LookupError:
            value, text, is_gone = None, "not there", True
        numbers = self._numbers.setdefault(path, NumberSeries())
        if self._version is None and (self._past.version != self._version_counted or not numbers.points):  # once per change, not per look
            numbers.add(value)
        points = [] if text == SECRET_MASK else [float(f"{p:.4g}") for p in numbers.drawn()]
        return [clean(path_text(path), 400), text, writer, version, is_gone, points[:: -(-len(points) // CURVE) or 1]]

    def _watch(self, path: _KeyPath) -> None:
        if path in self._pinned:
            self._unwatch(path)
        elif len(self._pinned) >= WATCHED:
            self._note = f"{WATCHED} values are watched, which is as many as fit: remove one first."
        else:
            self._pinned.append(path)

    def _unwatch(self, path: _KeyPath) -> None:
        self._pinned.remove(path)
        self._numbers.pop(path, None)

    def _break(self, path: _KeyPath) -> None:
        try:
            self._breaks.toggle(path)
        except LookupError as exc:
            self._note = f"{exc}."

    def _copy(self, request: Mapping[str, Any]) -> None:
        """Send the chosen value to the page as text, for its clipboard: masked, and cut where it is very long."""
        if self._chosen is None:
            return
        with reading_replica(self._store):
            held = self._past.at(self._version)
            value = value_at(held, self._chosen)
        if self._is_hidden(held) or detail(value, key=self._chosen) == SECRET_MASK:
            text = SECRET_MASK
        elif isinstance(value, str):
            text = redacted_head(value, COPIED)[:COPIED]
        else:
            text = preview(value, COPIED, key=self._chosen)
        if isinstance(value, str) and len(value) > COPIED:
            self._note = f"The first {COPIED:,} of {len(value):,} characters were copied."
        self.send({"copied": text})

    def _history(self) -> list[list[str]]:
        if not isinstance(self._store, Store) or self._chosen is None:
            return []
        key = self._chosen[0]
        lines = []
        for change in self._store.history(key)[-12:]:
            step = f" @{change.step}" if change.step else ""
            told = "removed" if change.op == "delete" else clean(preview(change.new, 100, key=key))
            lines.append([f"v{change.version}", _writer(change, 160) + step, told])
        return lines[::-1]

    def _can_edit(self) -> bool:
        walking = [run for run in runs(live=True) if run.store is self._store]
        return self._version is None and all(run.status in ("paused", "asking") for run in walking)

    def _edit(self, text: str) -> None:
        path = self._chosen
        if path is None or not self._can_edit():
            self._note = "Pause the run first: a value cannot be edited while a node may be writing it."
            return
        old = value_at(self._store, path)
        try:
            new = text if isinstance(old, str) else ast.literal_eval(text)
        except (ValueError, SyntaxError):
            self._note = f"{clean(text, 60)!r} is no Python value: write a number, a quoted text, a list or a dict."
            return
        try:
            put_at(self._store, path, new)
        except (LookupError, TypeError) as exc:
            self._note = f"{clean(path_text(path), 120)} cannot be edited: {clean(str(exc), 120)}."
            return
        self._note = f"{clean(path_text(path), 120)} was edited."
        if self._run is not None:  # its lane and its events tell that a person did
            shown_value = SECRET_MASK if is_hidden_at(self._store, path) else preview(new, 200, key=path)
            told = f"a person set {path_text(path)} = {shown_value}"
            lifecycle_of(self._run).root.note("output", stream="log", text=told, by="person")

    # the page's side -------------------------------------------------------------------------------------------------
    def _command(self, _widget: object, content: object, _buffers: object) -> None:
        if isinstance(content, dict):
            self._requests.append(content)
        refresh_loop.follow(self)
        refresh_loop.hurry()

    def _request(self, request: Mapping[str, Any]) -> None:
        do = str(request.get("do"))
        if do == "fresh":
            self.resync(int(request["revision"]))
        elif not self._has_let_go:
            self._note = ""
            method = _REQUESTS.get(do)
            if method is not None:
                method(self, request)

    def _set_filter(self, request: Mapping[str, Any]) -> None:
        self._filter = str(request.get("text", "")).lower()[:100]

    def _set_changed(self, request: Mapping[str, Any]) -> None:
        self._changed_only = bool(request.get("on"))

    def _set_form(self, request: Mapping[str, Any]) -> None:
        if request.get("name") in FORMS:
            self._form = str(request["name"])

    def _set_base(self, request: Mapping[str, Any]) -> None:
        self._base = str(request.get("name", "before"))

    def _go_to_place(self, request: Mapping[str, Any]) -> None:
        self.go_to(int(request["at"]))

    def _go_by(self, request: Mapping[str, Any]) -> None:
        self.go_to(self._past.place(self._version) + int(request["by"]))

    def _go_live(self, request: Mapping[str, Any]) -> None:
        self._version = None

    def _edit_chosen(self, request: Mapping[str, Any]) -> None:
        self._edit(str(request.get("text", "")))

    def _resume(self, request: Mapping[str, Any]) -> None:
        self._breaks.resume()

    def _watch_chosen(self, request: Mapping[str, Any]) -> None:
        if self._chosen is not None:
            self._watch(self._chosen)

    def _break_chosen(self, request: Mapping[str, Any]) -> None:
        if self._chosen is not None:
            self._break(self._chosen)

    def _pinned_at(self, request: Mapping[str, Any]) -> list[_KeyPath]:
        return [path for path in self._pinned if clean(path_text(path), 400) == request.get("path")]

    def _unwatch_pinned(self, request: Mapping[str, Any]) -> None:
        for path in self._pinned_at(request):
            self._unwatch(path)

    def _choose_pinned(self, request: Mapping[str, Any]) -> None:
        self._chosen = next(iter(self._pinned_at(request)), self._chosen)

    def _row_path(self, request: Mapping[str, Any]) -> _KeyPath:
        return self._paths[int(request["row"])]

    def _toggle_row(self, request: Mapping[str, Any]) -> None:
        self._open ^= {self._row_path(request)}

    def _show_more(self, request: Mapping[str, Any]) -> None:
        path = self._row_path(request)
        self._more[path] = self._more.get(path, PAGE) + PAGE

    def _choose_row(self, request: Mapping[str, Any]) -> None:
        path = self._row_path(request)
        self._chosen = None if path == self._chosen else path

    def go_to(self, stop: int) -> None:
        """Show the store as it was after so many writing steps (0: as it began); the last one is live.

        Parameters
        ----------
        stop : int
            Number of writing steps, from 0; one beyond the last is the last.
        """
        stops = self._past.stops()
        self._version = None if stop >= len(stops) - 1 else stops[max(stop, 0)].version

    def seed(self) -> dict[object, object]:
        """A plain dict of the store as it is shown, to launch another run from: ``flow.launch(inspector.seed())``."""
        if isinstance(self._store, Store):
            return self._store.at(self._store.version if self._version is None else self._version)
        return dict(self._store)

    def _give_seed(self, request: Mapping[str, Any]) -> None:
        from IPython import get_ipython

        shell = get_ipython()
        if shell is None:
            return
        names = itertools.chain(["seed"], (f"seed_{k}" for k in itertools.count(2)))
        name = next(name for name in names if name not in shell.user_ns)
        shell.user_ns[name] = self.seed()
        when = "as it is now" if self._version is None else f"at version {self._version}"
        self._note = f"`{name}` holds the store {when}: flow.launch({name})"

    # the static form -------------------------------------------------------------------------------------------------
    def still_stamp(self) -> object:
        """The store's version; of a plain mapping, whose changes nobody counts, the still itself is compared."""
        return self._store.version if isinstance(self._store, Store) else None

    def still_bundle(self) -> dict[str, str]:
        """The first keys with their last writers, what the last step changed, and all as JSON: HTML, Markdown, and text."""
        if self._kept_still:
            return self._kept_still
        with reading_replica(self._store):
            rows = self._first_rows()
            told = markdown_table(("key", "value", "type", "written by"), [row[:4] for row in rows[:_SCREEN]])
            title = markdown_text(f"{self._title}: {len(self._store)} keys")
        return {"text/html": self.still(self.static), "text/markdown": f"{title}\n\n{told}", "text/plain": self.plain()}

    def _first_rows(self) -> list[list[str]]:
        """Of the first keys, as the store is now: name, value in a line, type, last writer, and version."""
        told = []
        for row in tree_rows(self._store, limit=_STILL_KEYS):
            version, writer = _last_written(self._store, row.path[0])
            told.append([clean(row.key, 200), clean(row.preview, CUT), row.kind, writer, "" if version is None else f"v{version}"])
        return told

    def plain(self) -> str:
        """The tree's first level as text."""
        return "\n".join(f"{row[2]}: {row[4]}" for row in self.rows[:PAGE] if row[1] == 0) or "the store is empty"

    def still(self, mark: str = "") -> str:
        """The store as HTML, for readers without a kernel.

        Parameters
        ----------
        mark : str
            For the attribute ``data-static``.
        """
        with reading_replica(self._store):
            rows, more = self._first_rows(), len(self._store)
            whole = json_text(self._store, limit=_STILL_JSON)
        keys = table(("key", "value", "type", "written by", "version"), rows, _STILL_ROOM, more=more - len(rows))
        changed = table(("", "where", "change"), self.diff[:_STILL_KEYS], _STILL_ROOM // 3, more=max(len(self.diff) - _STILL_KEYS, 0))
        title = f"<p><strong>{escaped(clean(self._title, 200))}</strong>: {count_text(more, 'key')}</p>"
        return document(mark, [title, keys, folded("changed in the last step", changed), folded("as JSON", preformatted(whole))])


def inspect_store(store: _Content | Run | RunGroup, title: str | None = None) -> None:
    """Show a store, or a run's, live, with its static form beside it for readers without a kernel."""
    from IPython import get_ipython

    if getattr(get_ipython(), "kernel", None) is None:
        held = store.store if isinstance(store, Run) else store
        print("\n".join(f"{clean(row.key, 200)}: {clean(row.preview)}" for row in tree_rows(held)) or "the store is empty")
        return
    view = StoreInspector(store, title=title)
    close_with_cell(view)
    display_with_fallback(view)


def _sign_of(path: _KeyPath, differ: list[tuple[_KeyPath, str]]) -> str:
    """How the value at `path` differs: as what holds it does, or as what it holds."""
    for other, sign in differ:
        if path[: len(other)] == other:
            return sign
    return "~" if any(other[: len(path)] == path for other, _ in differ) else ""


def _leaves(held: _Content) -> Iterator[StoreRow]:
    """The rows of a tree that have none below them, in the tree's order, as they are asked for."""
    stack = list(reversed(tree_rows(held, limit=LEAVES)))
    while stack:
        row = stack.pop()
        below = tree_rows(held, row.path, limit=LEAVES) if row.children and row.depth < DEEPEST else []
        if below:
            stack += reversed(below)
        else:
            yield row


#: request of the page to what serves it
_REQUESTS: dict[str, Callable[[StoreInspector, Mapping[str, Any]], None]] = {
    "filter": StoreInspector._set_filter, "changed": StoreInspector._set_changed, "form": StoreInspector._set_form,
    "base": StoreInspector._set_base, "place": StoreInspector._go_to_place, "step": StoreInspector._go_by, "live": StoreInspector._go_live,
    "seed": StoreInspector._give_seed, "edit": StoreInspector._edit_chosen, "copy": StoreInspector._copy, "resume": StoreInspector._resume,
    "watch": StoreInspector._watch_chosen, "break": StoreInspector._break_chosen, "unwatch": StoreInspector._unwatch_pinned,
    "look": StoreInspector._choose_pinned, "toggle": StoreInspector._toggle_row, "more": StoreInspector._show_more,
    "choose": StoreInspector._choose_row,
}
#: how the rows of each form are made
_WALKS: dict[str, Callable[[StoreInspector, _Content, Mapping[object, str]], Iterator[list[Any]]]] = {
    "tree": StoreInspector._walk, "table": StoreInspector._flat, "json": StoreInspector._nothing,
}


def _last_written(store: _Content, key: object) -> tuple[int | None, str]:
    """The version at which a key was written last, and by whom; nothing of a plain mapping."""
    try:
        written = store.who(key) if isinstance(store, Store) else None
    except LookupError:
        written = None
    return (None, "") if written is None else (written.version, _writer(written, 120))


def _source(value: object) -> str | None:
    """`value` as a person would edit it; None for what is no plain value, is long, or holds what is masked."""
    if type(value) not in (str, int, float, bool, type(None), list, dict, tuple):
        return None
    text = value if isinstance(value, str) else preview(value, EDITABLE)
    if len(text) >= EDITABLE or clean(text, EDITABLE) != text:
        return None
    if not isinstance(value, str):
        try:
            if ast.literal_eval(text) != value:
                return None
        except (ValueError, SyntaxError, RecursionError):
            return None
    return text


def _writer(written: Written | Change, limit: int) -> str:
    """The writer: run and node, or code outside of runs; of a store that several kernels share also host and process."""
    who = " · ".join(part for part in (written.run, written.node) if part)
    told = who or ("by hand" if written.version else "seed")
    kernel = getattr(written, "kernel", "")
    return clean(f"{told} · {kernel}" if kernel else told, limit)
