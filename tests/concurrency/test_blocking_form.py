"""The blocking form of an awaited method: what Shift+Tab shows of it, and what it does in a thread."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from pocketflex_nb.concurrency.blocking_form import blocking_form
from pocketflex_nb.concurrency.loop_thread import io_thread


class Box:
    """Holds one value."""

    def __init__(self) -> None:
        self.value: Any = None

    async def put(self, value: Any, *, delay: float = 0.0) -> str:
        """Store a value.

        Parameters
        ----------
        value : object
            Any.
        delay : float
            Seconds.

        Raises
        ------
        ValueError
            It is None.

        Examples
        --------
        ``await box.put(1)``
        """
        await asyncio.sleep(delay)
        if value is None:
            raise ValueError("None cannot be stored")
        self.value = value
        return f"stored {value!r}"

    put_sync = blocking_form(put)


def test_parameters_result_and_errors_are_those_of_the_awaited_form() -> None:
    box = Box()

    assert box.put_sync(7, delay=0.001) == "stored 7"
    assert box.value == 7
    assert inspect.signature(Box.put_sync) == inspect.signature(Box.put)
    with pytest.raises(ValueError, match="None cannot be stored"):
        box.put_sync(None)


def test_it_is_named_and_documented_as_the_blocking_form() -> None:
    doc = Box.put_sync.__doc__ or ""

    assert (Box.put_sync.__name__, Box.put_sync.__qualname__) == ("put_sync", "Box.put_sync")
    assert doc.startswith("`put` from plain code.\n\nParameters\n----------\nvalue : object\n    Any.")
    assert "Raises\n------" in doc
    assert "Examples" not in doc
    assert not inspect.iscoroutinefunction(inspect.unwrap(Box.put_sync))


def test_on_the_thread_that_it_waits_for_it_raises_instead_of_waiting_for_itself() -> None:
    async def call() -> str:
        return Box().put_sync(1)

    with pytest.raises(RuntimeError, match="await"):
        io_thread.run(call())
