"""PostgreSQL connections: the client's arguments and the translation of its errors, for the store and for the topic."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.errors import BadURL
from pocketflex_nb.resources.connections.urls import Address, missing_extra, refused, unreachable

if TYPE_CHECKING:
    from psycopg import AsyncConnection as AsyncConnection  # the backends name it from here
    from psycopg import Connection as Connection

__all__ = ["GUARD", "arguments", "client", "connection_error", "inherited"]

#: first statement of a transaction that creates tables: of concurrent users only one creates them. The number is arbitrary
GUARD = "SELECT pg_advisory_xact_lock(5067314951); CREATE SCHEMA IF NOT EXISTS pocketflex;"

#: connections of the parent, in a child of `fork`: kept for ever, so that the child never closes them
inherited: list[object] = []


def client(address: Address) -> ModuleType:
    """The module psycopg."""
    try:
        import psycopg
    except ImportError as exc:
        raise missing_extra(address, exc) from exc
    return psycopg


def arguments(address: Address) -> dict[str, Any]:
    """The arguments of the connection beside the URL; the URL's own options take precedence."""
    bounds = {"connect_timeout": 4, "tcp_user_timeout": 10_000, "application_name": "pocketflex_nb"}
    return {
        "autocommit": True, "prepare_threshold": 0, "options": "-c default_transaction_isolation=read\\ committed",
        **{name: value for name, value in bounds.items() if name not in address.options},
    }


def connection_error(psycopg: ModuleType, address: Address, exc: Exception) -> Exception:
    """The error of a failed connection, as one of ours."""
    if isinstance(exc, psycopg.OperationalError):
        is_answer = "FATAL" in str(exc) and "the database system is" not in str(exc)  # shutting down, or starting up
        return (refused if is_answer else unreachable)(address, exc)
    return BadURL(f"{address.safe} cannot be used: {' '.join(address.clean(exc).split())}", url=address.safe)
