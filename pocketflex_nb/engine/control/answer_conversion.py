"""Converts answers to what a question asked for; a conversion that would lose or guess something is refused.

``"no"``, ``"False"`` and ``"0"`` are False, ``"36"`` is 36; 3.7 is not an int and None is not a text. Pydantic's models are recognised
by their methods: the package is never imported here.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import operator
import re
import sys
import types
import typing
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from enum import Enum
from typing import Any, Literal, Union

from pocketflex_nb.core.errors import nearest

__all__ = ["check_schema", "chosen", "fields_of", "fitted", "kind_name"]

_TRUE, _FALSE = frozenset({"true", "yes", "y", "t", "on", "1"}), frozenset({"false", "no", "n", "f", "off", "0"})
_WHOLE = re.compile(r"[+-]?\d+")
#: characters of a value that a message shows
_SHOWN = 200
#: number types that take whole numbers and texts without loss
_EXACT = frozenset({"decimal", "fractions"})


class _Misfit(Exception):
    """`value` is not of type `kind`; `path` leads to it from the whole answer."""

    def __init__(self, kind: object, value: object, reason: str = "") -> None:
        super().__init__(kind, value, reason)
        self.kind, self.value, self.reason, self.path = kind, value, reason, list[str]()

    def told(self) -> str:
        where = f"field {'.'.join(self.path)!r}" if self.path else "the answer"
        return f"{where} needs {kind_name(self.kind)}, got {_shown(self.value)}{f': {self.reason}' if self.reason else ''}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class _Unfit(Exception):
    """A field that is missing, unknown or refused by its model; the message is complete except for the path to it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message, self.path = message, list[str]()

    def told(self) -> str:
        return self.message + (f" (in field {'.'.join(self.path)!r})" if self.path else "")


def chosen(value: object, choices: Sequence[object], asked: str) -> object:
    """The one of `choices` that `value` is or, as a text, names; ValueError when it is none of them."""
    for choice in choices:
        if choice is value or (type(choice) is type(value) and _equal(choice, value)):
            return choice
    for choice in choices:
        if not isinstance(choice, bool) and not isinstance(value, bool) and _equal(choice, value):
            return choice
    named = [choice for choice in choices if isinstance(value, str) and str(choice) == value]
    if len(named) == 1:
        return named[0]
    raise ValueError(f"{value!r} is no answer to {asked!r}{nearest(str(value), map(str, choices))}")


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # arrays and their kin compare item by item
        return False


def fitted(value: object, schema: object) -> object:
    """`value` converted to `schema`: a mapping of field to type gives a dict, a type gives one of its values.

    Raises
    ------
    ValueError
        It does not fit; the message names the field.
    """
    try:
        if isinstance(schema, Mapping):
            if not isinstance(value, Mapping):
                raise _Unfit(f"the answer must be a mapping with the fields {', '.join(map(str, schema))}, not {value!r}")
            return _fields(value, schema, frozenset(schema))
        return _fit(schema, value)
    except (_Misfit, _Unfit) as exc:
        raise ValueError(exc.told()) from exc.__cause__


def check_schema(schema: object) -> None:
    """Raise TypeError for an invalid schema when the question is asked, not when it is answered."""
    for name, kind in schema.items() if isinstance(schema, Mapping) else [("the answer", schema)]:
        if not (kind is None or isinstance(kind, type) or typing.get_origin(kind) is not None or callable(kind)):
            raise TypeError(f"ask(schema=...): {name!r} needs a type such as str, int | None or list[str], got {kind!r}")


def fields_of(schema: object) -> dict[str, str] | None:
    """Field to the name of its type, for a form; None when the answer is one value."""
    fields = schema if isinstance(schema, Mapping) else _hints(schema)
    return None if fields is None else {str(name): kind_name(kind) for name, kind in fields.items()}


def kind_name(kind: object) -> str:
    """A type as people write it: ``int | None``, ``list[str]``, ``Literal['a', 'b']``."""
    if kind is None or kind is types.NoneType:
        return "None"
    if isinstance(kind, type) and typing.get_origin(kind) is None:
        return kind.__name__
    if typing.get_origin(kind) in (Union, types.UnionType):
        return " | ".join(kind_name(one) for one in typing.get_args(kind))
    text = getattr(kind, "__name__", None) if typing.get_origin(kind) is None else None
    return str(text or kind).replace("typing.", "")


def _hints(kind: object) -> dict[str, object] | None:
    """The fields of a dataclass, TypedDict or pydantic model."""
    if not isinstance(kind, type):
        return None
    if dataclasses.is_dataclass(kind):
        hints = _annotations(kind)
        return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(kind) if field.init}
    if typing.is_typeddict(kind):
        return _annotations(kind)
    if _is_model(kind):
        fields = getattr(kind, "model_fields", None) or getattr(kind, "__fields__", {})
        return {name: getattr(field, "annotation", Any) for name, field in fields.items()}
    return None


def _annotations(kind: object) -> dict[str, object]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # a name that is known to the function it was defined in only: what nobody can look up bounds nothing
        return dict.fromkeys(kind.__annotations__, Any)


def _is_model(kind: type) -> bool:
    return "pydantic" in sys.modules and (hasattr(kind, "model_validate") or hasattr(kind, "parse_obj"))


def _fields(value: Mapping[Any, object], kinds: Mapping[Any, object], needed: Collection[object]) -> dict[object, object]:
    unknown = [name for name in value if name not in kinds]
    if unknown:
        raise _Unfit(f"no field {unknown[0]!r} was asked for{nearest(str(unknown[0]), map(str, kinds))}")
    missing = [name for name in kinds if name in needed and name not in value]
    if missing:
        raise _Unfit(f"the field {missing[0]!r} is missing in the answer")
    return {name: _inside(str(name), kind, value[name]) for name, kind in kinds.items() if name in value}


def _inside(name: str, kind: object, value: object) -> object:
    try:
        return _fit(kind, value)
    except (_Misfit, _Unfit) as exc:
        exc.path.insert(0, name)
        raise


def _fit(kind: Any, value: object) -> object:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return value
    if kind is None or kind is types.NoneType:
        _check_none(kind, value)
        return None
    if origin is typing.Annotated:
        return _annotated(kind, value)
    if (behind := getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)) is not None and not isinstance(kind, type):
        return _fit(behind, value)  # a NewType, or the alias of a ``type`` statement
    if origin in (Union, types.UnionType):
        return _union(kind, value)
    if origin is Literal:
        return _literal(kind, value)
    base = kind if origin is None else origin
    if not isinstance(base, type):
        return _made(kind, value)
    return _typed(base, kind, value)


def _typed(base: type, kind: object, value: object) -> object:
    rule = _RULES.get(base)
    if rule is not None:
        return rule(kind, value)
    if issubclass(base, Enum):
        return _enum(base, value)
    if base in _MANY:
        return _collection(base, kind, value)
    if base is dict or (isinstance(value, Mapping) and base in (Mapping, typing.MutableMapping)) or base is Mapping:
        return _mapping(kind, value)
    if typing.is_typeddict(base):
        return _structure(base, value)
    if isinstance(value, base):
        return value
    if _is_model(base):
        return _model(base, value)
    if dataclasses.is_dataclass(base):
        return _structure(base, value)
    if isinstance(value, str) or (type(value) is int and base.__module__ in _EXACT):
        return _made(base, value)
    raise _Misfit(kind, value)


def _made(kind: Callable[[object], object], value: object) -> object:
    """The value that a class or function makes of `value`."""
    try:
        return kind(value)
    except (TypeError, ValueError, ArithmeticError, LookupError) as exc:
        raise _Misfit(kind, value, "" if isinstance(kind, type) else str(exc)) from exc


# one value -----------------------------------------------------------------------------------------------------------
def _check_none(kind: object, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.strip().lower() in ("", "none", "null")):
        raise _Misfit(kind, value)


def _bool(kind: object, value: object) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in _TRUE and text not in _FALSE:
        raise _Misfit(kind, value, "yes or no")
    return text in _TRUE


def _int(kind: object, value: object) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _Misfit(kind, value)
    return operator.index(value)


def _float(kind: object, value: object) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value) or not (isinstance(value, str) or hasattr(value, "__float__")):
        raise _Misfit(kind, value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _Misfit(kind, value) from exc


def _str(kind: object, value: object) -> str:
    if not isinstance(value, str):
        raise _Misfit(kind, value)
    return value


def _moment(kind: Any, value: object) -> object:
    """A date, a time of day, or both; as a text in ISO 8601."""
    if isinstance(value, kind) and not (kind is datetime.date and isinstance(value, datetime.datetime)):
        return value
    if not isinstance(value, str):
        raise _Misfit(kind, value)
    try:
        return kind.fromisoformat(value.strip())
    except ValueError as exc:
        raise _Misfit(kind, value, "in ISO 8601") from exc


def _duration(kind: object, value: object) -> datetime.timedelta:
    if isinstance(value, datetime.timedelta):
        return value
    try:
        return datetime.timedelta(seconds=_float(kind, value))
    except (OverflowError, ValueError, _Misfit) as exc:
        raise _Misfit(kind, value, "seconds") from exc


_RULES: dict[object, Callable[[object, object], object]] = {
    bool: _bool, int: _int, float: _float, str: _str,
    datetime.date: _moment, datetime.datetime: _moment, datetime.time: _moment, datetime.timedelta: _duration,
}


# one of several ------------------------------------------------------------------------------------------------------
def _union(kind: object, value: object) -> object:
    """The value as it is if it fits, else as the first type that it can be converted to."""
    fits = []
    for one in typing.get_args(kind):
        try:
            fits.append(_fit(one, value))
        except (_Misfit, _Unfit):
            continue
    if not fits:
        raise _Misfit(kind, value)
    return next((fit for fit in fits if type(fit) is type(value) and _equal(fit, value)), fits[0])


def _literal(kind: object, value: object) -> object:
    known = typing.get_args(kind)
    found = [one for one in known if type(one) is type(value) and one == value]
    found = found or [one for one in known if isinstance(value, str) and str(one) == value]
    if not found:
        raise _Misfit(kind, value)
    return found[0]


def _enum(kind: Any, value: object) -> object:
    if isinstance(value, kind):
        return value
    found = [one for one in kind if type(one.value) is type(value) and _equal(one.value, value)]
    if isinstance(value, str):
        found = found or [one for one in kind if one.name == value] or [one for one in kind if str(one.value) == value]
    if not found:
        raise _Misfit(kind, value, nearest(str(value), [one.name for one in kind]).removeprefix("; "))
    return found[0]


def _annotated(kind: object, value: object) -> object:
    """The type, and pydantic's validation of its constraints where pydantic is in use."""
    behind = typing.get_args(kind)[0]
    fit = _fit(behind, value)
    if "pydantic" not in sys.modules or not hasattr(sys.modules["pydantic"], "TypeAdapter"):
        return fit
    try:
        return sys.modules["pydantic"].TypeAdapter(kind).validate_python(fit)
    except ValueError as exc:
        raise _of_pydantic(behind, value, exc) from exc


# many values ---------------------------------------------------------------------------------------------------------
#: what a collection type is made as, and the types that it may be made of
_MANY: dict[object, Callable[[Iterable[object]], Collection[object]]] = {
    list: list, tuple: tuple, set: set, frozenset: frozenset, deque: deque, Sequence: list, typing.MutableSequence: list,
    Iterable: list, Collection: list, Set: set, typing.MutableSet: set,
    **{getattr(typing, name).__origin__: list for name in ("Sequence", "MutableSequence", "Iterable", "Collection")},
    **{getattr(typing, name).__origin__: set for name in ("AbstractSet", "MutableSet")},
}


def _read(kind: object, value: object, wanted: type | tuple[type, ...]) -> object:
    """A text that is JSON of a `wanted` decoded, because forms have only texts; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except ValueError as exc:
        raise _Misfit(kind, value, "a text must be JSON") from exc
    if not isinstance(read, wanted):
        raise _Misfit(kind, value)
    return read


def _collection(base: type, kind: object, value: object) -> object:
    made, args = _MANY[base], typing.get_args(kind)
    items = _read(kind, value, list)
    ordered = (list, tuple, deque)
    if not isinstance(items, ordered if made in ordered else (*ordered, set, frozenset)):
        raise _Misfit(kind, value)
    if made is tuple and args and not (len(args) == 2 and args[1] is ...):
        wanted = () if args == ((),) else args
        if len(items) != len(wanted):
            raise _Misfit(kind, value, f"{len(wanted)} values")
        return tuple(_inside(str(n), one, item) for n, (one, item) in enumerate(zip(wanted, items, strict=True)))
    if args:
        items = [_inside(str(n), args[0], item) for n, item in enumerate(items)]
    try:
        return items if type(items) is made else made(items)
    except TypeError as exc:  # what no set takes
        raise _Misfit(kind, value) from exc


def _mapping(kind: object, value: object) -> object:
    items, args = _read(kind, value, dict), typing.get_args(kind)
    if not isinstance(items, Mapping):
        raise _Misfit(kind, value)
    if not args:
        return items
    return {_inside(str(key), args[0], key): _inside(str(key), args[1], one) for key, one in items.items()}


def _structure(kind: type, value: object) -> object:
    """A dataclass or TypedDict."""
    given, kinds = _read(kind, value, dict), _hints(kind) or {}
    if not isinstance(given, Mapping):
        raise _Misfit(kind, value)
    if typing.is_typeddict(kind):
        return _fields(given, kinds, _required(kind))
    none = dataclasses.MISSING
    needed = {f.name for f in dataclasses.fields(kind) if f.default is none and f.default_factory is none}
    return _made_of(kind, _fields(given, kinds, needed), value)


def _required(kind: Any) -> set[str]:
    """The required keys of a TypedDict; its own `__required_keys__` errs where annotations are texts (PEP 563)."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:
        return set(kind.__required_keys__)
    said = {name: typing.get_origin(hint) for name, hint in hints.items()}
    return {n for n, how in said.items() if how is typing.Required or (n in kind.__required_keys__ and how is not typing.NotRequired)}


def _made_of(kind: Callable[..., object], fields: dict[Any, object], value: object) -> object:
    try:
        return kind(**fields)
    except (TypeError, ValueError) as exc:
        raise _Misfit(kind, value, str(exc)) from exc


def _model(kind: Any, value: object) -> object:
    """A pydantic model."""
    given = _read(kind, value, dict)
    if not isinstance(given, Mapping):
        raise _Misfit(kind, value)
    try:
        return (kind.model_validate if hasattr(kind, "model_validate") else kind.parse_obj)(dict(given))
    except ValueError as exc:
        raise _of_pydantic(kind, value, exc) from exc


def _of_pydantic(kind: object, value: object, error: Any) -> _Misfit | _Unfit:
    """The first of pydantic's errors, as one of ours."""
    try:
        first = error.errors()[0]
        path, what = [str(part) for part in first["loc"]], str(first["msg"])
    except Exception:  # a ValueError of a validator of the user's own
        return _Misfit(kind, value, str(error))
    if not path:
        return _Misfit(kind, value, what)
    unfit = _Unfit(f"{what}, got {_shown(first.get('input', value))}")
    unfit.path = path
    return unfit
