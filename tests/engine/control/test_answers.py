"""What is an answer? Texts are read as what was asked for, nothing is guessed or lost, and what does not fit names its field."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb import Flow, Node, ask
from pocketflex_nb.engine.control.answer_conversion import chosen, fields_of, fitted, kind_name

pydantic = pytest.importorskip("pydantic")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


@dataclasses.dataclass
class Person:
    name: str
    age: int = 3


class Model(pydantic.BaseModel):  # type: ignore[name-defined, misc]
    n: int
    ok: bool = True


class Row(TypedDict):
    a: int
    b: NotRequired[str]


NOW = datetime.datetime(2026, 11, 29, 12, 30)
READ: list[tuple[Any, Any, Any]] = [
    *[(bool, text, True) for text in ("yes", "True", "1", " on ", "Y", 1, True)],
    *[(bool, text, False) for text in ("no", "False", "0", "OFF", "n", 0, False)],
    (int, "36", 36), (int, " -3 ", -3), (int, 3.0, 3), (int, 7, 7),
    (float, "3.5", 3.5), (float, 3, 3.0), (float, "1e3", 1000.0),
    (str, "", ""), (str, "None", "None"),
    (int | None, "", None), (int | None, None, None), (int | None, "4", 4), (str | None, "", ""), (int | str, "4", "4"), (int | str, 4, 4),
    (bool | int, 3, 3), (None, "none", None),
    (Literal["a", 1], "a", "a"), (Literal["a", 1], "1", 1), (Literal[1, "1"], "1", "1"),
    (Colour, "RED", Colour.RED), (Colour, 1, Colour.RED), (Colour, "1", Colour.RED), (Colour, "b", Colour.BLUE),
    (Colour, Colour.RED, Colour.RED),
    (datetime.date, "2026-11-29", NOW.date()), (datetime.datetime, "2026-11-29T12:30", NOW), (datetime.time, "12:30", NOW.time()),
    (datetime.timedelta, "90", datetime.timedelta(seconds=90)), (datetime.datetime, NOW, NOW),
    (list, [1], [1]), (list, "[1]", [1]), (list, (1,), [1]), (list[str], ["a"], ["a"]), (list[int], ["1", 2], [1, 2]),
    (list[int], "[1, 2]", [1, 2]),
    (Sequence[int], ("1",), [1]), (tuple[int, str], ["1", "a"], (1, "a")), (tuple[int, ...], ["1", "2"], (1, 2)), (tuple[()], [], ()),
    (set[int], ["1"], {1}), (frozenset, [1], frozenset({1})), (list[list[int]], [["1"]], [[1]]),
    (dict[str, int], {"a": "1"}, {"a": 1}), (Mapping[str, int], {"a": 1}, {"a": 1}), (dict, '{"a": 1}', {"a": 1}),
    (Person, {"name": "Ada"}, Person("Ada")), (Person, '{"name": "Ada", "age": "36"}', Person("Ada", 36)),
    (Person, Person("Ada"), Person("Ada")),
    (Row, {"a": "1"}, {"a": 1}), (Row, {"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
    (Model, {"n": "1", "ok": "no"}, Model(n=1, ok=False)), (Model, '{"n": 1}', Model(n=1)), (list[Model], [{"n": 1}], [Model(n=1)]),
    (Annotated[int, pydantic.Field(gt=0)], "4", 4), (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
    (decimal.Decimal, 3, decimal.Decimal(3)),
    (Any, {"whatever": 1}, {"whatever": 1}), (object, None, None), (lambda text: text.upper(), "a", "A"),
]
REFUSED: list[tuple[Any, Any]] = [
    (bool, "maybe"), (bool, ""), (bool, 2), (bool, 0.0), (bool, None), (bool, []),
    (int, 3.7), (int, "3.7"), (int, True), (int, None), (int, "1_0"), (int, ""), (int, float("inf")), (int, float("nan")), (int, "x"),
    (float, "x"), (float, True), (float, None), (float, "1_0"), (float, 10**400),
    (str, None), (str, 5), (str, True), (str, b"x"), (str, ["x"]),
    (int | None, "x"), (int | None, 3.7), (int | str, None), (None, 0),
    (Literal["a"], "b"), (Literal[1], True), (Literal[1], 1.0), (Colour, "BLU"), (Colour, True), (Colour, None), (Colour, 2),
    (datetime.date, NOW), (datetime.date, "29.11.2026"), (datetime.datetime, 0), (datetime.time, "noon"), (datetime.timedelta, "a while"),
    (list, "abc"), (list, 5), (list, {"a": 1}), (list, None), (list[str], 5), (list[str], [1]), (list[int], ["x"]),
    (list, '{"a": 1}'), (list, {1}),
    (tuple[int, str], [1]), (tuple[int, str], ["a", 1]), (set, [[1]]), (dict, [1]), (dict[str, int], {"a": "x"}), (dict, "abc"),
    (Person, {"name": 3}), (Person, {}), (Person, {"name": "Ada", "aeg": 3}), (Person, "Ada"), (Row, {"b": "x"}), (Row, {"a": 1, "c": 2}),
    (Model, {"n": "x"}), (Model, {}), (Model, 3), (list[Model], [{"n": "x"}]), (Annotated[int, pydantic.Field(gt=0)], "-1"),
    (decimal.Decimal, "x"), (decimal.Decimal, 3.5), (decimal.Decimal, None), (lambda text: int(text), "x"), (bytes, "x"),
]


def told(case: Any) -> str:
    return f"{kind_name(case[0])}-{case[1]!r}"[:60]


@pytest.mark.parametrize("case", READ, ids=told)
def test_what_fits_becomes_a_value_of_the_fields_type(case: Any) -> None:
    kind, given_, right = case

    got = fitted({"field": given_}, {"field": kind})["field"]

    assert got == right
    assert type(got) is type(right)


@pytest.mark.parametrize("case", REFUSED, ids=told)
def test_what_does_not_fit_is_refused_with_the_fields_name(case: Any) -> None:
    kind, given_ = case

    with pytest.raises(ValueError, match="field"):
        fitted({"field": given_}, {"field": kind})


@pytest.mark.parametrize(("schema", "value", "path"), [
    ({"who": Person}, {"who": {"name": 3}}, "who.name"),
    ({"rows": list[int]}, {"rows": [1, "x"]}, "rows.1"),
    ({"who": Model}, {"who": {"n": "x"}}, "who.n"),
    ({"all": dict[str, list[int]]}, {"all": {"a": [1, None]}}, "all.a.1"),
    (Person, {"name": 3}, "name"),
])
def test_a_misfit_deep_inside_is_named_by_its_path(schema: Any, value: Any, path: str) -> None:
    with pytest.raises(ValueError, match=f"'{path}'"):
        fitted(value, schema)


def test_a_type_alone_asks_for_one_value() -> None:
    assert fitted("3", int) == 3
    assert fitted({"name": "Ada"}, Person) == Person("Ada")
    with pytest.raises(ValueError, match="the answer needs int, got 'x'"):
        fitted("x", int)


def test_a_form_is_told_its_fields_and_the_names_of_their_types() -> None:
    fields = fields_of({"n": int | None, "all": list[str], "how": Literal["a"]})

    assert fields == {"n": "int | None", "all": "list[str]", "how": "Literal['a']"}
    assert fields_of(Person) == {"name": "str", "age": "int"}
    assert fields_of(Model) == {"n": "int", "ok": "bool"}
    assert fields_of(int) is None


@pytest.mark.parametrize(("choices", "value", "right"), [
    ([1, 2], "1", 1), (["a", "b"], "a", "a"), ([True, False], "True", True), ([1, True], True, True), ([None, "x"], None, None),
    ([1, "1"], "1", "1"), ([2.0], 2, 2.0), ([Colour.RED], Colour.RED, Colour.RED),
])
def test_a_choice_is_given_back_as_it_was_offered(choices: Any, value: Any, right: Any) -> None:
    got = chosen(value, choices, "which?")

    assert got is right or (type(got) is type(right) and got == right)


@pytest.mark.parametrize(("choices", "value"), [([1, 2], True), ([True], 1), (["a"], "A"), ([1], None), ([], "a")])
def test_what_was_not_offered_is_refused(choices: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="no answer to 'which"):
        chosen(value, choices, "which?")


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


@given(PLAIN, st.sampled_from([kind for kind, *_ in READ if isinstance(kind, type) and kind is not Any]))
def test_an_answer_fits_or_is_a_value_error_whatever_it_is(value: Any, kind: Any) -> None:
    try:
        got = fitted(value, kind)
    except ValueError:
        return
    assert kind in (Row, object) or isinstance(got, kind)


@pytest.mark.parametrize("schema", [{"n": "int"}, {"n": 3}, "int"])
def test_a_schema_that_names_no_type_is_refused_when_it_is_asked(schema: Any) -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            return await ask("?", schema=schema)

    with pytest.raises(TypeError, match="needs a type"):
        Flow(Asks()).launch({}, show=False).result(10)


def asking(schema: Any) -> Any:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            return await ask("?", schema=schema)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    return Flow(Asks()).launch({}, show=False)


@pytest.mark.parametrize("case", REFUSED, ids=told)
def test_a_refused_answer_leaves_the_question_open(case: Any, eventually: Callable[..., None]) -> None:
    run = asking({"field": case[0]})
    question = run.asking(10)

    with pytest.raises(ValueError, match="field"):
        run.answer({"field": case[1]})

    assert run.asking(10) is question
    run.cancel()
    run.wait(10)


def test_a_converted_answer_reaches_the_step() -> None:
    run = asking({"ok": bool, "when": datetime.date})
    run.asking(10)

    run.answer({"ok": "no", "when": "2026-11-29"})

    run.result(10)
    assert run.store["answer"] == {"ok": False, "when": NOW.date()}
