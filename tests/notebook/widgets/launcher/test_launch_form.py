"""Does the form's line say what is filled in? Every value that a person may type, through the line, and back into the runs' stores."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from pocketflex_nb import Flow, Node, node
from pocketflex_nb.core.flow.input_keys import input_fields
from pocketflex_nb.notebook.requests.input_stores import read_inputs, stores_of
from pocketflex_nb.notebook.requests.option_line import parse_options
from pocketflex_nb.notebook.requests.run_options import RunOptions, read_run_options
from pocketflex_nb.notebook.widgets.launcher.form_model import LaunchForm, kind_of_text, literal, source_of

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.binary(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3) | st.tuples(below),
)
_TYPED = st.text("ab1'\"c$ {},=[];%?\\\n()@-", max_size=10)


def _read(form: LaunchForm, **names: Any) -> tuple[list[dict[str, Any]], RunOptions]:
    """The stores and the options that the form's line gives."""
    line = form.line(10)
    assert "\n" not in line
    parsed = parse_options(line.removeprefix("%pf run flow"), names)
    options = read_run_options(parsed, names)
    return stores_of(read_inputs(parsed, names), options.number), options


@given(_PLAIN)
def test_a_value_is_written_as_python_reads_it(value: Any) -> None:
    assert ast.literal_eval(literal(value)) == value


@given(st.dictionaries(st.text("ab'\"c$ {},=[]", min_size=1, max_size=5), _TYPED, max_size=3))
def test_what_is_typed_for_all_stands_in_the_store(typed: dict[str, str]) -> None:
    typed = {key: text for key, text in typed.items() if not text.strip().startswith("@")}

    stores, _ = _read(LaunchForm(flow="flow", values=typed))

    sources = {key: source_of(key, text) for key, text in typed.items()}
    assert stores == [{key: ast.literal_eval(source) for key, source in sources.items() if source is not None}]


_VALUES = _TYPED.filter(lambda text: "@" not in text)


@given(st.lists(st.dictionaries(st.sampled_from(["topic", "depth", "a b"]), _VALUES, max_size=3), max_size=4))
def test_each_row_gives_a_run_its_store(rows: list[dict[str, str]]) -> None:
    filled = [row for row in rows if any(text.strip() for text in row.values())]
    form = LaunchForm(flow="flow", mode="rows", rows=rows)

    if not filled:
        with pytest.raises(UsageError, match="a row for each agent"):
            form.line(0)
        return
    stores, _ = _read(form)

    assert stores == [{k: ast.literal_eval(s) for k, t in row.items() if (s := source_of(k, t)) is not None} for row in filled]


def test_an_empty_cell_leaves_what_is_the_same_for_all() -> None:
    form = LaunchForm(flow="flow", mode="rows", values={"depth": "2"}, rows=[{"topic": "solar"}, {"topic": "wind", "depth": "5"}])

    stores, _ = _read(form)

    assert stores == [{"topic": "solar", "depth": 2}, {"topic": "wind", "depth": 5}]


def test_items_of_a_variable_come_under_their_key_beside_what_is_the_same_for_all() -> None:
    form = LaunchForm(flow="flow", mode="variable", variable="topics", key="topic", values={"topic": "not this", "depth": "@n + 1"})

    stores, _ = _read(form, topics=["solar", "wind"], n=1)

    assert stores == [{"depth": 2, "topic": "solar"}, {"depth": 2, "topic": "wind"}]


@pytest.mark.parametrize(
    "expression", ["[t for t in topics if 'a' in t]", 'f"{n} \'of\' them"', "dict(a=1, b='x, y')", "lambda store: 1", "topics[0]"]
)
def test_an_expression_of_the_notebook_is_evaluated_when_it_starts(expression: str) -> None:
    names = {"topics": ["solar", "wind"], "n": 3}

    stores, _ = _read(LaunchForm(flow="flow", values={"x": f"@{expression}"}), **names)

    wanted = eval(expression, dict(names))
    assert callable(wanted) == callable(stores[0]["x"])
    assert callable(wanted) or stores == [{"x": wanted}]


def test_every_other_field_becomes_its_option() -> None:
    form = LaunchForm(
        flow="flow", agents=4, at_once=2, name="night", limits={"time": "1.5 m", "steps": "200", "tokens": "50k", "cost": "1.5"},
        on_error="stop", watch=['len(store["notes"]) + 1', "  "], breaks=["write", "search/look"],
    )

    stores, options = _read(form)

    assert [store["agent"] for store in stores] == [0, 1, 2, 3]
    assert (options.concurrency, options.name, options.on_error) == (2, "night", "stop")
    assert (options.timeout, options.budget) == (90.0, {"steps": 200, "tokens": 50_000, "cost": 1.5})
    assert [watched({"notes": [1, 2]}) for watched in options.watch] == [3]
    assert set(read_inputs(parse_options(form.line(10)), {}).breaks) == {"write", "search/look"}


def test_what_is_left_empty_is_left_out_of_the_line() -> None:
    assert LaunchForm(flow="flow", values={"topic": " "}, at_once=32, limits={"time": ""}).line(1) == "%pf run flow"


@pytest.mark.parametrize(
    ("form", "place", "told"),
    [
        (LaunchForm(limits={"time": "soon"}), "limit time", "20ms, 60s, 5m or 2h"),
        (LaunchForm(limits={"cost": "0"}), "limit cost", "more than 0"),
        (LaunchForm(files={"cache": "a'b"}), "file cache", "must not contain quotes"),
        (LaunchForm(files={"replay": "-x"}), "file replay", "must not contain quotes"),
        (LaunchForm(name="my night"), "name", "letters, digits"),
        (LaunchForm(values={"x": "@1 +"}), "value x", "not a Python expression"),
        (LaunchForm(watch=["len("]), "watch 0", "not a Python expression"),
        (LaunchForm(mode="rows", rows=[{}, {"x": "@)"}]), "row 1 x", "not a Python expression"),
    ],
)
def test_a_field_that_cannot_be_read_says_where_and_why(form: LaunchForm, place: str, told: str) -> None:
    problems = form.problems()

    assert list(problems) == [place]
    assert told in problems[place]


@pytest.mark.parametrize(("key", "text"), [("api_key", "hunter2"), ("topic", "sk-abcdefghijklmnop1234"), ("password", "'x'")])
def test_a_secret_is_refused_and_not_repeated(key: str, text: str) -> None:
    form = LaunchForm(flow="flow", values={key: text})

    with pytest.raises(UsageError, match="write its @NAME") as caught:
        form.line(1)

    assert text.strip("'") not in str(caught.value).replace("@NAME", "") or text == "'x'"
    assert LaunchForm(flow="flow", values={key: "@HELD"}).line(1) == f"%pf run flow --seed {key}=@HELD"


def test_a_text_with_backslashes_is_a_text_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert kind_of_text("x", r"'\c'") in ("text", "str")
        assert (kind_of_text("x", "2"), kind_of_text("x", "[1]"), kind_of_text("x", "solar"), kind_of_text("x", "@n")) == (
            "int", "list", "text", "from the notebook",
        )


# what the nodes read --------------------------------------------------------------------------------------------------
class Ask(Node):
    def prep(self, shared: Any) -> Any:
        if "hint" in shared:
            return shared["hint"]
        return shared["question"], shared.get("depth", 2), shared.get("client", open)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["notes"] = [shared["agent"]]
        shared.setdefault("count", 0)
        shared["count"] += 1
        shared["total"] += 1
        shared.update({"made": 1}, kept=2)
        return "default"


class Write(Node):
    async def prep(self, shared: Any) -> Any:
        return [shared["notes"] for _ in range(shared["made"])], shared["style"]


@node
def review(shared: Any) -> None:
    shared["verdict"] = len(shared["notes"]) > shared["kept"] + shared.pop("least", 1)


def test_keys_are_those_that_nodes_read_before_one_has_written_them() -> None:
    ask, write = Ask(), Write()
    ask >> write >> review >> ask
    inner = Flow(ask)

    found = {field.key: (field.is_needed, field.default) for field in input_fields(Flow(inner, name="outer"))}

    assert found == {
        "hint": (False, ""), "question": (True, ""), "depth": (False, "2"), "client": (False, ""), "agent": (True, ""),
        "count": (False, "0"), "total": (True, ""), "style": (True, ""), "least": (False, "1"),
    }


def test_a_key_that_another_node_writes_later_in_a_loop_is_not_needed() -> None:
    class Draft(Node):
        def prep(self, shared: Any) -> Any:
            return shared["topic"], shared["complaints"]

    class Review(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["complaints"] = ["shorter"]
            return "default"

    draft, check = Draft(), Review()
    draft >> check >> draft

    assert {field.key: field.is_needed for field in input_fields(Flow(draft))} == {"topic": True, "complaints": False}


def test_a_node_without_source_asks_for_nothing() -> None:
    names: dict[str, Any] = {"Node": Node}
    exec("class Made(Node):\n    def prep(self, shared): return shared['x']", names)

    assert input_fields(Flow(names["Made"]())) == []


def test_files_are_words_of_the_line() -> None:
    form = LaunchForm(flow="flow", files={"journal": " my runs.sqlite", "replay": "a.sqlite#night", "cache": ""}, durability="power")

    assert form.line(1) == '%pf run flow --journal "my runs.sqlite" --replay a.sqlite#night --durability power'
    assert LaunchForm(flow="flow", durability="power").line(1) == "%pf run flow"
