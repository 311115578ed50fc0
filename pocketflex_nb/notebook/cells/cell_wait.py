"""The wait of a cell for its runs: one coroutine, which the blocking form runs too."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, shortened, usage

__all__ = ["CellWait"]


class CellWait:
    """The result of a magic that waits: awaited by the cell when the whole line is the magic, waited for in plain code otherwise.

    Notes
    -----
    A subclass says what it waits for in `_begin`, and what comes then in `_end`.
    """

    is_magic_result = True

    def _begin(self) -> Run | RunGroup | None:
        """Start; returns what is to be waited for, or None."""
        raise NotImplementedError

    def _end(self) -> Any:
        """Handle the end."""
        return None

    def _started(self) -> Run | RunGroup | None:
        try:
            return self._begin()
        except PocketflexError as exc:
            raise shortened(exc) from None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._await().__await__()

    async def _await(self) -> Any:
        try:
            await self._prepare_async()
            runs = self._started()
            if runs is not None:
                await (runs.wait_async() if isinstance(runs, Run) else runs)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise self._interrupted() from None
        return self._end()

    def block(self) -> Any:
        """The same in plain code, for a magic inside another one."""
        if engine_thread.is_here and not engine_thread.is_borrowed:
            raise usage("a body that awaits cannot hold a magic that waits; write it as code, such as: await flow.launch(...)")
        try:
            self._prepare()
            runs = self._started()
            if runs is not None:
                runs.wait()
        except KeyboardInterrupt:
            raise self._interrupted() from None
        return self._end()

    async def _prepare_async(self) -> None:
        """Before anything is started."""

    def _prepare(self) -> None:
        """The same in plain code."""

    def _interrupted(self) -> BaseException:
        return Interrupted("Interrupted before anything was started.")
