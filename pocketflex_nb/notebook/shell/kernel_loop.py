"""Runs on the kernel's own loop: ``%pf config --loop kernel``, for clients that a top-level await has bound to it.

Plain code in a cell then waits while that loop runs on in the same thread: its stack is left with greenlet, as in
:mod:`pocketflex_nb.concurrency.greenlet_stacks`, and not by nested loops. What waits there ends in any order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.greenlet_stacks import cannot_nest
from pocketflex_nb.engine.runs.run import runs
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.loaded_agents import living_agents

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["LOOPS", "use_loop"]

#: where runs walk: on the engine thread, or on the kernel's own loop
LOOPS = ("engine", "kernel")


def use_loop(shell: InteractiveShell, name: str) -> None:
    """Run flows on the loop of that name from now on.

    Raises
    ------
    UsageError
        When it cannot be had here, or while something runs; with the mend.
    """
    if name == ("kernel" if engine_thread.is_adopted else "engine"):
        return
    _refuse_while_busy()
    if name == "engine":
        engine_thread.restore_loop()
    else:
        _borrow(shell)


def _refuse_while_busy() -> None:
    live = runs(live=True)
    if live:
        raise usage(f"--loop: run {live[0].name!r} is still running; cancel it first: %pocketflex cancel all")
    agents = living_agents()
    if agents:
        raise usage(f"--loop: agent {agents[0].name} is running on the engine thread; stop it first: %pocketflex stop all")


def _borrow(shell: InteractiveShell) -> None:
    if getattr(shell, "kernel", None) is None:
        raise usage("--loop kernel: this is no kernel; a terminal has no loop that turns between the lines")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise usage("--loop kernel: the kernel's loop does not turn here; write it into a cell of its own") from None
    if (why := cannot_nest(loop)) is not None:
        raise usage(f"--loop kernel: plain code in a cell could not wait there: {why.partition(', or write')[0]}; then restart the kernel")
    engine_thread.adopt_loop(loop)
