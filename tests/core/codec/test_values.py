"""What is written is read as it was, in this process or another; what cannot be is refused with its place; nothing is executed."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import threading
import uuid
import zoneinfo
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.codec.decoder import decode, is_whole
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.codec.tagged_json import DEEPEST, Unloaded
from pocketflex_nb.core.errors import DecodingError, EncodingError, NotLoaded

pydantic = pytest.importorskip("pydantic")


class Colour(enum.Enum):
    RED = "r"
    BLUE = 2


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2


class Word(enum.StrEnum):
    YES = "yes"


class Pair(NamedTuple):
    left: Any
    right: Any = 0


@dataclass(frozen=True, slots=True)
class Point:
    x: Any
    tags: list[Any] = field(default_factory=list)


@dataclass
class Loud:
    """Says when it is made; nothing that is read may call it."""

    x: int
    made = 0

    def __post_init__(self) -> None:
        Loud.made += 1


class Page(pydantic.BaseModel):
    title: str
    below: list[Page] = []
    _seen: int = pydantic.PrivateAttr(0)


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same classes all the way down; NaN is NaN, -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(p, q) for x, y in zip(a.items(), b.items(), strict=True) for p, q in zip(x, y, strict=True))
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b)) and getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
    if isinstance(a, Point):
        return same((a.x, a.tags), (b.x, b.tags))
    return bool(a == b)


atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**2000), 2**2000), st.floats(), st.text(st.characters(codec=None)), st.binary(),
    st.complex_numbers(), st.decimals(allow_nan=False), st.fractions(), st.uuids(), st.dates(), st.times(), st.timedeltas(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.just(zoneinfo.ZoneInfo("Europe/Paris")), allow_imaginary=False),
    st.sampled_from([*Colour, *Right, Right.READ | Right.WRITE, *Word, ..., range(2, 9, 3), slice(1, None), re.compile("a+", re.I)]),
    st.binary().map(bytearray), st.builds(pathlib.PurePosixPath, st.text("ab/", min_size=1)),
)
keys = st.one_of(st.text(), st.just("$"), st.integers(), st.booleans(), st.tuples(st.integers(), st.text()))
hashed = st.one_of(st.integers(), st.text(), st.binary(), st.tuples(st.integers(), st.none()))


def _containers(inner: Any) -> Any:
    return st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.sets(hashed),
        st.frozensets(hashed), st.builds(Point, inner, st.lists(inner, max_size=2)), st.builds(Pair, inner, inner),
        st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 5)),
        st.dictionaries(keys, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(keys, st.integers(), max_size=3).map(collections.Counter),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(atoms, _containers, max_leaves=12))
def test_whatever_is_written_is_read_as_it_was(value: Any) -> None:
    text = encode(value)

    assert same(decode(text), value)
    assert encode(decode(text)) == text, "what was only read is not taken for changed"
    json.loads(text.encode(), parse_constant=pytest.fail)  # JSON, with no NaN in it


trees = st.recursive(st.integers() | st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.dictionaries(st.text(), trees))
def test_what_json_can_say_is_written_as_json_says_it(value: Any) -> None:
    plain = "$" not in json.dumps(value)

    assert not plain or json.loads(encode(value)) == value


@pytest.mark.parametrize("value", [
    {"n": 2**1023}, {"n": 2**1024}, {"n": -(10**400)}, {"n": 10**5_000}, {"a": "\ud800"}, {"ä": "ö"}, {"$": 1},
    {"a": None, "b": True, "c": ""}, {"long": "x" * 400, "n": 2**1024}, {True: 1}, {},
], ids=lambda value: f"{next(iter(value), '')!r}"[:10])
def test_small_dicts_take_the_short_way_only_where_it_is_the_same(value: Any) -> None:
    text = encode(value)

    assert text.encode()
    assert decode(text) == value
    assert text == encode([value])[1:-1]


def test_a_shared_list_is_read_as_two_equal_ones() -> None:
    shared = [1]

    read = decode(encode({"a": shared, "b": shared}))

    assert read["a"] == read["b"] == [1]
    assert read["a"] is not read["b"]


def test_a_default_dict_keeps_what_it_makes() -> None:
    kept = collections.defaultdict(list, {1: [2]})

    read = decode(encode(kept))

    assert read == kept
    assert read.default_factory is list


@pytest.mark.parametrize("tz", [dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(dt.timedelta(0), "here"), dt.UTC])
def test_zones_keep_offset_and_name(tz: dt.timezone) -> None:
    moment = dt.datetime(2026, 3, 1, 12, tzinfo=tz)

    read = decode(encode(moment))

    assert (read, read.tzname(), read.utcoffset()) == (moment, moment.tzname(), moment.utcoffset())


def test_the_second_of_two_equal_hours_stays_the_second() -> None:
    late = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))

    assert decode(encode(late)).utcoffset() == late.utcoffset() == dt.timedelta(hours=1)


# libraries -----------------------------------------------------------------------------------------------------------
ARRAYS = [
    np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.array(5), np.zeros((0, 3)), np.array(["a", "bb"]), np.array([1j]),
    np.array([1, None, "x", [1, (2,)]], dtype=object), np.array(["2020-01-01", "NaT"], "M8[ns]"), np.array([1.5, np.nan], dtype=">f4"),
    np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), np.zeros(2, dtype=[("p", "f4", (3,)), ("q", [("z", "i1")])]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_keep_dtype_shape_and_content_and_can_be_written_to(array: Any) -> None:
    read = decode(encode(array))

    assert (read.dtype, read.shape, read.flags.writeable) == (array.dtype, array.shape, True)
    assert read.tobytes() == array.tobytes() or (array.dtype.hasobject and read.tolist() == array.tolist())


@pytest.mark.parametrize("scalar", [np.float32(1.5), np.int8(-3), np.bool_(True), np.str_("x"), np.datetime64("2020-01-01"), np.float64(2)])
def test_scalars_of_numpy_stay_scalars_of_numpy(scalar: Any) -> None:
    read = decode(encode(scalar))

    assert (type(read), read) == (type(scalar), scalar)


FRAME = pd.DataFrame(
    {
        "a": [1, 2], "text": ["x", None], "kind": pd.Categorical(["u", "v"], ["v", "u"], ordered=True),
        "mixed": np.array([{"k": (1,)}, None]),
        "when": pd.to_datetime(["2020-01-01", "2020-06-01"]).tz_localize("Europe/Paris"), "long": pd.to_timedelta([1, 2], unit="s"),
        "n": pd.array([1, None], dtype="Int64"), "s": pd.array(["s", None], dtype="string"), "f": pd.array([1.5, None], dtype="Float32"),
        "b": pd.array([True, None], dtype="boolean"), 5: [True, False],
    },
    index=pd.date_range("2020", periods=2, freq="D", name="day"),
)


def test_a_frame_keeps_columns_dtypes_index_and_frequency() -> None:
    read = decode(encode(FRAME))

    pd.testing.assert_frame_equal(read, FRAME)
    assert read.index.freq == FRAME.index.freq


def test_a_frame_with_two_columns_of_one_name_keeps_both() -> None:
    frame = pd.DataFrame([[1, "a"], [2, "b"]], columns=["x", "x"])

    pd.testing.assert_frame_equal(decode(encode(frame)), frame)


@pytest.mark.parametrize("index", [
    pd.MultiIndex.from_product([[1, 2], ["a"]], names=["x", None]), pd.RangeIndex(3, 9, 2, name="r"), pd.Index([1.5, np.nan]),
    pd.CategoricalIndex(["a", "b", "a"]), pd.Index([1, "mixed"], dtype=object),
], ids=lambda index: type(index).__name__)
def test_indexes_are_read_as_they_were(index: Any) -> None:
    pd.testing.assert_index_equal(decode(encode(index)), index, exact=True)


@pytest.mark.parametrize("value", [
    pd.Timestamp("2020-01-01 10:00", tz="Europe/Paris"), pd.Timestamp("2020-01-01").as_unit("s"), pd.Timedelta(5, "s"),
    pd.Timestamp("2262-04-11 23:47:16.854775807"),
], ids=str)
def test_moments_of_pandas_keep_unit_and_zone(value: Any) -> None:
    read = decode(encode(value))

    assert (type(read), read, read.unit, getattr(read, "tzinfo", None)) == (type(value), value, value.unit, getattr(value, "tzinfo", None))
    assert decode(encode(pd.NaT)) is pd.NaT
    assert decode(encode(pd.NA)) is pd.NA


def test_a_model_of_pydantic_keeps_fields_what_was_set_and_what_is_private() -> None:
    page = Page(title="a", below=[Page(title="b")])
    page._seen = 3

    read = decode(encode(page))

    assert (read, read._seen, read.model_fields_set) == (page, 3, {"title", "below"})
    assert read.model_copy(update={"title": "c"}).title == "c"


# what is refused -----------------------------------------------------------------------------------------------------
def test_an_error_names_the_path_and_the_mend() -> None:
    with pytest.raises(EncodingError, match=r"^notes\.pages\[1\]\.tags\[0\] cannot be kept: .*lock.*keep it in the node") as caught:
        encode({"pages": [1, Point(0, [threading.Lock()])]}, at=("notes",))

    assert caught.value.path == ("notes", "pages", 1, "tags", 0)
    assert isinstance(caught.value, TypeError)


class Mine(dict[str, Any]):
    pass


@pytest.mark.parametrize(("value", "mend"), [
    (lambda: 0, "keep its name"), ((n for n in ()), r"keep list\(value\)"), (ValueError("x"), r"repr\(value\)"),
    (Mine(a=1), r"keep dict\(value\)"), (object(), "what it is made of"), (np.ma.array([1]), r"numpy.asarray\(value\)"),
    (collections.defaultdict(lambda: 1), r"keep dict\(value\)"),
    (pd.DataFrame({"p": pd.period_range("2020", periods=1)}), "p cannot be kept.*astype"),
], ids=str)
def test_what_cannot_be_written_is_refused_with_the_mend(value: Any, mend: str) -> None:
    with pytest.raises(EncodingError, match=mend):
        encode(value)


def test_a_class_made_inside_a_function_is_refused_since_nobody_could_find_it() -> None:
    @dataclass
    class Hidden:
        x: int

    with pytest.raises(EncodingError, match="Hidden is defined inside a function"):
        encode(Hidden(1))


def test_what_stands_inside_itself_is_refused() -> None:
    loop: list[Any] = [1]
    loop.append({"again": loop})

    with pytest.raises(EncodingError, match=r"\[1\]\.again cannot be kept: it contains itself"):
        encode(loop)


def test_depth_has_a_bound_and_the_bound_is_read() -> None:
    deep: Any = 1
    for _ in range(DEEPEST):
        deep = (deep,)

    assert decode(encode(deep)) == deep
    with pytest.raises(EncodingError, match="levels deep"):
        encode([deep])


@pytest.mark.parametrize("text", [
    "", "{", '{"$": "nothing"}', '{"$": "int"}', '{"$": "decimal", "v": "x"}', '{"$": ["a"]}', '{"$":"uuid","v":1}', '{"$": "ndarray"}',
])
def test_text_that_was_not_written_here_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(DecodingError):
        decode(text)


# nothing of a file runs ----------------------------------------------------------------------------------------------
def test_reading_calls_nothing_of_the_class() -> None:
    text = encode(Loud(1))
    before = Loud.made

    assert decode(text) == Loud(1)
    assert Loud.made == before + 1, "the one made here to compare with"


@pytest.mark.parametrize("name", ["subprocess:Popen", "os:system", "builtins:eval", "builtins:object", "json:JSONDecoder", "pathlib:Path"])
@pytest.mark.parametrize("tag", ["dataclass", "enum", "pydantic"])
def test_a_file_names_no_class_that_is_not_of_its_kind(tag: str, name: str) -> None:
    with pytest.raises(DecodingError):
        decode(json.dumps({"$": tag, "c": name, "v": {}, "set": []}))


def test_reading_imports_nothing() -> None:
    text = json.dumps([encode(np.arange(2)), encode(Point(1)).replace(Point.__module__, "antigravity"), encode(FRAME)])
    code = (
        "import json, sys\nfrom pocketflex_nb.core.errors import NotLoaded\nfrom pocketflex_nb.core.codec.decoder import decode\n"
        "for text in json.loads(sys.stdin.read()):\n"
        "    try: decode(text)\n    except NotLoaded as exc: print(exc)\n"
        "print(sorted({'numpy', 'antigravity', 'pandas'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True, env=os.environ | _here())

    lines = done.stdout.splitlines()
    assert "import numpy" in lines[0]
    assert "import antigravity" in lines[1]
    assert lines[-1] == "[]"


def _here() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])}


def test_what_is_not_loaded_can_be_kept_and_is_written_again_as_it_was() -> None:
    text = encode({"a": (1, [Point(1, ["x"])]), "b": 2}).replace(f"{Point.__module__}:Point", "elsewhere:Point")

    kept = decode(text, unloaded="keep")

    assert isinstance(kept["a"][1][0], Unloaded)
    assert (kept["b"], repr(kept["a"][1][0])) == (2, "<elsewhere:Point, whose class is not loaded here>")
    assert not is_whole(kept)
    assert encode(kept) == text
    with pytest.raises(NotLoaded, match="import elsewhere first"):
        decode(text)


def test_a_field_that_was_added_since_gets_its_default_and_one_that_is_gone_is_told() -> None:
    name = f"{Point.__module__}:Point"

    assert decode(json.dumps({"$": "dataclass", "c": name, "v": {"x": 1}})) == Point(1, [])
    with pytest.raises(DecodingError, match=r"unknown here: \['z'\]"):
        decode(json.dumps({"$": "dataclass", "c": name, "v": {"x": 1, "z": 2}}))
    with pytest.raises(DecodingError, match="lacking"):
        decode(json.dumps({"$": "dataclass", "c": name, "v": {"tags": []}}))


def test_numbers_that_python_would_not_print_are_kept() -> None:
    huge = 10**6000

    assert decode(encode(huge)) == huge
    assert decode(encode(decimal.Decimal("1e999"))) == decimal.Decimal("1e999")
    assert decode(encode(fractions.Fraction(1, huge))) == fractions.Fraction(1, huge)
    assert decode(encode(uuid.UUID(int=5))) == uuid.UUID(int=5)
