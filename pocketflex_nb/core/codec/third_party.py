"""Encodes and decodes values of numpy, pandas and pydantic, none of which is ever imported here.

A library that is not in `sys.modules` cannot have made the value at hand; and a file that refers to one that is not loaded is answered
with its name, not with an import.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Protocol

from pocketflex_nb.core.codec.inert_objects import factory_made, made_of, static
from pocketflex_nb.core.codec.tag_shapes import read_zone
from pocketflex_nb.core.errors import DecodingError, NotLoaded

__all__ = ["NotWritable", "Packing", "class_named", "importable_name", "pack", "unpack"]


class Packing(Protocol):
    """The encoding of one value, as far as its parts need it."""

    def pack(self, value: object) -> object:
        """One value as tagged JSON."""
        ...

    def items(self, items: Iterable[object]) -> list[object]:
        """Several values as tagged JSON."""
        ...

    def named(self, entries: Mapping[str, object]) -> dict[str, object]:
        """Values by name as tagged JSON."""
        ...


class NotWritable(Exception):
    """A value cannot be encoded: the reason, and its path, innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[object] = []


def importable_name(cls: type) -> str:
    """A class as ``module:qualified.name``; raises unless the class can be found by that name again."""
    name = f"{cls.__module__}:{cls.__qualname__}"
    try:
        found: object = class_named(name, object)
    except DecodingError:
        found = None
    if found is not cls:
        where = "is defined inside a function" if "<locals>" in name else f"is not bound to its own name, {name},"
        raise NotWritable(f"its class {cls.__qualname__} {where} and could not be found again; define it at the top of a cell or module")
    return name


def class_named(name: str, base: type) -> type:
    """The class of that name, if its module is loaded and it is a subclass of `base`."""
    module, _, path = name.partition(":")
    found: object = sys.modules.get(module)
    if found is None:
        raise NotLoaded(f"{name} is not loaded here, and nothing is imported because of what was read; import {module} first")
    for part in path.split("."):
        found = _inside(found).get(part)
    if not isinstance(found, type) or base not in type.__dict__["__mro__"].__get__(found):
        mend = "run the cell that defines it first" if module == "__main__" else "it has been renamed or moved since it was written"
        raise NotLoaded(f"there is no class {path} in {module} here; {mend}")
    return found


def _inside(found: object) -> Any:
    """The entries of a module or a class, whatever its metaclass answers."""
    if isinstance(found, ModuleType):
        return object.__getattribute__(found, "__dict__")
    return type.__dict__["__dict__"].__get__(found) if isinstance(found, type) else {}


def pack(value: object, packing: Packing) -> dict[str, object] | None:
    """A value of numpy, pandas or pydantic as tagged JSON; None if it is of none of them."""
    for library, write in _WRITERS:
        module = sys.modules.get(library)
        if module is not None:
            packed = write(module, value, packing)
            if packed is not None:
                return packed
    return None


def unpack(tag: Any, members: dict[str, object]) -> object:
    """The value that `pack` encoded."""
    known = _READERS.get(tag)
    if known is None:
        raise DecodingError(f"{tag!r} is not a kind of value known to this version of pocketflex_nb")
    library, read = known
    module = sys.modules.get(library)
    if module is None:
        raise NotLoaded(f"a value of {library} ({tag}) was read, and {library} is not loaded here; write `import {library}` first")
    return read(module, members)


# pydantic ------------------------------------------------------------------------------------------------------------
def _pack_pydantic(pydantic: ModuleType, value: object, packing: Packing) -> dict[str, object] | None:
    if not isinstance(value, pydantic.BaseModel):
        return None
    fields = packing.named(dict(value.__dict__))
    packed: dict[str, object] = {
        "$": "pydantic", "c": importable_name(type(value)), "v": fields, "set": sorted(value.__pydantic_fields_set__),
    }
    if value.__pydantic_extra__:
        packed["extra"] = packing.named(value.__pydantic_extra__)
    if value.__pydantic_private__:
        packed["private"] = packing.named(value.__pydantic_private__)
    return packed


def _read_pydantic(pydantic: ModuleType, members: dict[str, Any]) -> object:
    cls = class_named(members["c"], pydantic.BaseModel)
    given, fields = dict(members["v"]), static(cls, "__pydantic_fields__", None)
    if fields is None:  # before pydantic 2.10
        fields = static(cls, "model_fields")
    unknown = [name for name in given if name not in fields]
    lacking = [name for name in fields if name not in given and fields[name].is_required()]
    if unknown or lacking:
        names = ", ".join(unknown + lacking)
        raise DecodingError(f"the fields of {members['c']} have changed since it was written ({names}); give new ones a default")
    for name in fields:
        if name not in given:
            factory = fields[name].default_factory
            default = fields[name].default
            default = default.copy() if default.__class__ in (list, dict, set) else default
            given[name] = default if factory is None else factory_made(factory, f"{members['c']}.{name}")
    extra = members.get("extra") or ({} if static(cls, "model_config", {}).get("extra") == "allow" else None)
    private = members.get("private") or ({} if static(cls, "__private_attributes__", {}) else None)
    # no validators and no __setstate__: they are the user's code, and the value was valid when it was written
    made = made_of(cls, {"__pydantic_fields_set__": set(members["set"]), "__pydantic_extra__": extra, "__pydantic_private__": private})
    object.__setattr__(made, "__dict__", given)
    return made


# numpy ---------------------------------------------------------------------------------------------------------------
def _pack_numpy(np: ModuleType, value: object, packing: Packing) -> dict[str, object] | None:
    if isinstance(value, np.generic):
        return {"$": "npscalar", **_array(np, np.asarray(value), packing)}
    if type(value) is np.ndarray:
        return {"$": "ndarray", **_array(np, value, packing)}
    if isinstance(value, np.ndarray):
        raise NotWritable(f"an array of class {type(value).__qualname__}; keep numpy.asarray(value)")
    if isinstance(value, np.dtype):
        return {"$": "dtype", "dtype": _descr(np, value)}
    return None


def _array(np: ModuleType, value: Any, packing: Packing) -> dict[str, object]:
    if value.dtype.hasobject:
        if value.dtype.kind != "O":
            records = "whose records hold Python objects; keep its columns as lists"
            raise NotWritable(f"an array {records if value.dtype.kind == 'V' else f'of dtype {value.dtype}; keep value.tolist()'}")
        return {"dtype": "O", "shape": list(value.shape), "v": packing.items(value.ravel().tolist())}
    return {"dtype": _descr(np, value.dtype), "shape": list(value.shape), "v": base64.b64encode(value.tobytes()).decode()}


def _descr(np: ModuleType, dtype: object) -> object:
    try:
        descr = np.lib.format.dtype_to_descr(dtype)
        if np.lib.format.descr_to_dtype(_as_descr(_listed(descr))) == dtype:
            return _listed(descr)
    except (TypeError, ValueError):
        pass
    raise NotWritable(f"an array of dtype {dtype}; keep value.tolist()")


def _listed(descr: object) -> object:
    """Tuples as lists, all the way down: JSON has no others."""
    return [_listed(part) for part in descr] if isinstance(descr, (list, tuple)) else descr


def _as_descr(listed: object) -> object:
    """A dtype as numpy writes it: a text, or a list of fields, each a tuple of name, dtype and perhaps shape."""
    if not isinstance(listed, list):
        return listed
    if listed and isinstance(listed[0], str) and len(listed) == 2 and not isinstance(listed[1], str):
        return (listed[0], tuple(listed[1]))  # a sub-array: dtype and shape
    return [(tuple(f[0]) if isinstance(f[0], list) else f[0], _as_descr(f[1]), *(tuple(s) for s in f[2:])) for f in listed]


def _read_array(np: ModuleType, members: dict[str, Any]) -> Any:
    shape = tuple(members["shape"])
    if members["dtype"] == "O":
        made = np.empty(len(members["v"]), dtype=object)
        for at, value in enumerate(members["v"]):  # one by one: no item is asked whether it is a sequence
            made[at] = value
        return made.reshape(shape)
    dtype = np.lib.format.descr_to_dtype(_as_descr(members["dtype"]))
    if dtype.hasobject:
        raise DecodingError("an array of objects cannot be made from bytes")
    return np.frombuffer(base64.b64decode(members["v"]), dtype=dtype).reshape(shape).copy()


# pandas --------------------------------------------------------------------------------------------------------------
def _pack_pandas(pd: ModuleType, value: Any, packing: Packing) -> dict[str, object] | None:
    if value is pd.NaT:
        return {"$": "NaT"}
    if value is pd.NA:
        return {"$": "NA"}
    cls = type(value)
    if cls is pd.Timestamp:
        zone = None if value.tzinfo is None else str(value.tzinfo)
        return {"$": "timestamp", "v": int(value.asm8.view("i8")), "unit": value.unit, "tz": zone}
    if cls is pd.Timedelta:
        return {"$": "pdtimedelta", "v": int(value.asm8.view("i8")), "unit": value.unit}
    if cls is pd.DataFrame:
        columns = [_named(packing, name, value.iloc[:, at], pd) for at, name in enumerate(value.columns)]
        return {"$": "dataframe", "columns": _index(pd, value.columns, packing), "index": _index(pd, value.index, packing), "v": columns}
    if cls is pd.Series:
        index, name = _index(pd, value.index, packing), packing.pack(value.name)
        return {"$": "series", "index": index, "name": name, "v": _column(pd, value, packing)}
    if isinstance(value, pd.Index):
        return {"$": "index", **_index(pd, value, packing)}
    return None


def _named(packing: Packing, name: object, column: object, pd: ModuleType) -> object:
    try:
        return _column(pd, column, packing)
    except NotWritable as exc:
        exc.path.append(name)
        raise


def _index(pd: ModuleType, index: Any, packing: Packing) -> dict[str, object]:
    if isinstance(index, pd.MultiIndex):
        levels = [_index(pd, level, packing) for level in index.levels]
        return {"levels": levels, "codes": [[int(c) for c in codes] for codes in index.codes], "name": packing.items(index.names)}
    name = packing.pack(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": name}
    return {"v": _column(pd, index, packing), "name": name, **_frequency(index)}


def _frequency(index: object) -> dict[str, object]:
    freq = getattr(index, "freqstr", None)
    return {"freq": freq} if freq else {}


def _column(pd: ModuleType, column: Any, packing: Packing) -> object:
    """One series or index, by its dtype: bytes for numpy's, parts for categories and zoned times, a list for nullable ones."""
    np, dtype = sys.modules["numpy"], column.dtype
    if isinstance(dtype, np.dtype):
        return _pack_numpy(np, np.asarray(column), packing)
    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "$": "categorical", "codes": [int(c) for c in column.array.codes], "ordered": bool(dtype.ordered),
            "v": _index(pd, dtype.categories, packing),
        }
    if isinstance(dtype, pd.DatetimeTZDtype):
        ticks = np.asarray(column.array.tz_convert("UTC").tz_localize(None))
        return {"$": "zoned", "tz": str(dtype.tz), "v": _pack_numpy(np, ticks, packing)}
    if isinstance(dtype, pd.StringDtype) or str(dtype) in _NULLABLE:
        missing = pd.isna(column)
        values = [None if gone else item for item, gone in zip(column.tolist(), missing, strict=True)]
        return {"$": "nullable", "dtype": _nullable(dtype), "v": packing.items(values)}
    raise NotWritable(f"a pandas column of dtype {dtype}; convert it: .astype(object), or to numbers and texts")


_NULLABLE = frozenset({"boolean", "Float32", "Float64", *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64))})


def _nullable(dtype: Any) -> object:
    """The name of a nullable dtype; of a text one with how it is stored, and what it writes for nothing."""
    storage = getattr(dtype, "storage", None)
    if storage is None:
        return str(dtype)
    return [storage, not isinstance(dtype.na_value, float)]


def _read_column(pd: ModuleType, members: dict[str, Any]) -> object:
    np = sys.modules["numpy"]
    if members["$"] == "categorical":
        return pd.Categorical.from_codes(members["codes"], _read_index(pd, members["v"]), ordered=members["ordered"])
    if members["$"] == "zoned":
        return pd.DatetimeIndex(members["v"]).tz_localize("UTC").tz_convert(_zone(members["tz"])).array
    dtype = members["dtype"]
    if isinstance(dtype, list):
        storage, is_na = dtype
        if storage not in ("python", "pyarrow") or (storage == "pyarrow" and "pyarrow" not in sys.modules):
            raise NotLoaded(
                f"a pandas string column backed by {storage} was read, and {storage} is not loaded here; write `import pyarrow` first"
            )
        dtype = pd.StringDtype(storage) if is_na else pd.StringDtype(storage, na_value=np.nan)
    elif dtype not in _NULLABLE:
        raise DecodingError(f"{str(dtype)[:40]!r} is not a pandas dtype that can be read")
    return pd.array(members["v"], dtype=dtype)


def _read_index(pd: ModuleType, members: dict[str, Any]) -> object:
    name = members["name"]
    if "levels" in members:
        return pd.MultiIndex(levels=[_read_index(pd, level) for level in members["levels"]], codes=members["codes"], names=name)
    if "range" in members:
        return pd.RangeIndex(*members["range"], name=name)
    values = members["v"]
    made = pd.Index(values, dtype=_object(values), name=name, copy=False)
    if "freq" in members:
        made = made.copy()
        made.freq = members["freq"]
    return made


def _read_frame(pd: ModuleType, members: dict[str, Any]) -> object:
    index, columns = _read_index(pd, members["index"]), _read_index(pd, members["columns"])
    made = pd.DataFrame({at: _series(pd, column, index) for at, column in enumerate(members["v"])}, index=index, copy=False)
    made.columns = columns
    return made


def _series(pd: ModuleType, values: object, index: object, name: object = None) -> object:
    return pd.Series(values, index=index, name=name, dtype=_object(values), copy=False)


def _object(values: Any) -> type | None:
    """The dtype object where `values` have it: left alone, pandas would look for a better one."""
    return object if getattr(values.dtype, "kind", "") == "O" and isinstance(values, sys.modules["numpy"].ndarray) else None


def _read_timestamp(pd: ModuleType, members: dict[str, object]) -> object:
    np = sys.modules["numpy"]
    made = pd.Timestamp(np.int64(members["v"]).view(f"M8[{members['unit']}]"))
    return made if members["tz"] is None else made.tz_localize("UTC").tz_convert(_zone(members["tz"]))


def _zone(name: object) -> object:
    """The name of a time zone, if it is one that the system knows, or no name of a place at all, such as ``UTC+01:00``."""
    if isinstance(name, str) and "/" in name and not name.startswith(("dateutil/", "tzfile(")):
        read_zone(name)
    return name


def _read_timedelta(pd: ModuleType, members: dict[str, object]) -> object:
    return pd.Timedelta(sys.modules["numpy"].int64(members["v"]).view(f"m8[{members['unit']}]"))


_WRITERS: tuple[tuple[str, Callable[[ModuleType, object, Packing], dict[str, object] | None]], ...] = (
    ("pydantic", _pack_pydantic), ("numpy", _pack_numpy), ("pandas", _pack_pandas),
)
_READERS: dict[str, tuple[str, Callable[[ModuleType, dict[str, Any]], object]]] = {
    "pydantic": ("pydantic", _read_pydantic),
    "ndarray": ("numpy", _read_array),
    "npscalar": ("numpy", lambda np, members: _read_array(np, members)[()]),
    "dtype": ("numpy", lambda np, members: np.lib.format.descr_to_dtype(_as_descr(members["dtype"]))),
    "NaT": ("pandas", lambda pd, members: pd.NaT),
    "NA": ("pandas", lambda pd, members: pd.NA),
    "timestamp": ("pandas", _read_timestamp),
    "pdtimedelta": ("pandas", _read_timedelta),
    "categorical": ("pandas", _read_column),
    "zoned": ("pandas", _read_column),
    "nullable": ("pandas", _read_column),
    "index": ("pandas", _read_index),
    "series": ("pandas", lambda pd, members: _series(pd, members["v"], _read_index(pd, members["index"]), members["name"])),
    "dataframe": ("pandas", _read_frame),
}
