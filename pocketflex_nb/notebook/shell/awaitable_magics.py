"""Makes magics awaitable, which IPython does not support: the transformed line is put behind an ``await``.

While an async cell waits, the kernel's loop turns: buttons of the page and other widgets answer. A magic inside another magic
(``%%time``) is transformed a second time, while a cell runs; that one stays as it is and waits in plain code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from pocketflex_nb.notebook.shell.cell_interrupts import catch_interrupts, runs_cell

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["AWAITED", "await_magics", "install_awaitable_magics", "remove_awaitable_magics", "run_awaited"]

#: whether the magic that is being called will be awaited
AWAITED: ContextVar[bool] = ContextVar("pocketflex_nb_awaited", default=False)

_NAMES = ("pocketflex", "pf")
_CALL = "await __import__('pocketflex_nb.notebook.shell.awaitable_magics', fromlist=['run_awaited']).run_awaited("


async def run_awaited(magic: Callable[..., object], *args: object) -> object:
    """Call a magic and await its result."""
    catch_interrupts()
    token = AWAITED.set(True)
    try:
        result = magic(*args)
    finally:
        AWAITED.reset(token)
    return await result if inspect.isawaitable(result) and getattr(result, "is_magic_result", False) else result


def await_magics(lines: list[str]) -> list[str]:
    """The input transformer: calls of our magics at the beginning of a line are awaited."""
    if runs_cell(sys._getframe()):
        return lines
    return [_awaited(line) for line in lines]


def _awaited(line: str) -> str:
    for kind in ("run_cell_magic", "run_line_magic"):
        for name in _NAMES:
            start = f"get_ipython().{kind}("
            if line.startswith(f"{start}'{name}'"):
                return f"{_CALL}get_ipython().{kind}, {line[len(start):]}"
    return line


def install_awaitable_magics(shell: InteractiveShell) -> None:
    """Have cells of `shell` transformed."""
    shell.input_transformers_post.append(await_magics)


def remove_awaitable_magics(shell: InteractiveShell) -> None:
    """Undo `install_awaitable_magics`."""
    if await_magics in shell.input_transformers_post:
        shell.input_transformers_post.remove(await_magics)
