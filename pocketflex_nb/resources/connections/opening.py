"""Opens queues and topics within a time limit, and names one beside another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.resources.connections.urls import CONNECT, Address, parse_url, unreachable

__all__ = ["OpenedBackend", "open_backend", "with_name"]


class OpenedBackend(Protocol):
    """A backend of a queue or topic, as it is opened."""

    async def open(self) -> None:
        """Connect, and make what is needed there."""


def with_name(address: Address, name: str, *, what: str = "queue", kinds: Iterable[str] = ("memory",)) -> Address:
    """The same URL with the name of another queue or topic."""
    checked = parse_url(f"memory:{name}", what=what, kinds={"memory", *kinds})
    return checked if address.kind == "memory" else replace(address, name=checked.name)


def open_backend(backend: OpenedBackend, address: Address) -> None:
    """Open a backend on the thread where plain calls wait; raises within 5 s if that fails."""

    async def connect() -> None:
        try:
            async with asyncio.timeout(CONNECT):
                await backend.open()
        except TimeoutError:
            raise unreachable(address, f"no answer within {CONNECT:g} s") from None

    io_thread.run(connect())
