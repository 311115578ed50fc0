"""Runs on the kernel's own loop: ``%pf config --loop kernel``, for clients that a top-level await has bound to it.

Plain code in a cell then waits by having that loop turn inside itself, which asyncio forbids and nest-asyncio2 allows. Its `apply` is not
called: the one loop of this kernel gets a class of its own, and only that class is patched. On ipykernel 7 a nested loop lost every
message that arrived until nest-asyncio2 1.7.3 (https://github.com/Chaoses-Ib/nest-asyncio2).
"""

from __future__ import annotations

import asyncio
import sys
from importlib import metadata
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.engine.runs.run_registry import runs
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["LOOPS", "NEEDED", "use_loop"]

#: where runs walk: on the engine thread, or on the kernel's own loop
LOOPS = ("engine", "kernel")
#: the first version of nest-asyncio2 with which no message of the kernel is lost
NEEDED = (1, 7, 3)
_MEND = "pip install 'nest-asyncio2>=1.7.3', and restart the kernel"


def use_loop(shell: Any, name: str) -> None:
    """Run flows on the loop of that name from now on.

    Raises
    ------
    UsageError
        When it cannot be had here, or while something runs; with the mend.
    """
    if name == ("kernel" if engine_thread.is_borrowed else "engine"):
        return
    _refuse_while_busy()
    if name == "engine":
        _give_back()
    else:
        _borrow(shell)


def _refuse_while_busy() -> None:
    live = runs(live=True)
    if live:
        raise usage(f"--loop: {live[0].name!r} goes on; end what runs first: %pocketflex cancel all")
    scope: Any = sys.modules.get("pocketflex_nb.agents.actor.cell_scope")
    agents = scope.living() if scope is not None else []
    if agents:
        raise usage(f"--loop: agent {agents[0].name} lives on the engine thread; end it first: %pocketflex stop all")


def _borrow(shell: Any) -> None:
    if getattr(shell, "kernel", None) is None:
        raise usage("--loop kernel: this is no kernel; a terminal has no loop that turns between the lines")
    try:
        loop: Any = asyncio.get_running_loop()
    except RuntimeError:
        raise usage("--loop kernel: the kernel's loop does not turn here; write it into a cell of its own") from None
    nest = _nest()
    if hasattr(loop, "_nest_patched") and not hasattr(loop, "_nest_asyncio2"):
        raise usage(
            "--loop kernel: nest_asyncio.apply() was called, with which ipykernel 7 loses messages; "
            "take the call out, and restart the kernel"
        )
    before = type(loop)
    if not hasattr(loop, "_nest_patched"):
        try:
            loop.__class__ = type("KernelLoop", (before,), {"_pfx_before": before})
        except TypeError:
            raise usage(f"--loop kernel: {before.__module__}.{before.__name__} cannot turn inside itself; use asyncio's own loop") from None
        nest._patch_loop(loop)
    engine_thread.borrow(loop)


def _give_back() -> None:
    loop: Any = engine_thread.give_back()
    before = getattr(type(loop), "_pfx_before", None)
    if before is not None:
        loop.__class__ = before


def _nest() -> Any:
    try:
        version = metadata.version("nest-asyncio2")
        import nest_asyncio2
    except (ImportError, metadata.PackageNotFoundError):
        raise usage(f"--loop kernel needs nest-asyncio2, which is not installed: {_MEND}") from None
    if tuple(int(part) for part in version.split(".")[:3] if part.isdigit()) < NEEDED:
        raise usage(f"--loop kernel needs nest-asyncio2 1.7.3, and {version} is installed: with it the kernel loses messages. {_MEND}")
    return nest_asyncio2
