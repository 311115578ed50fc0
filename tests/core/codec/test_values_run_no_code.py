"""Reading runs no code of a user's class and imports nothing; what cannot be made without is one unreadable value."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.core.errors import DecodingError

ran: list[str] = []
ME = __name__


def _noted(name: str) -> Any:
    def method(self: Any, *args: Any) -> Any:
        ran.append(name)
        raise RuntimeError(name)

    return method


class Meta(type):
    def __call__(cls, *args: Any, **kw: Any) -> Any:
        ran.append("metaclass __call__")
        return super().__call__(*args, **kw)

    def __getattr__(cls, name: str) -> Any:
        ran.append(f"metaclass __getattr__ {name}")
        raise AttributeError(name)


@dataclasses.dataclass
class Loud(metaclass=Meta):
    """Whatever is asked of it is noted."""

    a: int = 0

    __init__ = __new__ = __post_init__ = __setstate__ = __iter__ = __len__ = __getitem__ = None  # type: ignore[assignment]


for _name in (
    "__init__",
    "__post_init__",
    "__setstate__",
    "__iter__",
    "__len__",
    "__getitem__",
    "__float__",
    "__int__",
    "__index__",
    "__fspath__",
    "__hash__",
    "__eq__",
    "__bool__",
    "__str__",
    "__array__",
    "__and__",
    "__contains__",
    "__getattr__",
    "__setattr__",
    "__reduce__",
    "__format__",
    "__lt__",
    "__add__",
    "__enter__",
    "__call__",
    "keys",
    "__complex__",
    "__bytes__",
):
    setattr(Loud, _name, _noted(_name))
Loud.__new__ = staticmethod(_noted("__new__"))  # type: ignore[assignment]


@dataclasses.dataclass
class Factory:
    a: list[Any] = dataclasses.field(default_factory=lambda: ran.append("default_factory") or [])


@dataclasses.dataclass
class Plain:
    a: list[Any] = dataclasses.field(default_factory=list)
    b: int = 5


class Watched:
    def __set__(self, one: Any, value: Any) -> None:
        ran.append("descriptor")


@dataclasses.dataclass
class Guarded:
    a: int


Guarded.a = Watched()  # type: ignore[assignment]


class Flags(enum.Flag):
    A = 1
    B = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        ran.append("_missing_")
        return super()._missing_(value)


class Usual(enum.Flag):
    A = 1
    B = 2


class Kind(enum.Enum):
    A = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        ran.append("_missing_")


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any


@dataclasses.dataclass(frozen=True)
class Nosy:
    a: Any

    def __getattribute__(self, name: str) -> Any:
        ran.append("__getattribute__")
        return object.__getattribute__(self, name)


class Pair(NamedTuple):
    a: int
    b: int = 2


def _loud() -> dict[str, Any]:
    return {"$": "dataclass", "c": f"{ME}:Loud", "v": {"a": 1}}


TAGS = [
    "int",
    "float",
    "complex",
    "bytes",
    "bytearray",
    "dict",
    "tuple",
    "set",
    "frozenset",
    "range",
    "slice",
    "deque",
    "ordereddict",
    "counter",
    "defaultdict",
    "pattern",
    "date",
    "datetime",
    "time",
    "timedelta",
    "timezone",
    "zone",
    "decimal",
    "fraction",
    "uuid",
    "path",
    "posixpath",
    "windowspath",
    "enum",
    "namedtuple",
    "dataclass",
    "pydantic",
    "ndarray",
    "npscalar",
    "dtype",
    "timestamp",
    "pdtimedelta",
    "categorical",
    "zoned",
    "nullable",
    "index",
    "series",
    "dataframe",
]
HOLDERS: list[Any] = [
    *(
        {
            "$": tag,
            "v": _loud(),
            "c": f"{ME}:Kind",
            "flags": 0,
            "max": None,
            "of": None,
            "dtype": "O",
            "shape": [1],
            "unit": "ns",
            "tz": None,
        }
        for tag in TAGS
    ),
    *(
        {"$": tag, "v": [_loud()], "c": f"{ME}:Pair", "flags": 0, "max": None, "of": None, "dtype": "O", "shape": [1], "set": []}
        for tag in TAGS
    ),
    *({"$": tag, "v": [[_loud(), 1]], "max": None, "of": None} for tag in TAGS),
    {"$": _loud(), "v": 1},
    {"$": "deque", "v": [], "max": _loud()},
    {"$": "defaultdict", "of": _loud(), "v": []},
    {"$": "pattern", "v": "a", "flags": _loud()},
    {"$": "datetime", "v": "2020-01-01", "tz": _loud()},
    {"$": "enum", "c": _loud(), "v": "A"},
    {"$": "enum", "c": f"{ME}:Kind", "v": _loud()},
    {"$": "enum", "c": f"{ME}:Flags", "v": 99},
    {"$": "enum", "c": f"{ME}:Flags", "v": 3},
    {"$": "enum", "c": f"{ME}:Kind", "v": "Z"},
    {"$": "dataclass", "c": f"{ME}:Factory", "v": {}},
    {"$": "dataclass", "c": f"{ME}:Guarded", "v": {"a": 1}},
    {"$": "set", "v": [{"$": "dataclass", "c": f"{ME}:Frozen", "v": {"a": _loud()}}]},
    {"$": "set", "v": [{"$": "tuple", "v": [_loud()]}]},
    {"$": "set", "v": [{"$": "dataclass", "c": f"{ME}:Nosy", "v": {"a": 1}}]},
    {"$": "dict", "v": [[_loud(), 1]]},
    {"$": "pattern", "v": "a", "flags": 128},
    [_loud()],
    {"a": _loud()},
]


@pytest.mark.parametrize("number", range(len(HOLDERS)))
@pytest.mark.parametrize("unloaded", ["raise", "keep"])
def test_no_value_that_is_read_has_its_class_s_code_run(number: int, unloaded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("pandas")
    pytest.importorskip("pydantic")
    text = json.dumps(HOLDERS[number])
    ran.clear()

    try:
        decode(text, unloaded=unloaded)
    except DecodingError:
        assert unloaded == "raise", "what is kept raises nothing"

    assert ran == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "value",
    [
        {Frozen(1), Frozen((2, "a"))},
        {Pair(1): 2},
        Usual.A | Usual.B,
        Plain([1], 2),
        {Kind.A: Usual.B},
        frozenset({Frozen(frozenset({1}))}),
        collections.Counter({Frozen("a"): 2}),
        [Pair(1, 3)],
    ],
)
def test_what_decorators_write_is_read_as_ever(value: Any) -> None:
    assert decode(encode(value)) == value


def test_built_in_factories_give_new_fields_their_values() -> None:
    assert decode(json.dumps({"$": "dataclass", "c": f"{ME}:Plain", "v": {}})) == Plain([], 5)


@pytest.mark.parametrize(
    "text",
    [
        '{"$":"zone","v":"Mars/Base"}',
        '{"$":"zone","v":"America"}',
        '{"$":"zone","v":"../../etc/passwd"}',
        '{"$":"zone","v":""}',
        '{"$":"nullable","dtype":["pyarrow",true],"v":["a"]}',
        '{"$":"nullable","dtype":"int64[pyarrow]","v":[1]}',
        '{"$":"dataclass","c":"this:X","v":{}}',
        '{"$":"timestamp","v":1,"unit":"ns","tz":"Mars/Base"}',
        '{"$":"ndarray","dtype":"O8","shape":[1],"v":""}',
    ],
)
def test_reading_imports_nothing(text: str) -> None:
    code = (
        "import sys\ntry:\n    import pandas\nexcept ImportError:\n    pass\n"
        "from pocketflex_nb.core.codec.decoder import decode\nbefore = set(sys.modules)\n"
        f"decode({text!r}, unloaded='keep')\nprint(sorted(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [name for name in eval(done.stdout) if name.partition(".")[0] in ("tzdata", "pyarrow", "this", "pytz")] == []


def test_an_unreadable_value_says_why() -> None:
    assert "Mars/Base" in repr(decode('{"$":"zone","v":"Mars/Base"}', unloaded="keep"))
    assert "default comes from code" in repr(decode(json.dumps({"$": "dataclass", "c": f"{ME}:Factory", "v": {}}), unloaded="keep"))
    assert isinstance(decode("[" * 300 + "]" * 300, unloaded="keep"), Unloaded)
    assert "not loaded here" in repr(decode('{"$":"dataclass","c":"nowhere:X","v":{}}', unloaded="keep"))
