"""Hashes of a flow's code and wiring, by which a journal notices that they have changed."""

from __future__ import annotations

import inspect
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from pocketflex_nb.core.flow.node_ids import arrows, ids_of, nodes_by_path
from pocketflex_nb.core.flow.nodes import END

__all__ = ["code_mark", "code_marks", "wiring"]

_known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def code_mark(code: Any) -> str:
    """A hash of the source of a class or function; of its byte code where there is no source.

    Examples
    --------
    >>> def one():
    ...     return 1
    >>> def two():
    ...     return 2
    >>> code_mark(one) == code_mark(one), code_mark(one) == code_mark(two)
    (True, False)
    """
    import hashlib  # only a run with a journal needs it

    known = _known.get(code)
    if known is None:
        known = _known[code] = hashlib.blake2b(_text(code).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return known


def _text(code: Any) -> str:
    try:
        return inspect.cleandoc(inspect.getsource(code))
    except (OSError, TypeError, SyntaxError, ValueError):
        found = getattr(code, "__code__", None)
        if found is not None:
            return _of_code(found)
        parts = (f"{name}:{_of_code(fn.__code__)}" for name, fn in sorted(vars(code).items()) if hasattr(fn, "__code__"))
        return "\n".join([getattr(code, "__qualname__", ""), *parts])


def _of_code(code: CodeType) -> str:
    consts = [_of_code(const) if isinstance(const, CodeType) else repr(const) for const in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def code_marks(flow: Any) -> dict[str, str]:
    """The hash of each node's code, by graph path."""
    return {path: code_mark(getattr(node, "_pfx_fn", None) or type(node)) for path, node in nodes_by_path(flow).items()}


def wiring(flow: Any) -> list[str]:
    """The arrows of a flow and of those nested in it, as texts, sorted."""
    found = []
    for group, owner in [("", flow), *((f"{path}/", node) for path, node in nodes_by_path(flow).items() if hasattr(node, "start_node"))]:
        ids = ids_of(owner)
        for node, name in ids.items():
            for kind, action, target, together in arrows(node):
                goal = "END" if target is END else ids.get(target, "?")
                remark = ("" if kind == "action" else f" ({kind})") + (" &" if together > 1 else "")
                found.append(f"{group}{name} -{action}> {goal}{remark}")
    return sorted(found)
