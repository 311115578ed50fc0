"""Widgets for agents: a supervisor's live tree, and the live sequence of messages."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from pocketflex_nb.agents.protocol.exit_reasons import format_reason
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.diff import compare_values
from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.notebook.reports.still_html import (
    document,
    escaped,
    fitting,
    folded,
    image,
    markdown_table,
    markdown_text,
    remark,
    table,
)
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, handle_clicks_while_busy
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.diagrams.sequence import sequence_svg
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.values.change_lines import change_text, lines_of
from pocketflex_nb.views.values.value_preview import preview

if TYPE_CHECKING:
    from pocketflex_nb.agents.host.trace import Trace
    from pocketflex_nb.agents.messaging.agent_ref import AgentRef
    from pocketflex_nb.agents.supervision.child_info import ChildInfo
    from pocketflex_nb.agents.supervision.supervisor import Supervisor
    from pocketflex_nb.agents.supervision.supervisor_ref import SupervisorRef

    _Holder = Supervisor | AgentRef

__all__ = ["SHOWN", "STATE_TIME", "STILL_ROOM", "SupervisorView", "TraceView"]

_HERE = Path(__file__).parent
#: children of one supervisor that are shown; more are found by the search
SHOWN = 50
#: seconds that reading an agent's state may take before the view says that it is busy
STATE_TIME = 1.0
#: bytes of the tree in the still form, and rows of what happened and of messages
STILL_ROOM, _EVENTS = 90_000, 50
_LIFE = frozenset({"start", "exit", "restart", "giveup"})
_TALK = frozenset({"call", "cast", "reply", "info", "down"})
#: what an agent's status looks like in the table of glyphs
_SIGNS = {"running": "done", "restarting": "waiting", "stopped": "cancelled", "starting": "running"}


class SupervisorView(StaticFallback, anywidget.AnyWidget):
    """The live tree of a supervisor: status, restarts, mailbox, last error; kill, restart and state of each child.

    Parameters
    ----------
    supervisor : Supervisor, DynamicSupervisor, PartitionSupervisor, or their ref
        Whose tree is shown.
    """

    _offered = ("close", "plain", "still")
    _esm = bundle(_HERE / "agents_view.js")
    _css = _HERE / "agents_view.css"

    kind = traitlets.Unicode("tree").tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    rows: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, supervisor: Supervisor, **options: object) -> None:
        self._supervisor = supervisor
        self._filter = ""
        self._folded: set[str] = set()
        self._refs: dict[str, tuple[_Holder | None, ChildInfo | None]] = {}
        self._chosen: str | None = None
        self._state: object = None
        self._asked: Future[object] | None = None
        self._difference: list[str] = []
        self.on_final: Callable[[], None] | None = None
        super().__init__(icons=dict(GLYPHS), **options)
        self._push()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        refresh_loop.follow(self)

    def __repr__(self) -> str:
        return f"SupervisorView({self._supervisor!r})"

    # the refresh loop's side -------------------------------------------------------------------------------------------------
    @property
    def is_last(self) -> bool:
        """Whether the supervisor has ended."""
        return not self._supervisor.is_alive

    def refresh(self) -> bool:
        """Send what changed; False when the supervisor has ended and the view was closed or has shown it."""
        self._push()
        alive = self.head["alive"]  # as it was told: who ends after that is told of at the next look
        if not alive and self.on_final is not None:
            tell, self.on_final = self.on_final, None
            tell()
        return self.comm is not None and alive

    def _push(self) -> None:
        alive = bool(self._supervisor.is_alive)     # before its tree: a tree of nobody must not be called alive
        tree = self._supervisor.tree()
        self._refs = {}
        rows = list(self._walk(tree, self._supervisor, 0, ""))
        zombies = sum(row[10] for row in rows)
        self.head = {
            "title": str(tree.get("name") or tree["id"]), "strategy": tree["strategy"] or "", "alive": alive, "zombies": zombies,
            "children": len(tree["children"]), "filter": self._filter, "ended": "" if alive else _ending(self._supervisor),
        }
        self.rows = rows
        self._look_at_state()

    def _walk(self, node: Mapping[str, Any], holder: _Holder | None, depth: int, path: str) -> Iterator[list[Any]]:
        infos = {str(info.id): info for info in _infos(holder)}
        for number, one in enumerate(node["children"]):
            name = f"{path}/{one['id']}"
            if number >= SHOWN and not self._filter:
                yield [name, depth, f"{len(node['children']) - SHOWN} more: search for them", "more", "", 0, 0, 0, "", "", 0, False, False]
                return
            info = infos.get(one["id"])
            self._refs[name] = (holder, info)
            below = bool(one["children"])
            if not self._filter or self._filter in name.lower() or below:
                yield self._row(one, name, depth, below)
            if below and name not in self._folded:
                yield from self._walk(one, info.ref if info is not None else None, depth + 1, name)

    def _row(self, one: Mapping[str, Any], name: str, depth: int, below: bool) -> list[Any]:
        kind = one["strategy"] or one["cls"] or one["type"]
        error = clean(str(one["error"] or ""), 300)
        status = one["status"] if one["status"] in _SIGNS else "stopped"
        return [
            name, depth, one["id"], status, kind, one["restarts"], one["mailbox"], one["handled"], error, _SIGNS[status], one["zombies"],
            below, name in self._folded, bool(one["is_stale"]), one["version"],
        ]

    def _look_at_state(self) -> None:
        """The chosen child's state, asked for on its own loop, and what differs since the last time."""
        if self._chosen is None:
            self.detail = {}
            return
        _, info = self._refs.get(self._chosen, (None, None))
        ref = info.ref if info is not None else None
        if ref is None:
            self.detail = {"name": self._chosen, "text": "not running", "changes": []}
            return
        if self._asked is not None and self._asked.done():
            with contextlib.suppress(Exception):
                new = freeze(self._asked.result())
                if self._state is not None:
                    changed = change_text(lines_of(compare_values(self._state, new, limit=20), limit=12, within=(self._state, new)))
                    self._difference = changed.splitlines() or self._difference
                self._state = new
            self._asked = None
        if self._asked is None:
            self._asked = engine_thread.submit(_state(ref))
        text = preview(self._state, 4_000) if self._state is not None else "reading ..."
        messages = _messages(self._supervisor, ref)
        self.detail = {"name": self._chosen, "text": text, "changes": self._difference[:12], "messages": messages}

    # the page's side -------------------------------------------------------------------------------------------------
    def _command(self, _widget: object, content: Any, _buffers: object) -> None:
        with contextlib.suppress(Exception):  # what came of it is seen in the tree
            self._do(content)
        refresh_loop.follow(self)
        refresh_loop.hurry()

    def _do(self, content: Mapping[str, Any]) -> None:
        do, name = content.get("do"), str(content.get("name", ""))
        if do == "filter":
            self._filter = str(content.get("text", "")).lower()[:100]
        elif do == "stop":
            engine_thread.submit(_stop_all(self._supervisor.ref))
        elif do == "fold":
            self._folded ^= {name}
        elif do == "choose":
            self._chosen = None if name == self._chosen else name
            self._state, self._asked, self._difference = None, None, []
        elif name in self._refs:
            holder, info = self._refs[name]
            if do == "kill" and info is not None and info.ref is not None:
                info.ref.exit("kill")
            elif do == "restart":
                engine_thread.submit(_restart(holder, info))

    # the static form -------------------------------------------------------------------------------------------------
    def still(self, mark: str = "") -> str:
        """The tree as an HTML table, with what happened in it and the last messages, for readers without a kernel."""
        head = self.head
        lines = []
        for row in self.rows:
            name = f'<td style="text-align:left;padding-left:{12 + 18 * row[1]}px">{escaped(row[2])}</td>'
            cells = (row[3], row[4], f"{row[5]} restarts", f"{row[6]} waiting", row[8])
            lines.append(f"<tr>{name}{''.join(f'<td style=text-align:left>{escaped(c)}</td>' for c in cells)}</tr>")
        state = f"{head['children']} children, alive" if head["alive"] else escaped(head["ended"])
        caption = f"{escaped(head['title'])}, {escaped(head['strategy'])}, {state}"
        names = "".join(f'<th style="text-align:left">{c}</th>' for c in ("child", "status", "kind", "restarts", "mailbox", "last error"))
        body, left = fitting(lines, STILL_ROOM)
        note = remark(f"{left:,} more not kept here") if left else ""
        tree = (
            f'<table><caption style="text-align:left">{caption}</caption>'
            f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{note}"
        )
        return document(mark, [tree, self._told("what happened", _LIFE), self._told("messages", _TALK)])

    def _told(self, title: str, kinds: frozenset[str]) -> str:
        """The latest events of these kinds as a folded table, the latest first."""
        found = [event for event in list(self._supervisor.events) if event.kind in kinds]
        zero = min((event.ns for event in found), default=0)
        rows = [
            [f"{(event.ns - zero) / 1e9:.3f}", event.kind, clean(str(event.get("id") or event.address), 120), _facts_of(event)]
            for event in reversed(found[-_EVENTS:])
        ]
        shown = table(("time, s", "event", "agent", "what"), rows, STILL_ROOM // 2, more=len(found) - len(rows))
        return folded(title, shown)

    def still_stamp(self) -> object:
        """The rows as they were told last, and how many events there are."""
        return self.rows, self.head, len(self._supervisor.events)

    def still_bundle(self) -> dict[str, str]:
        """The tree, as HTML, as Markdown and as text."""
        facts = f"{self.head['title']}, {self.head['strategy']}, {'alive' if self.head['alive'] else self.head['ended']}"
        rows = [(f"{'· ' * row[1]}{row[2]}", row[3], row[5], row[8]) for row in self.rows[:SHOWN]]
        told = f"{markdown_text(facts)}\n\n{markdown_table(('child', 'status', 'restarts', 'last error'), rows)}"
        return {"text/html": self.still(self.static), "text/markdown": told, "text/plain": self.text()}

    def plain(self) -> str:
        """The tree as text."""
        return self.text()

    def text(self) -> str:
        """The tree as plain text."""
        lines = [f"{self.head['title']}  {self.head['strategy']}  {'alive' if self.head['alive'] else self.head['ended']}"]
        for row in self.rows:
            lines.append(f"{'  ' * (row[1] + 1)}{row[2]}  {row[3]}  {row[5]} restarts  {row[8]}".rstrip())
        return "\n".join(lines)


def _ending(supervisor: Supervisor) -> str:
    """Why the supervisor ended: it gave up, and because of which child, or its exit reason."""
    pid = supervisor.ref.pid
    for event in reversed(list(supervisor.events)):
        if event.kind == "giveup" and event["pid"] == pid:
            return f"gave up: more than {event['max_restarts']} restarts within {event['max_seconds']:g} s"
    return f"ended: {format_reason(supervisor.reason)}"


def _infos(holder: _Holder | None) -> list[ChildInfo]:
    try:
        children = getattr(holder, "children", None)
        return list(children()) if children is not None else []
    except Exception:  # it ended between two looks
        return []


async def _state(ref: Any) -> object:
    async with asyncio.timeout(STATE_TIME):
        return await ref.state()


async def _stop_all(ref: SupervisorRef) -> None:
    """End a team in order. One below another supervisor is ended by that, else it would be restarted."""
    supervisor = ref._incarnation.supervisor
    if supervisor is None:
        ref.exit("shutdown")
    else:
        await supervisor.ref.terminate_child(ref if hasattr(supervisor.agent, "by_slot") else ref.id)


async def _restart(holder: Any, info: ChildInfo | None) -> None:
    """Start a stopped child again; a running one is ended first."""
    if holder is None or info is None:
        return
    if info.ref is not None and hasattr(holder, "terminate_child"):
        await holder.terminate_child(info.id)
    await holder.restart_child(info.id)


def _messages(supervisor: Supervisor, ref: AgentRef) -> list[str]:
    """The last messages of one agent, from the supervisor's events."""
    told = []
    for event in list(supervisor.events)[-400:]:
        if event.address == ref.address and event.kind in ("call", "reply", "cast", "info", "start", "exit", "restart"):
            told.append(f"{event.kind}  {_facts_of(event)}"[:160])
    return told[-8:][::-1]


def _facts_of(event: Event) -> str:
    return ", ".join(f"{k}={preview(v, 60, key=k)}" for k, v in list(event.data.items())[:4])


class TraceView(StaticFallback, anywidget.AnyWidget):
    """The live sequence diagram of messages between agents.

    Parameters
    ----------
    trace : Trace
        What `pocketflex_nb.trace` gives.
    """

    _offered = ("close", "plain", "still")
    _esm = bundle(_HERE / "agents_view.js")
    _css = _HERE / "agents_view.css"

    kind = traitlets.Unicode("sequence").tag(sync=True)
    head = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, trace: Trace, **options: object) -> None:
        self._trace = trace
        self._kind = ""
        self._seen = -1
        self._next = 0.0
        self._quiet = 0
        self.on_final: Callable[[], None] | None = None
        super().__init__(**options)
        self._push()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        refresh_loop.follow(self)

    def __repr__(self) -> str:
        return f"TraceView({self._trace!r})"

    def refresh(self) -> bool:
        """Draw what is new, at most twice a second; follow until nothing came for a minute."""
        number = len(self._trace.events) + self._trace.dropped
        if number == self._seen:
            self._quiet += 1
        elif time.monotonic() >= self._next:
            self._quiet, self._next = 0, time.monotonic() + 0.5
            self._push()
        if self._quiet == 5 and self.on_final is not None:
            self.on_final()
        return self.comm is not None and self._quiet < 600

    def _push(self) -> None:
        events = self._trace.events
        self._seen = len(events) + self._trace.dropped
        kinds = sorted({event.kind for event in events})
        self.head = {"events": self._seen, "kinds": kinds, "kind": self._kind}
        self.picture = sequence_svg(events, limit=300, **({"kinds": [self._kind]} if self._kind else {}))

    def _command(self, _widget: object, content: Any, _buffers: object) -> None:
        if content.get("do") == "kind":
            self._kind = str(content.get("kind", ""))
            self._seen, self._next = -1, 0.0
            refresh_loop.follow(self)
            refresh_loop.hurry()

    def still(self) -> str:
        """The diagram as SVG."""
        return sequence_svg(self._trace.events, limit=300)

    def still_bundle(self) -> dict[str, str]:
        """The diagram as an image in HTML and as SVG, and how many events it has."""
        picture = self.still()
        told = document(self.static, [f"<p>{escaped(repr(self._trace))}</p>", image(picture, f"Sequence diagram: {self._trace!r}")])
        bundle = {"text/html": told, "text/plain": repr(self._trace)}
        marked = picture.replace("<svg ", f'<svg data-static="{self.static}" ', 1)
        return bundle | ({"image/svg+xml": marked} if len(marked) + len(told) < 2 * STILL_ROOM else {})
