"""The settings that the ``%% pf:`` lines of a diagram may give to nodes and flows, and how they are applied."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.nodes import BaseNode, BatchNode, Node
from pocketflex_nb.core.flow.option_checks import check_concurrency
from pocketflex_nb.core.flow.private_store import Private, declared, read_names
from pocketflex_nb.core.flow.retry_policy import Retry

__all__ = ["FLOW_SETTINGS", "NODE_SETTINGS", "apply", "flag", "seconds", "value_of"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def value_of(text: str) -> object:
    """A value as written: a Python literal, else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def seconds(value: object, what: str) -> float:
    """A duration in seconds: a number, or text such as ``"20s"``, ``"500ms"``, ``"2m"``, ``"1h"``."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)\s*", value)):
        return float(found[1]) * _UNITS[found[2]]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what}={value!r}: seconds are needed, such as 20 or '2m'")
    return float(value)


def _whole(value: object, what: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{what}={value!r}: a whole number of at least {least} is needed")
    return value


def _positive(value: object, what: str) -> float:
    found = seconds(value, what)
    if found <= 0:
        raise ValueError(f"{what}={value!r}: seconds above 0 are needed")
    return found


def _retries(thing: Node, value: object) -> None:
    tries = _whole(value, "retries")
    thing.max_retries = tries
    if thing._pfx_retry is not None:
        thing._pfx_retry = replace(thing._pfx_retry, attempts=tries)


def _wait(thing: Node, value: object) -> None:
    pause = seconds(value, "wait")
    if pause < 0:
        raise ValueError(f"wait={value!r}: must not be negative")
    thing.wait = pause
    if thing._pfx_retry is not None:
        thing._pfx_retry = replace(thing._pfx_retry, wait=pause)


def _retry(thing: Node, **change: Any) -> None:
    """Change one part of the node's `Retry`, starting from its present one."""
    base = thing._pfx_retry or Retry(attempts=max(int(thing.max_retries), 1), wait=float(thing.wait))
    thing._pfx_retry, thing._pfx_has_retry_policy = replace(base, **change), True


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what}={value!r}: a number is needed")
    return float(value)


def _node_timeout(thing: Node, value: object) -> None:
    thing._pfx_timeout = _positive(value, "timeout")
    thing._pfx_has_retry_policy = True


def _concurrency(thing: BaseNode, value: Any) -> None:
    check_concurrency("setting ", value)
    if isinstance(thing, BatchNode):
        thing._pfx_max_concurrency = value
    elif isinstance(thing, BatchFlow):
        thing._pfx_items_at_once = value
    elif isinstance(thing, Flow):
        thing._pfx_fork_limit = value
    else:
        raise ValueError("concurrency belongs to batch nodes and flows")


def flag(value: object, what: str) -> bool:
    """A yes or no as written."""
    found = {"true": True, "false": False, "yes": True, "no": False}.get(str(value).lower())
    if found is None:
        raise ValueError(f"{what}={value!r}: true or false is needed")
    return found


def _on_item_error(thing: BaseNode, value: object) -> None:
    if not isinstance(thing, (BatchNode, Flow)) or value not in ("raise", "collect"):
        raise ValueError(f"on_error={value!r}: 'raise' or 'collect', of a flow or a batch node; for error arrows write '-.->'")
    if isinstance(thing, (BatchNode, BatchFlow)):
        thing._pfx_on_item_error = value
    else:
        thing._pfx_on_branch_error = value


def _own_store(thing: Flow, option: str, value: object) -> None:
    """Give a flow a private store: names separated by ``&``, ``outer as inner`` for inputs, ``inner as outer`` for outputs."""
    names = read_names(value) if isinstance(value, str) else value
    known = thing._pfx_private or Private()
    options = {"inputs": known.takes, "outputs": known.gives, option: names}
    thing._pfx_private = declared(f"{thing.name or type(thing).__name__}", options["inputs"], options["outputs"], known.rules or None)


_Set = Callable[[Any, object], None]
_NODE: dict[str, _Set] = {
    "retries": _retries,
    "wait": _wait,
    "timeout": _node_timeout,
    "backoff": lambda thing, value: _retry(thing, backoff=_number(value, "backoff")),
    "jitter": lambda thing, value: _retry(thing, jitter=_number(value, "jitter")),
    "max_wait": lambda thing, value: _retry(thing, max_wait=seconds(value, "max_wait")),
    "concurrency": _concurrency,
    "on_error": _on_item_error,
}
_FLOW: dict[str, _Set] = {
    "timeout": lambda thing, value: setattr(thing, "_pfx_timeout", _positive(value, "timeout")),
    "max_steps": lambda thing, value: setattr(thing, "_pfx_max_steps", _whole(value, "max_steps")),
    "strict": lambda thing, value: setattr(thing, "_pfx_strict", flag(value, "strict")),
    "concurrency": _concurrency,
    "inputs": lambda thing, value: _own_store(thing, "inputs", value),
    "outputs": lambda thing, value: _own_store(thing, "outputs", value),
    "on_error": _on_item_error,
    "name": lambda thing, value: setattr(thing, "name", str(value)),
}
#: what may be set on a node, and on a flow; ``start``, ``id`` and ``repeats`` are read by the wiring itself
NODE_SETTINGS = (*_NODE, "id", "repeats")
FLOW_SETTINGS = (*_FLOW, "start", "id", "repeats")


def apply(thing: object, setting: str, value: object) -> None:
    """Apply a setting to `thing`, a node or a flow.

    Raises
    ------
    ValueError
        A value that does not fit, or a setting that belongs to something else.
    """
    if isinstance(thing, Flow):
        if setting not in _FLOW:
            raise ValueError(f"{setting!r} belongs to nodes, and {thing.name!r} is a flow")
        _FLOW[setting](thing, value)
    elif not isinstance(thing, Node) and setting != "concurrency":
        raise ValueError(f"{setting!r} belongs to nodes that retry, and {type(thing).__name__} is a BaseNode")
    else:
        _NODE[setting](thing, value)
