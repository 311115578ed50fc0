"""The watchdog thread: finds blocked agents' loops, reports what blocks them, and kills the agent where a kill was requested.

It also warns of mailboxes that keep growing, and ends the agents of a loop that was closed, so that those who monitor them from
elsewhere are notified.

A coroutine that never awaits cannot be cancelled. `hunt` raises an exception inside it from here, which works in Python code; a long C
call has to return first.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from typing import Any

from pocketflex_nb.core.context import CURRENT_AGENT

__all__ = ["FAIR", "FLOOD", "LAG", "LOOK", "QUICK", "TICK", "AsyncKill", "hunt", "watch_over"]

#: seconds after which a loop that does not turn is an event
LAG = 0.25
#: seconds between two checks; and while an agent is being killed
TICK, QUICK = 0.1, 0.02
#: seconds that a loop gets to carry out a kill by itself
FAIR = 0.1
#: messages that may wait at one agent before that is an event, and again whenever they have doubled; seconds between two counts
FLOOD, LOOK = 100_000, 0.5


class AsyncKill(BaseException):
    """Raised inside code that does not yield."""


class _Watch:
    """The watch over one host: when it was last asked to answer, and whether its silence has been reported."""

    __slots__ = ("asked", "floods", "home", "is_told", "looked")

    def __init__(self, home: Any) -> None:
        self.home = home
        self.asked: float | None = None
        self.is_told = False
        self.looked = 0.0
        self.floods: dict[Any, int] = {}  # by agent, how many messages more will be told

    def answer(self) -> None:
        """The host's answer, called on its loop."""
        self.asked, self.is_told = None, False


_lock = threading.Lock()
_watches: dict[Any, _Watch] = {}
_prey: dict[Any, tuple[float, list[bool]]] = {}
_thread: threading.Thread | None = None
_wake = threading.Event()


def watch_over(home: Any) -> None:
    """Watch `home` while agents run there."""
    with _lock:
        home.is_watched = True
        _watches.setdefault(home, _Watch(home))
        _ensure_thread()


def hunt(life: Any) -> None:
    """Kill `life` even if it blocks its loop and never awaits. The kill was posted already."""
    heard = [False]

    def mark() -> None:
        heard[0] = True

    life.home.post(mark)
    with _lock:
        _prey[life] = (time.monotonic() + FAIR, heard)
        _ensure_thread()
    _wake.set()


def _ensure_thread() -> None:
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = threading.Thread(target=_patrol, name="pocketflex-watchdog", daemon=True)
        _thread.start()


def _patrol() -> None:
    global _thread
    while True:
        _wake.wait(QUICK if _prey else TICK)
        _wake.clear()
        for watch in list(_watches.values()):
            _look_at(watch)
        for life, (due, heard) in list(_prey.items()):
            _chase(life, due, heard)
        with _lock:
            if not _watches and not _prey:
                _thread = None
                return


def _look_at(watch: _Watch) -> None:
    home, now = watch.home, time.monotonic()
    if home.loop.is_closed():
        home.close()
    elif now - watch.looked > LOOK:
        watch.looked = now
        _count_mail(watch)
    if home.loop.is_closed() or not home.lives:
        with _lock:
            if home.loop.is_closed() or not home.lives:
                home.is_watched = False
                _watches.pop(home, None)
        return
    if not home.loop.is_running():  # between two runs of a loop that stands in plain code
        watch.asked = None
    elif watch.asked is None:
        watch.asked = now
        home.post(watch.answer)
    elif now - watch.asked > LAG and not watch.is_told:
        watch.is_told = True
        _tell(home, now - watch.asked)


def _count_mail(watch: _Watch) -> None:
    """Warn of mailboxes that are unreasonably long."""
    lives = list(watch.home.lives.values())
    for life in lives:
        waiting = len(life.box or ()) + len(life.inbound or ())
        if waiting < watch.floods.get(life, FLOOD):
            continue
        watch.floods[life] = 2 * waiting
        from pocketflex_nb.agents.host.agent_log import warn  # here: most are never flooded

        text = "is sent more than it handles, and each message takes memory: call it instead of casting, or send less"
        warn(f"agent {life.name!r} has {waiting} messages waiting: it {text}")
        life.note("flood", {"waiting": waiting}, life.cause)
    if watch.floods:
        watch.floods = {life: most for life, most in watch.floods.items() if life.status != "dead"}


def _tell(home: Any, seconds: float) -> None:
    """Record which handler blocks the loop."""
    life = _running(home)
    if life is None:
        return
    handler, where, line = _place(home.ident)
    import logging  # here: most never lag

    text = f"agent {life.name!r} holds the agents' loop since {seconds:.2f} s in {handler} ({where}: {line}): await there, or offload(fn)"
    logging.getLogger("pocketflex_nb").warning(text)
    life.note("lag", {"seconds": round(seconds, 3), "handler": handler, "where": where}, life.cause)


def _running(home: Any) -> Any:
    """The incarnation whose code the loop runs right now, or None."""
    try:
        task = asyncio.current_task(home.loop)
    except RuntimeError:
        return None
    if task is None:
        return None
    for life in list(home.lives.values()):
        if life.task is task or (life.side and task in life.side):
            return life
    if sys.version_info >= (3, 12):  # a task that an agent made for itself
        return task.get_context().get(CURRENT_AGENT)
    return None


def _place(ident: int | None) -> tuple[str, str, str]:
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


def _is_ours(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("pocketflex_nb.agents.")


def _chase(life: Any, due: float, heard: list[bool]) -> None:
    if life.status == "dead" or heard[0] or life.home.loop.is_closed():
        with _lock:
            _prey.pop(life, None)
        return
    if time.monotonic() < due:
        return
    _prey[life] = (time.monotonic() + FAIR, heard)
    ident = life.home.ident
    if ident is not None and _running(life.home) is life:
        # The check above and this line stand together: while we hold the interpreter's lock, the loop's thread cannot move on.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(AsyncKill))
