"""Serialises values for other processes by cloudpickle, with the classes and functions of the notebook."""

from __future__ import annotations

import pickle
from typing import Any

from pocketflex_nb.agents.protocol.errors import NotPortable

__all__ = ["dumps", "loads"]


def dumps(value: object) -> bytes:
    """`value` as bytes.

    Raises
    ------
    NotPortable
        It cannot be pickled.
    ImportError
        cloudpickle is not installed.
    """
    try:
        import cloudpickle
    except ImportError as exc:
        raise ImportError(
            "strict=True and isolation=\"process\" send values by cloudpickle, which is not installed: pip install 'pocketflex_nb[process]'"
        ) from exc
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as exc:
        raise NotPortable(f"{type(value).__name__} cannot be sent to another process ({exc}); send plain data instead") from exc
    return data


def loads(data: bytes) -> Any:
    """The value; only for bytes that `dumps` made in a process of ours."""
    return pickle.loads(data)
