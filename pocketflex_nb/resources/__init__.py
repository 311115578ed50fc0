"""Stores, queues and topics behind a URL, shared by kernels, processes and machines.

The rule of this room: it imports only :mod:`pocketflex_nb.core` and :mod:`pocketflex_nb.concurrency`. Each server's client is imported
in one file for the store and one for the queue or topic, inside functions, so that its extra is needed only where the server is used.
Values are written by :mod:`pocketflex_nb.core.codec.encoder` and never unpickled. URLs are parsed, and secrets masked, in
:mod:`pocketflex_nb.resources.connections.urls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from pocketflex_nb.resources.queues.open_queue import open_queue
    from pocketflex_nb.resources.stores.open_store import open_store
    from pocketflex_nb.resources.stores.shared_store import SharedStore
    from pocketflex_nb.resources.topics.open_topic import open_topic

__all__ = ["SharedStore", "open_queue", "open_store", "open_topic"]


def __getattr__(name: str) -> _Any:
    """Import each public function on first access: a store needs no queue."""
    if name == "open_store":
        from pocketflex_nb.resources.stores.open_store import open_store

        return open_store
    if name == "SharedStore":
        from pocketflex_nb.resources.stores.shared_store import SharedStore

        return SharedStore
    if name == "open_queue":
        from pocketflex_nb.resources.queues.open_queue import open_queue

        return open_queue
    if name == "open_topic":
        from pocketflex_nb.resources.topics.open_topic import open_topic

        return open_topic
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
