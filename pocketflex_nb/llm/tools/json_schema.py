"""Writes a type as JSON schema: builtins, unions, `Literal`, enums, dataclasses, `TypedDict`s, and pydantic's models where it is in use."""

from __future__ import annotations

import dataclasses
import datetime
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Literal, Union

from pocketflex_nb.engine.control.answer_conversion import kind_name

__all__ = ["NoSchema", "Schema", "hints_of", "object_schema", "type_schema"]

#: a JSON schema
Schema = dict[str, Any]

_PLAIN: dict[object, Schema] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"}, type(None): {"type": "null"},
    dict: {"type": "object"}, list: {"type": "array"}, tuple: {"type": "array"}, object: {}, Any: {},
    set: {"type": "array", "uniqueItems": True}, frozenset: {"type": "array", "uniqueItems": True},
    datetime.date: {"type": "string", "format": "date"}, datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.time: {"type": "string", "format": "time"}, datetime.timedelta: {"type": "number", "description": "seconds"},
}
#: modules whose classes are made of a text
_OF_TEXT = ("pathlib", "uuid", "decimal", "fractions", "ipaddress", "zoneinfo")


class NoSchema(TypeError):
    """A type that JSON has no form for."""


def type_schema(kind: object) -> Schema:
    """The JSON schema of a type, with the definitions that it refers to.

    Raises
    ------
    NoSchema
        There is none; the message names the type and what to use instead.

    Examples
    --------
    >>> type_schema(list[int])
    {'type': 'array', 'items': {'type': 'integer'}}
    >>> type_schema(Literal["low", "high"] | None)
    {'anyOf': [{'type': 'string', 'enum': ['low', 'high']}, {'type': 'null'}]}
    """
    writer = _Writer()
    return writer.whole(writer.schema(kind))


def object_schema(kinds: Mapping[str, object], required: Iterable[str], about: Mapping[str, str], defaults: Mapping[str, object]) -> Schema:
    """The schema of an object with these fields, what is told `about` some of them, and the `defaults` that JSON can show.

    Raises
    ------
    NoSchema
        A field's type has none; the message begins with the field.
    """
    writer, properties = _Writer(), {}
    for name, kind in kinds.items():
        try:
            field = writer.schema(kind)
        except NoSchema as exc:
            raise NoSchema(f"{name!r}: {exc}") from None
        if name in about:
            field = {**field, "description": about[name]}
        if name in defaults and isinstance(defaults[name], (str, int, float, bool, type(None))):
            field = {**field, "default": defaults[name]}
        properties[name] = field
    return writer.whole({"type": "object", "properties": properties, "required": list(required), "additionalProperties": False})


class _Writer:
    """Writes the types of one schema; what refers to itself becomes a definition."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._open: dict[object, str] = {}  # structures that are being written
        self._recursive: set[str] = set()

    def whole(self, schema: Schema) -> Schema:
        """`schema` with the definitions that it refers to."""
        return {**schema, "$defs": self.definitions} if self.definitions else schema

    def schema(self, kind: object) -> Schema:
        """The schema of a type, inside of this one."""
        if isinstance(kind, typing.TypeVar):
            return {}
        if kind is None:
            return {"type": "null"}
        origin = typing.get_origin(kind)
        if origin is None and _is_known(kind):
            return dict(_PLAIN[kind])
        if origin is typing.Annotated:
            return self._annotated(kind)
        behind = getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)
        if behind is not None and not isinstance(kind, type):
            return self.schema(behind)
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.schema(one) for one in typing.get_args(kind)]}
        if origin is Literal:
            return _one_of(list(typing.get_args(kind)))
        if origin in (typing.Required, typing.NotRequired):
            return self.schema(typing.get_args(kind)[0])
        if origin is not None:
            return self._generic(origin, kind)
        return self._class(kind)

    def _annotated(self, kind: object) -> Schema:
        behind, *more = typing.get_args(kind)
        told = next((text for text in more if isinstance(text, str)), None)
        if told is None and "pydantic" in sys.modules:
            return self._of_pydantic(sys.modules["pydantic"].TypeAdapter(kind).json_schema)
        schema = self.schema(behind)
        return schema if told is None else {**schema, "description": told}

    def _generic(self, origin: object, kind: object) -> Schema:
        args = typing.get_args(kind)
        if not isinstance(origin, type):
            raise NoSchema(_unfit(kind))
        if issubclass(origin, tuple) and args and args[-1] is not ...:
            items = [self.schema(one) for one in args if one != ()]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if issubclass(origin, (dict, Mapping)):
            return {"type": "object", "additionalProperties": self.schema(args[1])}
        if issubclass(origin, Iterable):
            unique = {"uniqueItems": True} if issubclass(origin, typing.AbstractSet) else {}
            return {"type": "array", "items": self.schema(args[0]), **unique}
        return self._class(origin)

    def _class(self, kind: object) -> Schema:
        if not isinstance(kind, type):
            raise NoSchema(_unfit(kind))
        if issubclass(kind, Enum):
            return _one_of([one.value for one in kind])
        if hasattr(kind, "model_json_schema"):
            return self._of_pydantic(kind.model_json_schema)
        if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
            return self._structure(kind)
        if kind.__module__.partition(".")[0] in _OF_TEXT:
            return {"type": "string"}
        if kind in (Mapping, typing.MutableMapping) or issubclass(kind, dict):
            return {"type": "object"}
        if kind.__module__ == "collections.abc" and issubclass(kind, Iterable):
            return {"type": "array"}
        raise NoSchema(_unfit(kind))

    def _of_pydantic(self, write: Callable[..., Schema]) -> Schema:
        schema = write(ref_template="#/$defs/{model}")
        self.definitions |= schema.pop("$defs", {})
        return schema

    def _structure(self, kind: Any) -> Schema:
        """A dataclass or TypedDict."""
        if kind in self._open:
            self._recursive.add(self._open[kind])
            return {"$ref": f"#/$defs/{self._open[kind]}"}
        name = self._open[kind] = kind.__name__
        hints = hints_of(kind)
        if dataclasses.is_dataclass(kind):
            none = dataclasses.MISSING
            fields = [field for field in dataclasses.fields(kind) if field.init]
            hints = {field.name: hints[field.name] for field in fields}
            required = [field.name for field in fields if field.default is none and field.default_factory is none]
        else:
            required = [name for name, hint in hints.items() if _is_required(name, hint, kind)]
        schema = {
            "type": "object", "properties": {name: self.schema(hint) for name, hint in hints.items()}, "required": required,
            "additionalProperties": False,
        }
        del self._open[kind]
        if name in self._recursive:
            self.definitions[name] = schema
            return {"$ref": f"#/$defs/{name}"}
        return schema


def hints_of(kind: Any) -> dict[str, Any]:
    """The annotations of a class or function, evaluated, with what `Annotated` says.

    Raises
    ------
    NoSchema
        One of them names what is not there.
    """
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError as exc:
        raise NoSchema(f"its annotations name {exc.name!r}, which is not defined where {kind.__name__} is") from None


def _is_known(kind: object) -> bool:
    try:
        return kind in _PLAIN
    except TypeError:
        return False


def _is_required(name: str, hint: object, kind: Any) -> bool:
    how = typing.get_origin(hint)
    return how is typing.Required or (name in kind.__required_keys__ and how is not typing.NotRequired)


def _one_of(values: list[Any]) -> Schema:
    kinds = {type(value) for value in values}
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    typed = {"type": names[kinds.pop()]} if len(kinds) == 1 and next(iter(kinds)) in names else {}
    return {**typed, "enum": values}


def _unfit(kind: object) -> str:
    return f"JSON has no form for {kind_name(kind)}; use str, int, float, bool, a list, a dict, Literal, an enum or a dataclass of these"
