"""The attributes of an object, read from its `__dict__` and its slots without running code of its class."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from typing import Any

__all__ = ["Reader", "is_looked_into", "is_record", "reader_of", "set_attributes"]

#: gives the attributes of an object by name
Reader = Callable[[Any], dict[str, object]]

_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)
_EXTRA, _PRIVATE, _SET = "__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__"
#: where libraries are installed, whose objects' attributes are not compared: clients, connections, locks
_LIBRARIES = (f"{os.path.dirname(os.__file__)}{os.sep}", f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
#: rooms whose objects are described by name only
_OWN = __name__.partition(".")[0]


def is_record(cls: type) -> bool:
    """Whether objects of `cls` consist of fields: dataclasses, attrs, pydantic models, namespaces."""
    return (
        hasattr(cls, "__dataclass_fields__")
        or hasattr(cls, "__attrs_attrs__")
        or cls is types.SimpleNamespace
        or (hasattr(cls, "model_construct") and hasattr(cls, "__pydantic_fields__"))
    )


def is_looked_into(cls: type) -> bool:
    """Whether `cls` is a class of the user's own, whose attributes are compared; not one of a library or of this package."""
    name = getattr(cls, "__module__", None)
    if not isinstance(name, str) or name.partition(".")[0] in (_OWN, "builtins"):
        return False
    module = sys.modules.get(name)
    if module is None or name == "__main__":
        return True
    file = getattr(module, "__file__", None)
    if file is None:  # built in, frozen, or made by hand
        return getattr(module, "__spec__", None) is None
    return not any(place in str(file) for place in _LIBRARIES)


def reader_of(cls: type) -> Reader | None:
    """A function that reads the attributes of objects of `cls`; None if they have none."""
    whole: Any = None
    slots: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, found in base.__dict__.items():
            if name == "__dict__" and isinstance(found, _DESCRIPTORS):
                whole = whole or found.__get__
            elif isinstance(found, types.MemberDescriptorType) and base is not types.SimpleNamespace:
                slots[name] = found.__get__
    slots.pop("__weakref__", None)
    slots.pop(_SET, None)
    if whole is None and not slots:
        return None

    def read(value: object) -> dict[str, object]:
        found = dict(whole(value)) if whole is not None else {}
        for name, get in slots.items():
            try:
                found[name] = get(value)
            except AttributeError:  # nothing stands in it
                continue
        return found

    if _EXTRA not in slots:
        return read

    def read_model(value: object) -> dict[str, object]:
        found: dict[str, Any] = read(value)
        extra, private = found.pop(_EXTRA, None), found.pop(_PRIVATE, None)
        return {**found, **(extra or {}), **(private or {})}

    return read_model


def set_attributes(value: Any, attributes: dict[str, object]) -> None:
    """Give a record exactly these attributes, without calling its class's `__setattr__`."""
    cls = type(value)
    read = reader_of(cls)
    now = read(value) if read is not None else {}
    model = hasattr(cls, "model_construct")
    if model:
        fields = set(getattr(cls, "__pydantic_fields__", ()))
        hidden = set(getattr(cls, "__private_attributes__", None) or ())
        extra = {name: item for name, item in attributes.items() if name not in fields and name not in hidden}
        private = {name: item for name, item in attributes.items() if name in hidden}
        if getattr(value, _EXTRA, None) is not None or (extra and cls.model_config.get("extra") == "allow"):
            object.__setattr__(value, _EXTRA, extra)
            attributes = {name: item for name, item in attributes.items() if name not in extra}
        if private or getattr(value, _PRIVATE, None) is not None:
            object.__setattr__(value, _PRIVATE, private)
            attributes = {name: item for name, item in attributes.items() if name not in private}
        now = dict(vars(value))
    for name in now:
        if name not in attributes:
            object.__delattr__(value, name)
    for name, item in attributes.items():
        if name not in now or now[name] is not item:
            object.__setattr__(value, name, item)
