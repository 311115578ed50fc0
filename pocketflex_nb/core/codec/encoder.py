"""`encode` writes a value as JSON that every process reads the same, with tags for the types that JSON lacks.

Numbers, texts, lists and dicts with text keys are written as JSON writes them. Anything else is an object of two or more members,
the first of which is ``"$"`` with the name of its kind: ``{"$": "tuple", "v": [1, 2]}``. A user's own dict with a key ``"$"``
is written as pairs, so that nothing can be mistaken for a tag.

What is read is never executed: there is no pickle, no import and no call of a user's function. Dataclasses, named tuples, enums and
pydantic models are looked up by name among the modules that are loaded already, and made without their ``__init__``. numpy, pandas and
pydantic are recognised through `sys.modules` alone (:mod:`pocketflex_nb.core.codec.third_party`).
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, TypeVar

from pocketflex_nb.core.codec import third_party as foreign
from pocketflex_nb.core.codec.inert_objects import check_hashable, static
from pocketflex_nb.core.codec.tagged_json import DEEPEST, FLAT, NAMES, UNREADABLE, Unloaded
from pocketflex_nb.core.codec.third_party import NotWritable, importable_name
from pocketflex_nb.core.errors import DecodingError, EncodingError
from pocketflex_nb.core.value_text import path_text

__all__ = ["FACTORIES", "FIELD", "check_depth", "encode", "fields_of_class", "hashed", "keyed", "read_flag", "unwritten"]

_PLAIN = frozenset({str, bool, type(None)})
_WIDE = 1_024  # bits of an int beyond which it is written in hex: reading long decimals is slow, and limited by Python
_Pack = Callable[[Any], object]
_T = TypeVar("_T")


def encode(value: Any, *, at: tuple[object, ...] = ()) -> str:
    """`value` as text that `decode` reads.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, list and dict; tuple, set, frozenset, bytes, bytearray, complex, range, slice, `...`; deque,
        OrderedDict, defaultdict, Counter; date, time, datetime, timedelta, timezone, ZoneInfo; Decimal, Fraction, UUID, paths,
        compiled patterns; dataclasses, named tuples, enums, pydantic models, numpy arrays and scalars, and pandas frames,
        series, indexes, timestamps and timedeltas. Of subclasses only those named.
    at : tuple
        Path that an error begins with, such as the store's key.

    Raises
    ------
    EncodingError
        With the path of what cannot be written, and how to mend it.

    Notes
    -----
    What stood in two places is read as two equal things. Sets are sorted, so that equal ones have one text in every process. Cost:
    linear in the size, but for sets; nothing is copied that is plain already.

    Examples
    --------
    >>> encode({"seen": {1}, "at": (0, 2)})
    '{"seen":{"$":"set","v":[1]},"at":{"$":"tuple","v":[0,2]}}'
    >>> encode({"deep": [ValueError()]}, at=("notes",))
    Traceback (most recent call last):
    pocketflex_nb.core.errors.EncodingError: notes.deep[0] cannot be kept: an exception (ValueError); keep its text: repr(value)
    """
    cls = value.__class__
    if cls is int and -_SAFE < value < _SAFE:
        return repr(value)
    if cls is Unloaded and value.tag == UNREADABLE:
        return str(value.members["v"])  # as it was read
    if cls is dict and (short := _short(value)):
        return short
    try:
        packed = value if cls in _PLAIN else _Packing().pack(value)
    except NotWritable as exc:
        path = (*at, *reversed(exc.path))
        raise EncodingError(f"{path_text(path) or 'the value'} cannot be kept: {exc.reason}", path=path) from exc.__cause__
    text = _text(packed)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair: legal in Python, in no file
            return json.dumps(packed, separators=(",", ":"), allow_nan=False, check_circular=False)
    return text


def _short(value: dict[object, object]) -> str:
    """The text of a dict of names to texts, whole numbers and the like, which is most of what is kept; empty if it is another, or long.

    A long one may hold an int that is written otherwise; one that is not ASCII, half a character.
    """
    value = value.copy()  # another thread may change it
    if "$" in value or not NAMES.issuperset(map(type, value)) or not FLAT.issuperset(map(type, value.values())):
        return ""
    try:
        text = _text(value)
    except ValueError:  # an int beyond what Python writes in decimals
        return ""
    return text if len(text) < _SHORT and text.isascii() else ""


_SAFE = 2**63
#: characters: an int of more bits than `_WIDE` has more digits
_SHORT = 300


def _encoder() -> Callable[[object], str]:
    """The encoder of packed values, made once: `JSONEncoder.encode` makes a new C encoder each time, which is most of its cost."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another Python than CPython
        return encode
    chunks = make(None, json.JSONEncoder().default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda packed: encode(packed) if packed.__class__ is str else "".join(chunks(packed, 0))


_text = _encoder()


def unwritten(exc: Exception) -> DecodingError:
    """The error for text that `encode` cannot have written."""
    try:
        told = str(exc)[:300]
    except Exception:  # a class of somebody else's
        told = ""
    return DecodingError(f"this was not written by pocketflex_nb: {type(exc).__name__}: {told}")


def check_depth(value: object) -> None:
    """Raise unless `value` is shallow enough to be encoded again."""
    level: list[Any] = [value]
    deep = 0
    while level:
        deep += 1
        if deep > DEEPEST + 1:
            raise DecodingError(f"it is nested more than {DEEPEST} levels deep, which no version of pocketflex_nb writes")
        below: list[object] = []
        for one in level:
            if issubclass(type(one), dict):
                below += [item for item in one.values() if issubclass(type(item), _NESTING)]
            elif issubclass(type(one), (list, tuple)):
                below += [item for item in one if issubclass(type(item), _NESTING)]
        level = below


_NESTING = (dict, list, tuple)


# writing -------------------------------------------------------------------------------------------------------------
class _Packing:
    """The encoding of one value."""

    __slots__ = ("_above",)

    def __init__(self) -> None:
        self._above: set[int] = set()

    def pack(self, value: Any) -> object:
        cls = value.__class__
        if cls in _PLAIN:
            return value
        if cls is int:
            return value if value.bit_length() <= _WIDE else {"$": "int", "v": hex(value)}
        if cls is float:
            return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
        simple = _SIMPLE.get(cls)
        if simple is not None:
            return simple(value)
        here = id(value)
        if here in self._above:
            raise NotWritable("it contains itself; store a copy, or its name, in its place")
        if len(self._above) >= DEEPEST:
            raise NotWritable(f"it is nested more than {DEEPEST} levels deep; store parts of it under separate keys")
        self._above.add(here)
        try:
            return self._compound(cls, value)
        finally:
            self._above.discard(here)

    def _compound(self, cls: type, value: Any) -> object:
        if cls is list:
            return self.items(value)
        if cls is dict:
            return self._mapping(value)
        compound = _COMPOUND.get(cls)
        if compound is not None:
            return compound(self, value)
        if cls is Unloaded:
            if value.tag == UNREADABLE:
                return {"$": UNREADABLE, "v": value.members["v"]}
            return {name: self.pack(member) for name, member in value.members.items()}
        return self._classed(cls, value)

    def items(self, items: Iterable[Any]) -> list[object]:
        packed: list[object] = []
        pack = self.pack
        try:
            for value in items:
                cls = value.__class__
                packed.append(value if cls in _PLAIN or (cls is int and -_SAFE < value < _SAFE) else pack(value))
        except NotWritable as exc:
            exc.path.append(len(packed))
            raise
        return packed

    def members(self, values: Any) -> list[object]:
        """The members of a set in an order that is the same in each process; a set's own depends on the hash seed and on its history."""
        if (types := set(map(type, values))) == {str} or types == {int}:
            return self.items(sorted(values))
        return sorted(self.items(values), key=_text)

    def _mapping(self, value: Any) -> object:
        if "$" in value or not NAMES.issuperset(map(type, value)):
            return {"$": "dict", "v": self.pairs(value)}
        return self.named(value)

    def named(self, entries: Mapping[str, Any]) -> dict[str, object]:
        packed: dict[str, object] = {}
        key, pack = "", self.pack
        try:
            for key, item in entries.items():
                cls = item.__class__
                packed[key] = item if cls in _PLAIN or (cls is int and -_SAFE < item < _SAFE) else pack(item)
        except NotWritable as exc:
            exc.path.append(key)
            raise
        return packed

    def pairs(self, value: Any) -> list[list[object]]:
        packed, key = [], None
        try:
            for key, item in value.items():
                packed.append([self.pack(key), self.pack(item)])
        except NotWritable as exc:
            exc.path.append(key)
            raise
        return packed

    def _classed(self, cls: type, value: Any) -> object:
        """Encode an instance of a class that must be found again by name, or of a library."""
        if isinstance(value, enum.Enum):
            return {"$": "enum", "c": importable_name(cls), "v": self.pack(value.value if isinstance(value, enum.Flag) else value.name)}
        if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
            return {"$": "namedtuple", "c": importable_name(cls), "v": self.named(value._asdict())}
        if dataclasses.is_dataclass(value) and not isinstance(value, (dict, list, tuple, str, int, float)):
            return {"$": "dataclass", "c": importable_name(cls), "v": self.named(fields_of_class(value))}
        if issubclass(cls, pathlib.PurePath):
            return {"$": "path" if isinstance(value, pathlib.Path) else _PURE[isinstance(value, pathlib.PurePosixPath)], "v": str(value)}
        packed = foreign.pack(value, self)
        if packed is None:
            raise NotWritable(_mend(value))
        return packed


_PURE = {True: "posixpath", False: "windowspath"}


def fields_of_class(value: Any) -> dict[str, object]:
    """A dataclass's fields by name, as its instance holds them."""
    try:
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    except AttributeError as exc:
        raise NotWritable(f"the dataclass {type(value).__qualname__} has no value for one of its fields ({exc})") from exc


def _mend(value: object) -> str:
    cls = type(value)
    for base in (dict, list, tuple, set, frozenset, str, int, float, bytes):
        if issubclass(cls, base):
            return f"{cls.__qualname__} is a class of its own below {base.__name__}; keep {base.__name__}(value)"
    if isinstance(value, BaseException):
        return f"an exception ({cls.__qualname__}); keep its text: repr(value)"
    if callable(value):
        return f"{_article(cls)}; keep its name, and look it up where it is used"
    if any(hasattr(value, name) for name in ("fileno", "acquire", "aclose", "connect")):
        return f"{_article(cls)}, which belongs to this process; make it where it is used, or keep it in the node, not in the store"
    if hasattr(value, "__next__") or hasattr(value, "__anext__"):
        return f"{_article(cls)}; keep list(value)"
    return f"{_article(cls)}; keep what it is made of: numbers, texts, lists, dicts, or a dataclass"


def _article(cls: type) -> str:
    module = "" if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}."
    return f"an object of class {module}{cls.__qualname__}"


def _b64(data: Any) -> str:
    return base64.b64encode(data).decode()


def _zone(tz: object) -> object:
    """A time zone, as the member of a time."""
    if tz is None:
        return None
    if tz.__class__ is dt.timezone:
        return _timezone(tz)
    if isinstance(tz, zoneinfo.ZoneInfo) and tz.key:
        return {"$": "zone", "v": tz.key}
    raise NotWritable(f"a time zone of class {type(tz).__qualname__}; use datetime.timezone or zoneinfo.ZoneInfo")


def _timezone(tz: dt.timezone) -> dict[str, object]:
    offset, name = tz.utcoffset(None), tz.tzname(None)
    named = {} if dt.timezone(offset).tzname(None) == name else {"name": name}
    return {"$": "timezone", "v": [offset.days, offset.seconds, offset.microseconds], **named}


def _clock(tag: str, value: Any) -> dict[str, object]:
    packed = {"$": tag, "v": value.replace(tzinfo=None).isoformat()}
    if value.tzinfo is not None:
        packed["tz"] = _zone(value.tzinfo)
    if value.fold:
        packed["fold"] = 1
    return packed


def _factory(packing: _Packing, value: Any) -> dict[str, object]:
    made = value.default_factory
    if made is not None and made not in FACTORIES.values():
        raise NotWritable(f"a defaultdict that makes {made!r}; keep dict(value)")
    return {"$": "defaultdict", "of": None if made is None else made.__name__, "v": packing.pairs(value)}


FACTORIES: dict[str, type] = {
    cls.__name__: cls for cls in (list, dict, set, int, float, str, bool, tuple, collections.Counter, collections.deque)
}
_SIMPLE: dict[type, Callable[[Any], object]] = {
    bytes: lambda value: {"$": "bytes", "v": _b64(value)},
    bytearray: lambda value: {"$": "bytearray", "v": _b64(value)},
    complex: lambda value: {"$": "complex", "v": [repr(value.real), repr(value.imag)]},
    type(...): lambda value: {"$": "ellipsis"},
    dt.date: lambda value: {"$": "date", "v": value.isoformat()},
    dt.datetime: lambda value: _clock("datetime", value),
    dt.time: lambda value: _clock("time", value),
    dt.timedelta: lambda value: {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]},
    dt.timezone: _timezone,
    zoneinfo.ZoneInfo: _zone,
    decimal.Decimal: lambda value: {"$": "decimal", "v": str(value)},
    fractions.Fraction: lambda value: {"$": "fraction", "v": [hex(value.numerator), hex(value.denominator)]},
    uuid.UUID: lambda value: {"$": "uuid", "v": value.hex},
    range: lambda value: {"$": "range", "v": [hex(value.start), hex(value.stop), hex(value.step)]},
}
_COMPOUND: dict[type, Callable[[_Packing, Any], object]] = {
    tuple: lambda packing, value: {"$": "tuple", "v": packing.items(value)},
    set: lambda packing, value: {"$": "set", "v": packing.members(value)},
    frozenset: lambda packing, value: {"$": "frozenset", "v": packing.members(value)},
    slice: lambda packing, value: {"$": "slice", "v": packing.items((value.start, value.stop, value.step))},
    collections.deque: lambda packing, value: {"$": "deque", "max": value.maxlen, "v": packing.items(value)},
    collections.OrderedDict: lambda packing, value: {"$": "ordereddict", "v": packing.pairs(value)},
    collections.Counter: lambda packing, value: {"$": "counter", "v": packing.pairs(value)},
    collections.defaultdict: _factory,
    re.Pattern: lambda packing, value: {"$": "pattern", "flags": value.flags, "v": packing.pack(value.pattern)},
}


def read_flag(cls: Any, wanted: object, name: str) -> object:
    """A member, or several in one, of a class of flags that makes those in Python's own way."""
    if wanted.__class__ is not int:
        raise DecodingError(f"{name} has no member {wanted!r}: flags are integers")
    member = static(cls, "_value2member_map_", {}).get(wanted)
    if member is not None:
        return member
    own = [special for special in ("_missing_", "__new__", "__init__", "_numeric_repr_") if _is_own(static(cls, special, None))]
    if own or type(cls).__call__ is not enum.EnumMeta.__call__:
        raise DecodingError(f"{name} has no member {wanted!r}, and creates other members by its own code, which decoding does not run")
    made = cls(wanted)
    if made.__class__ is not cls:
        raise DecodingError(f"{name} has no member {wanted!r} here: the class has changed since it was written")
    return made


def _is_own(found: object) -> bool:
    """Whether a special method is the user's."""
    function = getattr(found, "__func__", found)
    return function.__class__ is FunctionType and function.__globals__.get("__name__") != "enum"


@dataclasses.dataclass
class _Sample:
    of: int


FIELD: object = _Sample.__dataclass_fields__["of"]._field_type  # type: ignore[attr-defined]  # what tells a field from a class variable


def hashed(make: Callable[[Any], object]) -> Callable[[object], object]:
    """Make a set of the members."""

    def read(members: Any) -> object:
        check_hashable(members)
        return make(members)

    return read


def keyed(make: Callable[[Any], _T]) -> Callable[[object], _T]:
    """Make a mapping of pairs."""

    def read(pairs: Any) -> _T:
        check_hashable([key for key, _ in pairs])
        return make(pairs)

    return read


