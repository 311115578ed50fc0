"""The watchdog thread: finds blocked agents' loops, reports what blocks them, and kills the agent where a kill was requested.

It also warns of mailboxes that keep growing, and ends the agents of a loop that was closed, so that those who monitor them from
elsewhere are notified.

A coroutine that never awaits cannot be cancelled. `force_kill` raises an exception inside it from here, which works in Python code; a
long C call has to return first.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from types import FrameType

from pocketflex_nb.agents.host.agent_host import AgentHost, Hosted
from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["FLOOD", "FLOOD_INTERVAL", "KILL_DELAY", "KILL_POLL", "LAG", "POLL_INTERVAL", "AsyncKill", "force_kill", "watch_over"]

#: seconds after which a loop that does not turn is an event
LAG = 0.25
#: seconds between two checks; and while an agent is being killed
POLL_INTERVAL, KILL_POLL = 0.1, 0.02
#: seconds that a loop gets to carry out a kill by itself
KILL_DELAY = 0.1
#: messages that may wait at one agent before that is an event, and again whenever they have doubled; seconds between two counts
FLOOD, FLOOD_INTERVAL = 100_000, 0.5


class AsyncKill(BaseException):
    """Raised inside code that does not yield."""


class _Watch:
    """The watch over one host: when it was last asked to answer, and whether its silence has been reported."""

    __slots__ = ("asked", "floods", "host", "is_told", "looked")

    def __init__(self, host: AgentHost) -> None:
        self.host = host
        self.asked: float | None = None
        self.is_told = False
        self.looked = 0.0
        self.floods: dict[Hosted, int] = {}  # by agent, how many messages more will be told

    def answer(self) -> None:
        """The host's answer, called on its loop."""
        self.asked, self.is_told = None, False


_lock = threading.Lock()
_watches: dict[AgentHost, _Watch] = {}
_forced_kills: dict[Hosted, tuple[float, list[bool]]] = {}
_thread: threading.Thread | None = None
_wake = threading.Event()


def watch_over(host: AgentHost) -> None:
    """Watch `host` while agents run there."""
    with _lock:
        host.is_watched = True
        _watches.setdefault(host, _Watch(host))
        _ensure_thread()


def force_kill(incarnation: Hosted) -> None:
    """Kill `incarnation` even if it blocks its loop and never awaits. The kill was posted already."""
    heard = [False]

    def mark() -> None:
        heard[0] = True

    incarnation.host.post(mark)
    with _lock:
        _forced_kills[incarnation] = (time.monotonic() + KILL_DELAY, heard)
        _ensure_thread()
    _wake.set()


def _ensure_thread() -> None:
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = threading.Thread(target=_watch_all, name="pocketflex-watchdog", daemon=True)
        _thread.start()


def _watch_all() -> None:
    global _thread
    while True:
        _wake.wait(KILL_POLL if _forced_kills else POLL_INTERVAL)
        _wake.clear()
        for watch in list(_watches.values()):
            _look_at(watch)
        for incarnation, (due, heard) in list(_forced_kills.items()):
            _try_force_kill(incarnation, due, heard)
        with _lock:
            if not _watches and not _forced_kills:
                _thread = None
                return


def _look_at(watch: _Watch) -> None:
    host, now = watch.host, time.monotonic()
    if host.loop.is_closed():
        host.close()
    elif now - watch.looked > FLOOD_INTERVAL:
        watch.looked = now
        _count_mail(watch)
    if host.loop.is_closed() or not host.incarnations:
        with _lock:
            if host.loop.is_closed() or not host.incarnations:
                host.is_watched = False
                _watches.pop(host, None)
        return
    if not host.loop.is_running():  # between two runs of a loop that stands in plain code
        watch.asked = None
    elif watch.asked is None:
        watch.asked = now
        host.post(watch.answer)
    elif now - watch.asked > LAG and not watch.is_told:
        watch.is_told = True
        _tell(host, now - watch.asked)


def _count_mail(watch: _Watch) -> None:
    """Warn of mailboxes that are unreasonably long."""
    incarnations = list(watch.host.incarnations.values())
    for incarnation in incarnations:
        waiting = incarnation.backlog
        if waiting < watch.floods.get(incarnation, FLOOD):
            continue
        watch.floods[incarnation] = 2 * waiting
        from pocketflex_nb.agents.host.agent_log import warn  # here: most are never flooded

        text = "messages arrive faster than it handles them, and each takes memory; use call instead of cast, or send less"
        warn(f"agent {incarnation.name!r} has {waiting} messages waiting: {text}")
        incarnation.note("flood", {"waiting": waiting}, incarnation.cause)
    if watch.floods:
        watch.floods = {incarnation: most for incarnation, most in watch.floods.items() if incarnation.status != "dead"}


def _tell(host: AgentHost, seconds: float) -> None:
    """AgentRecord which handler blocks the loop."""
    incarnation = _running(host)
    if incarnation is None:
        return
    handler, where, line = _location(host.ident)
    import logging  # here: most never lag

    text = f"agent {incarnation.name!r} has blocked the agents' event loop for {seconds:.2f} s in {handler} ({where}: {line})"
    logging.getLogger("pocketflex_nb").warning(f"{text}: await instead, or use offload(fn)")
    incarnation.note("lag", {"seconds": round(seconds, 3), "handler": handler, "where": where}, incarnation.cause)


def _running(host: AgentHost) -> Hosted | None:
    """The incarnation whose code the loop runs right now, or None."""
    try:
        task = asyncio.current_task(host.loop)
    except RuntimeError:
        return None
    if task is None:
        return None
    for incarnation in list(host.incarnations.values()):
        if incarnation.task is task or (incarnation.reentrant_tasks and task in incarnation.reentrant_tasks):
            return incarnation
    if sys.version_info >= (3, 12):  # a task that an agent made for itself
        return task.get_context().get(CURRENT_AGENT)
    return None


def _location(ident: int | None) -> tuple[str, str, str]:
    """The handler that runs in a thread, its ``file:line``, and the text of that line."""
    import linecache

    frame = inner = sys._current_frames().get(ident or 0)
    while frame is not None:
        back = frame.f_back
        if back is not None and _is_ours(back) and not _is_ours(frame):
            break
        frame = back
    if (frame := frame or inner) is None:
        return "", "", ""
    name, line = frame.f_code.co_filename, frame.f_lineno
    is_cell = "ipykernel_" in name or name.startswith("<ipython-input")  # whose file nobody knows
    return frame.f_code.co_name, f"cell:{line}" if is_cell else f"{name}:{line}", linecache.getline(name, line).strip()


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("pocketflex_nb.agents.")


def _try_force_kill(incarnation: Hosted, due: float, heard: list[bool]) -> None:
    if incarnation.status == "dead" or heard[0] or incarnation.host.loop.is_closed():
        with _lock:
            _forced_kills.pop(incarnation, None)
        return
    if time.monotonic() < due:
        return
    _forced_kills[incarnation] = (time.monotonic() + KILL_DELAY, heard)
    ident = incarnation.host.ident
    if ident is not None and _running(incarnation.host) is incarnation:
        # The check above and this line stand together: while we hold the interpreter's lock, the loop's thread cannot move on.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(AsyncKill))
