"""The engine panel: the engine thread's lag, runs, agents and mailboxes, zombies and memory, live, with a stop-all button."""

from __future__ import annotations

import contextlib
import html
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import anywidget
import traitlets

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.engine.runs.run import Run, runs
from pocketflex_nb.notebook.shell.loaded_agents import agent_hosts, living_agents
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback, handle_clicks_while_busy
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.text.page_text import clean

if TYPE_CHECKING:
    from pocketflex_nb.agents.protocol.ref import Ref

__all__ = ["ROWS", "AgentRow", "EnginePanel", "Lag", "PanelRow", "memory"]

_HERE = Path(__file__).parent
#: runs and agents that have a row; samples of the lag that are kept; seconds between two of them
ROWS, _SAMPLES, _EVERY = 30, 60, 0.5


class Lag:
    """How long the engine thread takes to answer, sampled by asking it."""

    def __init__(self) -> None:
        self.samples: deque[float] = deque(maxlen=_SAMPLES)
        self._asked: float | None = None

    def sample(self) -> float | None:
        """Seconds until the latest answer, or since the question that has none yet; None while there is no engine thread."""
        if not engine_thread.ident:
            return None
        if self._asked is not None:
            return time.perf_counter() - self._asked
        self._asked = time.perf_counter()
        engine_thread.call_soon(self._answered)
        return self.samples[-1] if self.samples else 0.0

    def _answered(self) -> None:
        if self._asked is not None:
            self.samples.append(time.perf_counter() - self._asked)
        self._asked = None


def memory() -> int | None:
    """Bytes of this process that are in memory now, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            pages = int(told.read().split()[1])
        import resource

        return pages * resource.getpagesize()
    except (OSError, ImportError, ValueError, IndexError):
        return None


class PanelRow(TypedDict):
    """One run in the panel."""

    run: int
    name: str
    status: str
    node: str
    steps: int
    time: str


class AgentRow(TypedDict):
    """One agent in the panel: its waiting messages, and those it has handled."""

    name: str
    status: str
    mailbox: int
    handled: int


class EnginePanel(StaticFallback, anywidget.AnyWidget):
    """The state of the engine and of all that runs on it.

    Notes
    -----
    Sampled twice a second. *Stop all runs* cancels every live run of the process; agents are ended by ``%pf stop``.
    """

    _esm = bundle(_HERE / "engine_panel.js")
    _css = _HERE / "engine_panel.css"

    head = traitlets.Dict().tag(sync=True)
    curve: traitlets.List[float] = traitlets.List().tag(sync=True)
    rows: traitlets.List[PanelRow] = traitlets.List().tag(sync=True)
    agents: traitlets.List[AgentRow] = traitlets.List().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, **options: object) -> None:
        self._lag = Lag()
        self._next = 0.0
        super().__init__(icons=dict(GLYPHS), **options)
        self._push()
        self.on_msg(self._command)
        handle_clicks_while_busy(self)
        refresh_loop.follow(self)

    def __repr__(self) -> str:
        return "EnginePanel()"

    def refresh(self) -> bool:
        """Send what changed."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._push()
        return self.comm is not None

    def _push(self) -> None:
        lag, live = self._lag.sample(), runs(live=True)
        refs = living_agents()
        self.agents = [_agent(ref) for ref in refs[:ROWS]]
        self.rows = [_row(run) for run in live[-ROWS:][::-1]]
        self.curve = [round(1e3 * sample, 2) for sample in self._lag.samples]
        held, now = memory(), None if lag is None else round(1e3 * lag, 1)
        self.head = {
            "lag": now, "worst": max(self.curve, default=now), "live": len(live),
            "runs": len(runs()), "asking": sum(run.status == "asking" for run in live), "agents": len(refs),
            "waiting": sum(row["mailbox"] for row in self.agents), "zombies": sum(len(host.zombies) for host in agent_hosts()),
            "memory": None if held is None else round(held / 2**20), "threads": engine_thread.pool._threads,
        }

    def _command(self, _widget: object, content: Any, _buffers: object) -> None:
        with contextlib.suppress(Exception):  # a page may send anything
            if content["do"] == "stop all":
                _cancel(runs(live=True))
            elif content["do"] == "stop":
                _cancel([run for run in runs(live=True) if run.number == content["run"]])
        self._next = 0.0
        refresh_loop.follow(self)
        refresh_loop.hurry()

    # the static form -------------------------------------------------------------------------------------------------
    def still_bundle(self) -> dict[str, str]:
        """What it shows, as text."""
        return {
            "text/html": f'<pre data-static="{html.escape(self.static)}">{html.escape(self.plain())}</pre>', "text/plain": self.plain(),
        }

    def plain(self) -> str:
        """What it shows, as lines of text."""
        h = self.head
        lag = "not started yet" if h["lag"] is None else f"answers in {h['lag']:g} ms (worst {h['worst']:g} ms)"
        lines = [
            f"engine thread: {lag}, {h['threads']} pool threads", f"runs: {h['live']} live of {h['runs']}, {h['asking']} asking",
            f"agents: {h['agents']}, {h['waiting']} messages waiting, {h['zombies']} zombies",
            *([f"memory: {h['memory']} MB"] if h["memory"] is not None else []),
        ]
        lines += [f"  {row['name']}  {row['status']}  {row['node']}  {row['steps']} steps" for row in self.rows]
        return "\n".join([*lines, *(f"  {row['name']}  {row['status']}  {row['mailbox']} waiting" for row in self.agents)])


def _cancel(chosen: list[Run]) -> None:
    for run in chosen:
        run.cancel()


def _row(run: Run) -> PanelRow:
    return {
        "run": run.number, "name": clean(run.name, 80), "status": run.status, "node": clean(", ".join(run.in_flight()[:3]), 80),
        "steps": run.state().steps, "time": f"{run.seconds:.0f} s",
    }


def _agent(ref: Ref) -> AgentRow:
    stats = ref.stats()
    return {
        "name": clean(str(ref.name), 80), "status": str(stats["status"]),
        "mailbox": int(stats["mailbox"]), "handled": int(stats["handled"]),
    }
