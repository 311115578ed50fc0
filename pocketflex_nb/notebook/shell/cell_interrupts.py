"""Interrupts: the stop button reaches every cell, and no interrupt of an earlier cell reaches a later one.

ipykernel's handler for cells that await asks the kernel's loop to cancel the cell, and does not wake the loop for it: a cell that
awaits something long is cancelled only when that is over (https://github.com/ipython/ipykernel/issues/881). Plain code of such a cell,
a body's ``time.sleep`` or the cell's next line, never lets it happen at all. Ours wakes the loop, and raises `KeyboardInterrupt` in
plain code.

An interrupt comes between any two instructions of the main thread. Cells that do not await share one context: a variable that was set
there, and not reset, would stay set for every later cell; and each of them would belong to a run that is over.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

from pocketflex_nb.core.context import CURRENT_AGENT, CURRENT_FRAME
from pocketflex_nb.engine.runs.lost_handles import end_lost, forget_calls
from pocketflex_nb.engine.runs.run_lifecycle import registry
from pocketflex_nb.notebook.shell.output_capture import Lane

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["catch_interrupts", "clear_leftovers", "install_interrupts", "remove_interrupts", "runs_cell"]

_shells: list[object] = []


def catch_interrupts() -> None:
    """Let the stop button reach a cell that awaits, wherever it is. ipykernel removes its handler and ours when the cell is over."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)
    if "_cancel_on_sigint" not in getattr(before, "__qualname__", ""):  # a terminal, a cell that awaits nothing, or ours already
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if runs_cell(frame):
            raise KeyboardInterrupt
        before(number, frame)  # type: ignore[operator,misc]
        loop.call_soon_threadsafe(_woken)

    signal.signal(signal.SIGINT, interrupt)


def _woken() -> None:
    """The loop looks at what ipykernel's handler has put there."""


def runs_cell(frame: FrameType | None) -> bool:
    """Whether the main thread is in the cell's code, and not in a loop that waits for it."""
    while frame is not None:
        if frame.f_code.co_name == "run_code" and frame.f_code.co_filename.endswith("interactiveshell.py"):
            return True
        frame = frame.f_back
    return False


def install_interrupts(shell: InteractiveShell) -> None:
    """Look after each cell of `shell`."""
    _shells.append(shell)
    shell.events.register("pre_run_cell", _begin)
    shell.events.register("post_run_cell", _end)


def remove_interrupts(shell: InteractiveShell) -> None:
    """Undo `install_interrupts`."""
    if shell in _shells:
        _shells.remove(shell)
        shell.events.unregister("pre_run_cell", _begin)
        shell.events.unregister("post_run_cell", _end)


def _begin(*_: object) -> None:
    catch_interrupts()
    if not runs_cell(sys._getframe()):  # a cell that another one's code runs belongs to whatever that belongs to
        clear_leftovers()


def _end(result: object = None) -> None:
    """Runs whose handle went with the expression that was interrupted end too."""
    error = getattr(result, "error_in_exec", None)
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        end_lost(error.__traceback__)
    if not runs_cell(sys._getframe()):
        forget_calls()


def clear_leftovers() -> None:
    """Remove what an interrupt may have left behind in this thread: no cell begins inside of a run."""
    for variable in (CURRENT_FRAME, CURRENT_AGENT):
        if variable.get() is not None:
            variable.set(None)
    if threading.current_thread() is threading.main_thread():
        for run in registry.live():
            if run.blocks and not run.launched and run.task is None:
                registry.end_left(run, f"run {run.name!r} was interrupted")
    for shell in _shells:
        _address_streams(getattr(shell, "kernel", None))


def _address_streams(kernel: object) -> None:
    """Ensure that what this cell prints refers to the cell as its parent message."""
    parent: object = getattr(kernel, "get_parent", dict)()
    header = parent.get("header", parent) if isinstance(parent, dict) else None
    for stream in (sys.stdout, sys.stderr):
        if header and isinstance(stream, Lane) and getattr(stream, "parent_header", header) != header:
            getattr(stream, "set_parent")(parent)  # noqa: B009  # of the stream behind it
