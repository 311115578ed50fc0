"""`decode` reads tagged JSON back into values, with an allow-list of classes; reading imports nothing."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import pathlib
import re
import uuid
from collections.abc import Callable, Collection
from typing import Any, Literal

from pocketflex_nb.core.codec import third_party as foreign
from pocketflex_nb.core.codec.encoder import FACTORIES, FIELD, check_depth, hashed, keyed, read_flag, unwritten
from pocketflex_nb.core.codec.inert_objects import factory_made, made_of, static
from pocketflex_nb.core.codec.tag_shapes import check_foreign, check_shape, read_zone
from pocketflex_nb.core.codec.tagged_json import DEEPEST, NAMES, Unloaded
from pocketflex_nb.core.codec.third_party import class_named
from pocketflex_nb.core.errors import DecodingError, NotLoaded

__all__ = ["decode", "is_whole"]


def decode(text: str | bytes, *, unloaded: Literal["raise", "keep"] = "raise") -> Any:
    """The value that `encode` wrote.

    Parameters
    ----------
    unloaded : {"raise", "keep"}
        What becomes of what cannot be read here, since its class is not loaded, has changed, or it is no value at all: an error, or an
        `Unloaded` that is written again unchanged.

    Raises
    ------
    DecodingError
        When it was not written by `encode`, or its class is not loaded here. With ``unloaded="keep"``: never.

    Notes
    -----
    Imports nothing (where the system has no time zones, the ``tzdata`` package is asked for them) and runs no code of the classes that it
    meets: no ``__init__``, ``__new__``, ``__setstate__``, ``_missing_``, default factory, descriptor or hash of theirs. What cannot be
    made without is not made.

    Examples
    --------
    >>> from pocketflex_nb.core.codec.encoder import encode
    >>> decode(encode({1: ("a", b"b")}))
    {1: ('a', b'b')}
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if '"$"' not in text:  # no tag, hence nothing that JSON does not say by itself
            value = _plain(text)
        else:
            value = _strict(text) if unloaded == "raise" else _keeping(text)
        if text.count("[") + text.count("{") > DEEPEST:
            check_depth(value)
        return value
    except Exception as exc:
        error = exc if isinstance(exc, DecodingError) else unwritten(exc)
        if unloaded == "keep":
            return Unloaded.of_text(text, str(error))
        if error is exc:
            raise
        raise error from exc


def is_whole(value: Any) -> bool:
    """Whether `value`, as `decode` returned it, contains no `Unloaded`. Lists, tuples and dicts are searched, keys included."""
    cls = type(value)
    if cls is Unloaded:
        return False
    if issubclass(cls, dict):
        return all(map(is_whole, value.values())) and (NAMES.issuperset(map(type, value)) or all(map(is_whole, value)))
    return all(map(is_whole, value)) if issubclass(cls, (list, tuple)) else True


# reading -------------------------------------------------------------------------------------------------------------
def _untag(members: dict[str, object]) -> object:
    """The value of a tagged object whose members have been decoded already."""
    tag = members.get("$")
    if tag is None:
        return members
    if tag.__class__ is not str:
        raise DecodingError(f"the kind of a value must be a string, not a {type(tag).__name__}")
    read = _READ.get(tag)
    if read is not None:
        check_shape(tag, members)
        return read(members)
    check_foreign(tag, members)
    return foreign.unpack(tag, members)


def _untag_or_keep(members: dict[str, object]) -> object:
    tag = members.get("$")
    if tag is None:
        return members
    try:
        if not is_whole(members):
            if tag.__class__ is not str or tag not in _OPEN:
                return Unloaded(members)
            check_shape(tag, members)
            return _READ[tag](members)
        return _untag(members)
    except NotLoaded:
        return Unloaded(members)
    except Exception as exc:  # whatever a reader, or a library that it asks, makes of what it was given
        return Unloaded(members, str(exc if isinstance(exc, DecodingError) else unwritten(exc)))

#: made once each: `json.loads` makes a decoder for each call that wants other than its defaults
_plain = json.JSONDecoder().decode

_strict = json.JSONDecoder(object_hook=_untag).decode

_keeping = json.JSONDecoder(object_hook=_untag_or_keep).decode


def _timed(value: Any, members: dict[str, object]) -> object:
    return value.replace(tzinfo=members.get("tz"), fold=members.get("fold", 0))


def _read_timezone(members: dict[str, Any]) -> dt.timezone:
    offset = dt.timedelta(*members["v"])
    return dt.timezone(offset, members["name"]) if "name" in members else dt.timezone(offset) if offset else dt.UTC


def _read_enum(members: dict[str, Any]) -> object:
    cls = class_named(members["c"], enum.Enum)
    wanted = members["v"]
    if issubclass(cls, enum.Flag):
        return read_flag(cls, wanted, members["c"])
    known = static(cls, "_member_map_", {})
    if wanted not in known:
        raise DecodingError(f"{members['c']} has no member {wanted!r} here: the class has changed since it was written")
    return known[wanted]


def _read_namedtuple(members: dict[str, Any]) -> object:
    cls = class_named(members["c"], tuple)
    given, known, fields = members["v"], static(cls, "_field_defaults", {}), static(cls, "_fields", None)
    if fields.__class__ is not tuple:
        raise DecodingError(f"{members['c']} is not a named tuple here: the class has changed since it was written")
    _same_fields(members["c"], given, fields, known)
    return tuple.__new__(cls, [given[name] if name in given else known[name] for name in fields])


def _read_dataclass(members: dict[str, Any]) -> object:
    cls = class_named(members["c"], object)
    known = static(cls, "__dataclass_fields__", None)
    if known.__class__ is not dict:
        raise DecodingError(f"{members['c']} is not a dataclass here: the class has changed since it was written")
    given, fields = members["v"], [field for field in known.values() if field._field_type is FIELD]
    defaults = {field.name: field for field in fields if _has_default(field)}
    _same_fields(members["c"], given, [field.name for field in fields], defaults)
    values = {field.name: given[field.name] if field.name in given else _default(field, members["c"]) for field in fields}
    return made_of(cls, values)  # no __init__ and no __post_init__: nothing of a file runs


def _has_default(field: dataclasses.Field[object]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _default(field: dataclasses.Field[object], name: str) -> object:
    return field.default if field.default is not dataclasses.MISSING else factory_made(field.default_factory, f"{name}.{field.name}")


def _same_fields(name: str, given: Collection[str], fields: Collection[str], defaults: Collection[str]) -> None:
    unknown = [field for field in given if field not in fields]
    lacking = [field for field in fields if field not in given and field not in defaults]
    if unknown or lacking:
        told = f"unknown here: {unknown}" if unknown else f"lacking in what was written: {lacking}"
        raise DecodingError(f"the fields of {name} have changed since it was written, {told}; give new fields a default")


def _member(make: Callable[[Any], object]) -> Callable[[dict[str, object]], object]:
    return lambda members: make(members["v"])

_READ: dict[str, Callable[[dict[str, Any]], object]] = {
    "int": _member(lambda v: int(v, 16)),
    "float": _member(float),
    "complex": _member(lambda v: complex(float(v[0]), float(v[1]))),
    "ellipsis": lambda members: ...,
    "bytes": _member(base64.b64decode),
    "bytearray": _member(lambda v: bytearray(base64.b64decode(v))),
    "dict": _member(keyed(dict)),
    "tuple": _member(tuple),
    "set": _member(hashed(set)),
    "frozenset": _member(hashed(frozenset)),
    "range": _member(lambda v: range(*(int(part, 16) for part in v))),
    "slice": _member(lambda v: slice(*v)),
    "deque": lambda members: collections.deque(members["v"], members["max"]),
    "ordereddict": _member(keyed(collections.OrderedDict)),
    "counter": _member(keyed(lambda v: collections.Counter(dict(v)))),
    "defaultdict": lambda members: collections.defaultdict(
        FACTORIES[members["of"]] if members["of"] else None, keyed(dict)(members["v"])
    ),
    "pattern": lambda members: re.compile(members["v"], members["flags"] & ~re.DEBUG),  # which prints
    "date": _member(dt.date.fromisoformat),
    "datetime": lambda members: _timed(dt.datetime.fromisoformat(members["v"]), members),
    "time": lambda members: _timed(dt.time.fromisoformat(members["v"]), members),
    "timedelta": _member(lambda v: dt.timedelta(*v)),
    "timezone": _read_timezone,
    "zone": _member(read_zone),
    "decimal": _member(decimal.Decimal),
    "fraction": _member(lambda v: fractions.Fraction(int(v[0], 16), int(v[1], 16))),
    "uuid": _member(lambda v: uuid.UUID(hex=v)),
    "path": _member(pathlib.Path),
    "posixpath": _member(pathlib.PurePosixPath),
    "windowspath": _member(pathlib.PureWindowsPath),
    "enum": _read_enum,
    "namedtuple": _read_namedtuple,
    "dataclass": _read_dataclass,
}

#: kinds that may contain any value
_OPEN = frozenset({"dict", "tuple", "deque", "ordereddict", "defaultdict"})
