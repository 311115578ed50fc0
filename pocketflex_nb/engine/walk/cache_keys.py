"""What the result of `exec` depends on: the code of the node's class, what the node holds, and what `exec` is given; as one hash."""

from __future__ import annotations

import inspect
from hashlib import blake2b
from typing import Any

from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.flow.code_marks import code_mark, exec_mark
from pocketflex_nb.core.store.store import Store

__all__ = ["cache_key", "is_cacheable"]

#: attributes of nodes that say how they are wired and tried, not what `exec` gives
_WIRES = frozenset(("successors", "params", "max_retries", "wait", "cacheable", "cur_retry"))


def is_cacheable(node: object, prep_res: object) -> bool:
    """Whether results of the node may be kept: not when it says otherwise, nor when `exec` works on the store itself."""
    return not isinstance(prep_res, Store) and bool(getattr(node, "cacheable", True))


def cache_key(node: Any, prep_res: object) -> str | None:
    """The key of what ``node.exec(prep_res)`` gives; None when the node says that it is not to be kept.

    Raises
    ------
    EncodingError
        The node holds, or was given, what cannot be written down.
    """
    own = getattr(type(node), "cache_key", None)
    if callable(own):
        held: object = node.cache_key(prep_res)
        if held is None:
            return None
        text = encode(held, at=("cache_key",))
    else:
        held = {name: _held(value) for name, value in sorted(vars(node).items()) if name not in _WIRES and name[:5] != "_pfx_"
                and value is not None}
        text = f"{encode(held, at=('self',))} {encode(node.params, at=('self', 'params'))} {encode(prep_res, at=('prep_res',))}"
    return blake2b(f"{exec_mark(type(node))} {text}".encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _held(value: object) -> object:
    """An attribute; of a function or a class its code."""
    if isinstance(value, type) or inspect.isroutine(value):
        code = getattr(value, "__func__", value)
        return "code", getattr(code, "__qualname__", ""), code_mark(code) if hasattr(code, "__code__") or isinstance(code, type) else ""
    return value
