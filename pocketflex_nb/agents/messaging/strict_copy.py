"""Strict mode: copies each message as if it went to another process, so that what cannot be sent fails at once."""

from __future__ import annotations

import copy

from pocketflex_nb.agents.protocol.errors import NotPortable

__all__ = ["copy_message"]


def copy_message(message: object) -> object:
    """A deep copy of `message`, so that nothing is shared; raises for what cannot be sent to a process.

    Raises
    ------
    NotPortable
        It cannot be copied or pickled.
    """
    from pocketflex_nb.agents.messaging.portability import dumps  # cloudpickle is an extra: only strict mode and processes need it

    try:
        twin = copy.deepcopy(message)
    except Exception as exc:
        raise NotPortable(f"strict mode: {type(message).__name__} cannot be copied ({exc}); send plain data instead") from exc
    dumps(message)
    return twin
