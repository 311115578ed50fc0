"""Hashes of a flow's code and wiring, by which a journal notices that they have changed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from pocketflex_nb.core.flow.node_ids import arrows, ids_of, nodes_by_path
from pocketflex_nb.core.flow.nodes import END

__all__ = ["code_mark", "code_marks", "code_of", "exec_mark", "wiring"]

_known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_compiled: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_names: WeakKeyDictionary[CodeType, tuple[frozenset[str], frozenset[str]]] = WeakKeyDictionary()

#: the steps on which the result of `exec` does not depend
_OTHER_STEPS = frozenset(("prep", "post", "prep_async", "post_async"))
#: values around a function by which its code may differ from that of a twin
_FIXED = frozenset((str, bytes, int, float))


def code_mark(code: object) -> str:
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
    consts = [_of_code(const) if isinstance(const, CodeType) else _of_const(const) for const in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {consts}"


def _of_const(const: object) -> str:
    """A constant as text, the same in every process."""
    return f"frozenset({sorted(map(_of_const, const))})" if isinstance(const, frozenset) else repr(const)


def exec_mark(cls: type) -> str:
    """A hash of what `exec` of a node's class does.

    Of the source and the byte code of the class and of the user's classes it is derived from, and of the texts and numbers that its
    functions, `prep` and `post` left out, read from the functions or the module around them.

    Examples
    --------
    >>> from pocketflex_nb import Node
    >>> def writer(tone):
    ...     class Write(Node):
    ...         def exec(self, topic):
    ...             return f"a {tone} text about {topic}"
    ...     return Write
    >>> exec_mark(writer("calm")) == exec_mark(writer("calm")), exec_mark(writer("calm")) == exec_mark(writer("bold"))
    (True, False)
    """
    import hashlib

    parts = []
    for base in cls.__mro__:
        if base is not object and not _is_ours(base):
            parts += [code_mark(base), _compiled_text(base), *_read_around(base)]
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _is_ours(cls: type) -> bool:
    """Whether it is one of the classes that users derive theirs from."""
    return cls.__module__.startswith(("pocketflex_nb.core.", "pocketflex_nb.pocketflow")) and "<locals>" not in cls.__qualname__


def _compiled_text(cls: type) -> str:
    """The functions and the plain attributes of a class as they are when it is first asked for: a class may count its own calls."""
    known = _compiled.get(cls)
    if known is None:
        functions = (f"{name}:{_of_code(fn.__code__)}" for name, fn in _functions(cls))
        plain = (f"{name}={value!r}" for name, value in sorted(vars(cls).items()) if value.__class__ in _FIXED and name[:2] != "__")
        known = _compiled[cls] = "\n".join([cls.__qualname__, *functions, *plain])
    return known


def _functions(cls: type) -> Iterator[tuple[str, Any]]:
    """The functions that stand in a class, without what decorates them."""
    for name, value in sorted(vars(cls).items()):
        fn = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        fn = inspect.unwrap(fn) if hasattr(fn, "__wrapped__") else fn
        if hasattr(fn, "__code__"):
            yield name, fn


def _read_around(cls: type) -> Iterator[str]:
    for name, fn in _functions(cls):
        if name in _OTHER_STEPS:
            continue
        read, stored = _names_of(fn.__code__)
        cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False))
        for around in sorted(read - stored):
            try:
                value = cells[around].cell_contents if around in cells else fn.__globals__.get(around)
            except ValueError:  # a cell that is still empty
                continue
            if _is_fixed(value):
                yield f"{name}.{around}={value!r}"


def _is_fixed(value: object) -> bool:
    return value.__class__ in _FIXED or (isinstance(value, tuple) and all(map(_is_fixed, value)))


def _names_of(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names that code reads from around itself, and those that it sets there."""
    known = _names.get(code)
    if known is None:
        import dis

        read, stored = set[str](code.co_freevars), set[str]()
        for op in dis.get_instructions(code):
            if op.opname == "LOAD_GLOBAL":
                read.add(str(op.argval))
            elif op.opname in ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL", "DELETE_DEREF"):
                stored.add(str(op.argval))
        for const in code.co_consts:
            if isinstance(const, CodeType):
                inner_read, inner_stored = _names_of(const)
                read |= inner_read
                stored |= inner_stored
        known = _names[code] = frozenset(read), frozenset(stored)
    return known


def code_marks(flow: Any) -> dict[str, str]:
    """The hash of each node's code, by graph path."""
    return {path: code_mark(code_of(node)) for path, node in nodes_by_path(flow).items()}


def code_of(node: object) -> Any:
    """The user's code that a node runs: the function that it was made of, else its class."""
    return getattr(node, "_pfx_fn", None) or getattr(node, "_pfx_code", None) or type(node)


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
