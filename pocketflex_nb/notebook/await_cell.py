"""How can a magic be awaited? IPython never does; so the transformed line is put behind an ``await`` of ours.

While an async cell waits, the kernel's loop turns: buttons of the page and other widgets answer. A magic inside another magic
(``%%time``) is transformed a second time, while a cell runs; that one stays as it is and waits in plain code.
"""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any

__all__ = ["AWAITED", "awaiting", "called", "install", "remove"]

#: whether the magic that is being called will be awaited
AWAITED: ContextVar[bool] = ContextVar("pocketflex_nb_awaited", default=False)

_NAMES = ("pocketflex", "pf")
_CALL = "await __import__('pocketflex_nb.notebook.await_cell', fromlist=['called']).called("
_depth = 0


async def called(magic: Callable[..., Any], *args: Any) -> Any:
    """Call a magic and await what it gives."""
    _hear_interrupts()
    token = AWAITED.set(True)
    try:
        result = magic(*args)
    finally:
        AWAITED.reset(token)
    return await result if inspect.isawaitable(result) and getattr(result, "is_magic_result", False) else result


def _hear_interrupts() -> None:
    """Let the stop button reach plain code of an awaited cell.

    ipykernel's handler for cells that await only asks the loop to cancel them, which plain code (a body's ``time.sleep``, the cell's
    next line) never lets happen. Ours raises KeyboardInterrupt there, and leaves every other moment to ipykernel's, which takes both
    away when the cell is over.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)
    if "_cancel_on_sigint" not in getattr(before, "__qualname__", ""):  # a terminal, or ours already
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _runs_cell(frame):
            raise KeyboardInterrupt
        before(number, frame)  # type: ignore[operator,misc]

    signal.signal(signal.SIGINT, interrupt)


def _runs_cell(frame: FrameType | None) -> bool:
    """Whether the main thread is in the cell's code, and not in a loop that waits for it."""
    while frame is not None:
        if frame.f_code.co_name == "run_code" and frame.f_code.co_filename.endswith("interactiveshell.py"):
            return True
        frame = frame.f_back
    return False


def awaiting(lines: list[str]) -> list[str]:
    """The input transformer: calls of our magics at the beginning of a line are awaited."""
    if _depth:
        return lines
    return [_awaited(line) for line in lines]


def _awaited(line: str) -> str:
    for kind in ("run_cell_magic", "run_line_magic"):
        for name in _NAMES:
            start = f"get_ipython().{kind}("
            if line.startswith(f"{start}'{name}'"):
                return f"{_CALL}get_ipython().{kind}, {line[len(start):]}"
    return line


def _enter(*_: Any) -> None:
    global _depth
    _depth += 1


def _leave(*_: Any) -> None:
    global _depth
    _depth = max(_depth - 1, 0)


def install(shell: Any) -> None:
    """Have cells of `shell` transformed."""
    global _depth
    # a cell that loads the extension is running, and its own end brings this back to 0; a start-up file is no cell
    _depth = int(bool(shell.display_trap.is_active))
    shell.input_transformers_post.append(awaiting)
    shell.events.register("pre_run_cell", _enter)
    shell.events.register("post_run_cell", _leave)


def remove(shell: Any) -> None:
    """Undo `install`."""
    if awaiting in shell.input_transformers_post:
        shell.input_transformers_post.remove(awaiting)
    for event, fn in (("pre_run_cell", _enter), ("post_run_cell", _leave)):
        if fn in shell.events.callbacks[event]:
            shell.events.unregister(event, fn)
