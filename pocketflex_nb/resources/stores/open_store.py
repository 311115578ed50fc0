"""`open_store`: the store behind a URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pocketflex_nb.resources.connections.urls import Address, parse_url
from pocketflex_nb.resources.stores.backends.backend import StoreBackend
from pocketflex_nb.resources.stores.shared_store import SharedStore

__all__ = ["open_store", "reopened"]


def open_store(
    url: str,
    *,
    on_conflict: Literal["warn", "raise", "ignore"] = "warn",
    merge: Mapping[Any, Callable[..., Any]] | None = None,
    transient: Iterable[object] = (),
    history: int = 10_000,
) -> SharedStore:
    """A store that several kernels, processes or machines share, and that outlives them.

    Parameters
    ----------
    url : str
        ``memory:`` or ``memory:NAME`` (this process), ``sqlite:///file.db`` (this machine), ``redis://host:6379/0``,
        ``postgresql://user@host/db``; see :mod:`pocketflex_nb.resources.connections.urls`. With ``?name=team`` one of several there.
    on_conflict, merge, transient
        As for `Store`. They are this object's own: others may open the same store with others.
    history : int
        Changes kept, at least, by those who write with this number.

    Returns
    -------
    SharedStore
        A `Store`: use it as one, pass it to `launch`, look into it with `StoreInspector`. Close it, or use ``with``.

    Raises
    ------
    BadURL
        The URL names no store.
    MissingExtra
        The server's client is not installed; the message has the pip line.
    Unreachable, Refused
        No server answers within 5 s, or it refuses. No secret of the URL is in the message.

    Notes
    -----
    An acknowledged write outlives the end of any process that uses the store. When the *server* is killed, or the power fails, its
    settings count: PostgreSQL keeps every write with its defaults (``fsync=on``, ``synchronous_commit=on``). Redis does with
    ``appendonly yes`` and ``appendfsync always``; with ``everysec``, the default beside ``appendonly yes``, the last two seconds may
    be lost. A SQLite file keeps all through kills, and through power cuts with ``?synchronous=full``.

    Examples
    --------
    >>> from pocketflex_nb import open_store
    >>> with open_store("memory:team") as mine, open_store("memory:team") as yours:
    ...     mine["notes"] = ["sun"]
    ...     yours.update("notes", lambda notes: [*notes, "rain"])
    ...     mine["notes"], yours.who("notes").version
    ['sun', 'rain']
    (['sun', 'rain'], 2)
    """
    if not isinstance(history, int) or isinstance(history, bool) or history < 1:
        raise ValueError(f"open_store(history={history!r}): a number of changes, 1 or more")
    options = {"on_conflict": on_conflict, "merge": merge, "transient": transient, "history": history}
    return SharedStore(_backend(parse_url(url), history), reopened, **options)


def reopened(address: Address, keep: int, options: Mapping[str, Any]) -> SharedStore:
    """The same store in another process."""
    return SharedStore(_backend(address, keep), reopened, **options)


def _backend(address: Address, keep: int) -> StoreBackend:
    """The backend of an address; each kind's file is imported when its first store is opened."""
    if address.kind == "memory":
        from pocketflex_nb.resources.stores.backends.memory import memory_backend

        return memory_backend(address, keep)
    if address.kind == "sqlite":
        from pocketflex_nb.resources.stores.backends.sqlite import SqliteStoreBackend

        return SqliteStoreBackend(address, keep)
    if address.kind == "redis":
        from pocketflex_nb.resources.stores.backends.redis import RedisStoreBackend

        return RedisStoreBackend(address, keep)
    from pocketflex_nb.resources.stores.backends.postgres import PostgresStoreBackend

    return PostgresStoreBackend(address, keep)
