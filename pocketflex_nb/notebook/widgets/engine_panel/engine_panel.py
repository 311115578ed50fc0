"""The engine panel: the engine thread's lag, runs, agents and mailboxes, zombies and memory, live, with a stop-all button."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.engine.runs.run import Run, runs
from pocketflex_nb.notebook.widgets.base.js_bundle import bundle
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.base.static_fallback import StaticFallback
from pocketflex_nb.views.diagrams.palette import GLYPHS
from pocketflex_nb.views.text.page_text import clean

__all__ = ["ROWS", "EnginePanel", "Lag", "memory"]

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


class EnginePanel(StaticFallback, anywidget.AnyWidget):
    """The state of the engine and of all that runs on it.

    Notes
    -----
    Sampled twice a second. *Stop all runs* cancels every live run of the process; agents are ended by ``%pf stop``.
    """

    _esm = bundle(_HERE / "engine_panel.js")
    _css = _HERE / "engine_panel.css"

    head = traitlets.Dict().tag(sync=True)
    curve: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    agents: Any = traitlets.List().tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    static = traitlets.Unicode().tag(sync=True)

    def __init__(self, **options: Any) -> None:
        self._lag = Lag()
        self._next = 0.0
        super().__init__(icons=dict(GLYPHS), **options)
        self._push()
        self.on_msg(self._command)
        comm = self.comm
        if comm is not None and hasattr(comm, "_reply_subshell_for"):  # have clicks handled while a cell is busy
            comm._reply_subshell_for = lambda data, default: default
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
        refs = _living()
        self.agents = [_agent(ref) for ref in refs[:ROWS]]
        self.rows = [_row(run) for run in live[-ROWS:][::-1]]
        self.curve = [round(1e3 * sample, 2) for sample in self._lag.samples]
        held, now = memory(), None if lag is None else round(1e3 * lag, 1)
        self.head = {
            "lag": now, "worst": max(self.curve, default=now), "live": len(live),
            "runs": len(runs()), "asking": sum(run.status == "asking" for run in live), "agents": len(refs),
            "waiting": sum(row["mailbox"] for row in self.agents), "zombies": _zombies(),
            "memory": None if held is None else round(held / 2**20), "threads": engine_thread.pool._threads,
        }

    def _command(self, _widget: Any, content: Any, _buffers: Any) -> None:
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


def _row(run: Run) -> dict[str, Any]:
    return {
        "run": run.number, "name": clean(run.name, 80), "status": run.status, "node": clean(", ".join(run.in_flight()[:3]), 80),
        "steps": run.state().steps, "time": f"{run.seconds:.0f} s",
    }


def _living() -> list[Any]:
    """Agents that live, when anybody has used agents at all."""
    scope = sys.modules.get("pocketflex_nb.agents.actor.cell_scope")
    return list(scope.living()) if scope is not None else []


def _agent(ref: Any) -> dict[str, Any]:
    stats: Any = ref.stats()
    return {
        "name": clean(str(ref.name), 80), "status": str(stats["status"]),
        "mailbox": int(stats["mailbox"]), "handled": int(stats["handled"]),
    }


def _zombies() -> int:
    host: Any = sys.modules.get("pocketflex_nb.agents.host.agent_host")
    return sum(len(one.zombies) for one in host.hosts()) if host is not None else 0
