"""The supervision tree at one moment, as plain data for the live picture."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.agents.supervision.child_info import ChildInfo

__all__ = ["snapshot"]


def snapshot(ref: Any, info: ChildInfo | None = None) -> dict[str, Any]:
    """A supervisor or agent, and everything below it, as dicts, lists, texts and numbers.

    Returns
    -------
    dict
        ``id``, ``address``, ``type``, ``status``, ``restarts``, ``version``, ``is_stale``, ``error``, ``pid``, ``mailbox``, ``handled``,
        ``is_busy``, ``is_suspended``, ``strategy`` (or None), ``zombies`` and ``children``.
    """
    incarnation = ref._incarnation if ref is not None else None
    agent: Any = incarnation.agent if incarnation is not None else None
    is_tree = hasattr(agent, "members")
    return {
        "id": str(info.id if info is not None else ref.id),
        "address": incarnation.address if incarnation is not None else "",
        "name": incarnation.name if incarnation is not None else "",
        "type": info.type if info is not None else incarnation.type if incarnation is not None else "worker",
        "cls": getattr(incarnation.cls, "__name__", "") if incarnation is not None and not is_tree else "",
        "status": info.status if info is not None else str(incarnation.status) if incarnation is not None else "stopped",
        "restarts": info.restarts if info is not None else 0,
        "version": info.version if info is not None else 1,
        "is_stale": bool(info is not None and info.is_stale),
        "error": info.error if info is not None else None,
        "pid": incarnation.pid if incarnation is not None else None,
        "mailbox": incarnation.backlog if incarnation is not None else 0,
        "handled": incarnation.mailbox.handled if incarnation is not None else 0,
        "is_busy": bool(incarnation is not None and incarnation.is_busy),
        "is_suspended": bool(incarnation is not None and incarnation.mailbox.is_suspended),
        "strategy": agent.options.strategy if is_tree else None,
        "zombies": ref.zombies if is_tree else int(ref is not None and ref.is_zombie),
        "children": [snapshot(info.ref, info) for info in ref.children()] if is_tree else [],
    }
