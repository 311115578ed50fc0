"""The shared store inside the cell: a tree with types, previews, and who wrote what, live."""

from __future__ import annotations

import contextlib
import html
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from pocketflex_nb.core.preview import preview
from pocketflex_nb.core.store import Store
from pocketflex_nb.engine.group import RunGroup
from pocketflex_nb.engine.run import Run
from pocketflex_nb.notebook.bridge import pump
from pocketflex_nb.views.secrets import MASK, masked

__all__ = ["CUT", "PAGE", "StoreInspector", "inspect_store"]

_HERE = Path(__file__).parent
#: rows of one page, and characters of one preview
PAGE, CUT = 200, 160
_marks = itertools.count(1)


class StoreInspector(anywidget.AnyWidget):
    """A live tree of a shared store.

    Parameters
    ----------
    source : Store, mapping, Run, or RunGroup
        What to look into; of a run its store, of a group the first run's.
    title : str, optional
        What stands above; default: the run's name.

    Notes
    -----
    Children are read when a branch is opened, 200 at a time. Values under keys that name a secret are masked, on the page and in
    the saved file. Who wrote a key, and its version, are known for a `Store`; a plain mapping shows values only.
    """

    _esm = _HERE / "store_inspector.js"
    _css = _HERE / "store_inspector.css"

    head = traitlets.Dict().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, source: Any, *, title: str | None = None, **options: Any) -> None:
        if isinstance(source, RunGroup):
            source = source[0]
        self._run = source if isinstance(source, Run) else None
        self._store = source.store if isinstance(source, Run) else source
        self._title = title or (source.name if isinstance(source, Run) else "store")
        self._open: set[tuple[Any, ...]] = set()
        self._more: dict[tuple[Any, ...], int] = {}
        self._filter = ""
        self._chosen: tuple[Any, ...] | None = None
        self._paths: list[tuple[Any, ...]] = []
        self._seen: Any = None
        self._idle = 0
        super().__init__(**options)
        self._tell()
        self.on_msg(self._command)
        comm = self.comm
        if comm is not None and hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = lambda data, default: default
        pump.follow(self)

    def __repr__(self) -> str:
        return f"StoreInspector({self._title!r}, {len(self._store)} keys)"

    # the pump's side -------------------------------------------------------------------------------------------------
    def look(self) -> bool:
        """Send what changed; a store that no run writes any more is looked at more seldom."""
        seen = self._stamp()
        if seen != self._seen:
            self._seen, self._idle = seen, 0
            self._tell()
        self._idle += 1
        return self.comm is not None

    def _stamp(self) -> Any:
        if isinstance(self._store, Store):
            return self._store.version
        return tuple((key, id(value)) for key, value in list(self._store.items())[:PAGE])

    def _tell(self) -> None:
        self._paths = []
        rows = list(self._walk())
        with self.hold_sync():
            self.head = {
                "title": self._title, "keys": len(self._store), "version": getattr(self._store, "version", None), "filter": self._filter,
            }
            self.rows = rows
            self.detail = self._details()

    def _walk(self) -> Iterator[list[Any]]:
        yield from self._children(self._store, (), 0)

    def _children(self, holder: Any, path: tuple[Any, ...], depth: int) -> Iterator[list[Any]]:
        limit = self._more.get(path, PAGE)
        pairs = _pairs(holder)
        shown = 0
        for key, value in itertools.islice(pairs, limit):
            if depth == 0 and self._filter and not self._fits(key, value):
                continue
            shown += 1
            yield from self._row(key, value, (*path, key), depth)
        left = _size(holder) - limit
        if left > 0:
            self._paths.append(path)
            yield [len(self._paths) - 1, depth, "", "more", f"{left} more", 0, False, None, ""]
        _ = shown

    def _fits(self, key: Any, value: Any) -> bool:
        return self._filter in str(key).lower() or self._filter in masked(key, preview(value, CUT)).lower()

    def _row(self, key: Any, value: Any, path: tuple[Any, ...], depth: int) -> Iterator[list[Any]]:
        self._paths.append(path)
        text = masked(path, preview(value, CUT))
        children = 0 if text == MASK else _size(value)
        is_open = path in self._open and children > 0
        version, writer = self._written(key) if depth == 0 else (None, "")
        yield [len(self._paths) - 1, depth, _name(key), _type(value), text, children, is_open, version, writer]
        if is_open and depth < 30:
            yield from self._children(value, path, depth + 1)

    def _written(self, key: Any) -> tuple[int | None, str]:
        if not isinstance(self._store, Store):
            return None, ""
        try:
            written = self._store.who(key)
        except LookupError:
            return None, ""
        return written.version, " · ".join(part for part in (written.run, written.node) if part) or "seed"

    def _details(self) -> dict[str, Any]:
        if self._chosen is None:
            return {}
        value: Any = self._store
        for key in self._chosen:
            try:
                value = value[key] if not isinstance(value, (set, frozenset)) else key
            except (LookupError, TypeError):
                return {"path": _path(self._chosen), "gone": True}
        text = masked(self._chosen, value[:20_000] if isinstance(value, str) else preview(value, 4_000))
        return {"path": _path(self._chosen), "type": _type(value), "text": text, "history": [] if text == MASK else self._history()}

    def _history(self) -> list[str]:
        if not isinstance(self._store, Store) or self._chosen is None:
            return []
        lines = []
        for change in list(self._store.history(self._chosen[0]))[-12:]:
            who = " · ".join(part for part in (change.run, change.node) if part) or "seed"
            lines.append(f"version {change.version}, {who}: {masked(self._chosen[0], preview(change.new, 100))}")
        return lines[::-1]

    # the page's side -------------------------------------------------------------------------------------------------
    def _command(self, _widget: Any, content: Any, _buffers: Any) -> None:
        with contextlib.suppress(Exception):
            self._do(content)
        self._seen = None
        pump.follow(self)
        pump.hurry()

    def _do(self, content: dict[str, Any]) -> None:
        do = content.get("do")
        if do == "filter":
            self._filter = str(content.get("text", "")).lower()[:100]
            return
        path = self._paths[int(content["row"])]
        if do == "toggle":
            self._open ^= {path}
        elif do == "more":
            self._more[path] = self._more.get(path, PAGE) + PAGE
        elif do == "choose":
            self._chosen = None if path == self._chosen else path

    # the static form -------------------------------------------------------------------------------------------------
    def still(self, mark: str = "") -> str:
        """The tree's first level as an HTML table, for readers without a kernel."""
        cells = []
        for _, depth, name, kind, text, _, _, version, writer in list(self._walk())[:PAGE]:
            if depth == 0:
                v = "" if version is None else f"v{version}"
                cells.append("".join(f'<td style="text-align:left">{html.escape(str(c))}</td>' for c in (name, text, kind, writer, v)))
        names = "".join(f'<th style="text-align:left">{c}</th>' for c in ("key", "value", "type", "written by", "version"))
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f'<table data-static="{html.escape(mark)}"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>'


def inspect_store(store: Any, title: str | None = None) -> None:
    """Show a store live, with its static form beside it for readers without a kernel."""
    from IPython.display import display

    from pocketflex_nb.notebook.show import has_widgets

    if not has_widgets():
        print("\n".join(f"{_name(k)}: {masked(k, preview(v, CUT))}" for k, v in list(store.items())[:PAGE]) or "the store is empty")
        return
    mark = f"pf-store-{next(_marks)}"
    view = StoreInspector(store, title=title, static=mark)
    model = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
    display({"application/vnd.jupyter.widget-view+json": model, "text/plain": repr(view)}, raw=True)
    plain = "\n".join(f"{row[2]}: {row[4]}" for row in view.rows if row[1] == 0)
    display({"text/html": view.still(mark), "text/plain": plain}, raw=True)


def _pairs(holder: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(holder, Mapping):
        return iter(list(dict.items(holder) if isinstance(holder, dict) else holder.items()))
    if isinstance(holder, (list, tuple)):
        return enumerate(list(holder))
    if isinstance(holder, (set, frozenset)):
        return ((item, item) for item in list(holder))
    own = getattr(holder, "__dict__", None)
    return iter(list(own.items())) if isinstance(own, dict) else iter(())


def _size(value: Any) -> int:
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return len(value)
    if isinstance(value, (str, bytes, int, float, bool, type(None), type)) or callable(value):
        return 0
    own = getattr(value, "__dict__", None)
    return len(own) if isinstance(own, dict) else 0


def _type(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, (str, bytes, Mapping, list, tuple, set, frozenset)):
        return f"{name} {len(value):,}"
    shape = getattr(value, "shape", None)
    return f"{name} {'×'.join(map(str, shape))}" if isinstance(shape, tuple) else name


def _name(key: Any) -> str:
    return key[:200] if isinstance(key, str) else preview(key, 80)


def _path(path: tuple[Any, ...]) -> str:
    return "".join(f"[{k}]" if isinstance(k, int) else (f".{_name(k)}" if n else _name(k)) for n, k in enumerate(path))
