"""What a tool tells of itself, what it takes, and what cannot be one."""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union

import pydantic
import pytest

from pocketflex_nb import Flow, Node, linear, node
from pocketflex_nb.core.flow.input_keys import input_fields
from pocketflex_nb.llm import BadTool, Chat, Reply, tool, tool_agent
from pocketflex_nb.llm.tools.tool import BadArguments, result_text


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    city: str
    zip: int | None = None
    tags: list[str] = field(default_factory=list)


class Order(TypedDict):
    item: str
    amount: NotRequired[int]


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


@dataclass
class Tree:
    name: str
    children: list[Tree]


def made(annotation: Any) -> Any:
    def take(x: Any) -> Any:
        return x

    take.__annotations__ = {"x": annotation}
    return tool(take)


def schema_of(annotation: Any) -> Any:
    return made(annotation).schema["properties"]["x"]


STRING, WHOLE = {"type": "string"}, {"type": "integer"}
ADDRESS = {
    "type": "object",
    "properties": {"city": STRING, "zip": {"anyOf": [WHOLE, {"type": "null"}]}, "tags": {"type": "array", "items": STRING}},
    "required": ["city"], "additionalProperties": False,
}


@pytest.mark.parametrize(("annotation", "schema"), [
    (str, STRING), (int, WHOLE), (float, {"type": "number"}), (bool, {"type": "boolean"}), (None, {"type": "null"}), (Any, {}),
    (list, {"type": "array"}), (dict, {"type": "object"}), (list[int], {"type": "array", "items": WHOLE}),
    (tuple[int, ...], {"type": "array", "items": WHOLE}),
    (tuple[str, int], {"type": "array", "prefixItems": [STRING, WHOLE], "minItems": 2, "maxItems": 2}),
    (set[str], {"type": "array", "items": STRING, "uniqueItems": True}),
    (dict[str, int], {"type": "object", "additionalProperties": WHOLE}),
    (Optional[int], {"anyOf": [WHOLE, {"type": "null"}]}), (Union[int, str], {"anyOf": [WHOLE, STRING]}),   # noqa: UP007, UP045
    (int | None, {"anyOf": [WHOLE, {"type": "null"}]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}), (Literal["a", 1], {"enum": ["a", 1]}),
    (Colour, {"type": "string", "enum": ["red", "blue"]}), (Place, ADDRESS),
    (Order, {"type": "object", "properties": {"item": STRING, "amount": WHOLE}, "required": ["item"], "additionalProperties": False}),
    (datetime.date, {"type": "string", "format": "date"}), (Path, STRING),
    (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
    (Annotated[int, pydantic.Field(le=9)], {"type": "integer", "maximum": 9}),
])
def test_the_schema_says_what_the_annotation_says(annotation: Any, schema: Any) -> None:
    assert schema_of(annotation) == schema


def test_a_pydantic_model_gives_its_own_schema() -> None:
    assert schema_of(Person)["properties"]["age"]["minimum"] == 0


def test_a_structure_that_holds_itself_is_a_definition() -> None:
    schema = made(Tree).schema

    assert schema["properties"]["x"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"]["children"] == {"type": "array", "items": {"$ref": "#/$defs/Tree"}}


NUMPY = """Search.

    Parameters
    ----------
    query : str
        What is looked for,
        in words.
    k : int, optional
        How many.

    Returns
    -------
    list
    """
GOOGLE = "Search.\n\nArgs:\n    query: What is looked for,\n        in words.\n    k (int): How many.\n\nReturns:\n    A list.\n"
SPHINX = "Search.\n\n:param query: What is looked for,\n    in words.\n:param int k: How many.\n:returns: a list\n"


@pytest.mark.parametrize("doc", [NUMPY, GOOGLE, SPHINX])
def test_name_description_and_parameters_come_from_the_function(doc: str) -> None:
    def search(query: str, k: int = 3) -> list[str]:
        return [query] * k

    search.__doc__ = doc

    made = tool(search)

    assert (made.name, made.description) == ("search", "Search.")
    assert made.schema == {
        "type": "object", "additionalProperties": False, "required": ["query"], "properties": {
            "query": {"type": "string", "description": "What is looked for, in words."},
            "k": {"type": "integer", "description": "How many.", "default": 3},
        },
    }
    assert made("tides", k=2) == ["tides", "tides"]


async def _look(page: int) -> str:
    """Look at a page."""
    return f"page {page}"


class _Reader:
    """Reads pages."""

    def __call__(self, page: int) -> str:
        return f"page {page}"

    def read(self, page: int) -> str:
        """Read one."""
        return f"page {page}"


@pytest.mark.parametrize(("target", "name"), [
    (_look, "_look"), (_Reader(), "_Reader"), (_Reader().read, "read"), (functools.partial(_Reader().read), "read"),
])
def test_whatever_can_be_called_with_annotated_parameters_is_a_tool(target: Any, name: str) -> None:
    made = tool(target)

    assert made.name == name
    assert made.schema["properties"] == {"page": WHOLE}


def test_options_of_the_decorator_win() -> None:
    @tool(name="look up", description="Looks.", timeout=2, max_retries=3)
    def search(query: str) -> str:
        """Search."""
        return query

    assert (search.name, search.description, search.timeout, search.max_retries) == ("look_up", "Looks.", 2, 3)
    assert tool(search) is search


def _nothing(query: str) -> None: ...
def _bare(query, k: int = 3): ...  # type: ignore[no-untyped-def]
def _stars(*queries: str): ...  # type: ignore[no-untyped-def]
def _open(query: str, **more: str): ...  # type: ignore[no-untyped-def]
def _strange(query: Node): ...  # type: ignore[no-untyped-def]
def _undefined(query: Nowhere): ...  # type: ignore[no-untyped-def,name-defined] # noqa: F821


@pytest.mark.parametrize(("target", "told"), [
    (42, "tool(42): a function, a Flow or an agent's ref is needed, and this is of type int"),
    ("search", "a function, a Flow"), (None.__class__, "the class NoneType"), (Colour, "the class Colour"),
    (Node(), "a node alone is no tool; put it into a flow"), (lambda query: query, "write it with def"),
    (_bare, "parameter 'query' has no annotation; write `query: str`"), (_stars, "write each parameter out"),
    (_open, "write each parameter out"), (_strange, "parameter 'query': JSON has no form for Node; use str"),
    (_undefined, "its annotations name 'Nowhere', which is not defined"), (Flow(Node()), "a flow that is a tool needs a name"),
    (Flow(Node(), name="look"), "which keys of its store the model fills is not declared"),
])
def test_what_cannot_be_a_tool_says_why_before_anything_is_called(target: Any, told: str) -> None:
    with pytest.raises(BadTool) as caught:
        tool(target)

    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(BadTool, match=r"two tools are named '_nothing'; give one another name: tool\(fn, name='_nothing_2'\)"):
        tool_agent(lambda messages, *, tools=None: Reply(), "", tools=[_nothing, _nothing])


@pytest.mark.parametrize("tools", [None, "search", 7, _nothing])
def test_tools_that_are_no_list_are_refused(tools: Any) -> None:
    with pytest.raises(BadTool, match="a list of tools is needed"):
        tool_agent(lambda messages, *, tools=None: Reply(), "", tools=tools)


@tool
def order(place: Place, colour: Colour = Colour.RED, day: datetime.date | None = None) -> Any:
    return place, colour, day


def test_arguments_become_values_of_the_annotated_types() -> None:
    read = order.arguments('{"place": {"city": "Bonn", "zip": 53111}, "colour": "blue", "day": "2026-11-29"}')

    assert order(**order.converted(read)) == (Place("Bonn", 53111), Colour.BLUE, datetime.date(2026, 11, 29))


@pytest.mark.parametrize(("text", "told"), [
    ('{"place": {"city": "Bo', "not valid JSON"), ("[1]", "must be a JSON object"), ("7", "must be a JSON object"),
    ("{}", "needs the argument 'place'"), ("", "needs the argument 'place'"),
    ('{"place": {"city": "Bonn"}, "color": "red"}', "has no parameter 'color'; did you mean 'colour'?"),
    ('{"place": {"town": "Bonn"}}', "no argument 'town' was asked for"),
    ('{"place": {"city": 7}}', "argument 'place.city' needs str, got 7"),
    ('{"place": {"city": "Bonn"}, "colour": "pink"}', "needs Colour, got 'pink'"),
])
def test_arguments_that_do_not_fit_are_told(text: str, told: str) -> None:
    with pytest.raises(BadArguments) as caught:
        order.arguments(text)

    assert told in str(caught.value)


def test_json_that_was_quoted_once_more_is_read() -> None:
    assert order.arguments('"{\\"place\\": {\\"city\\": \\"Bonn\\"}}"') == {"place": {"city": "Bonn"}}


@pytest.mark.parametrize(("value", "text"), [
    ("a text", "a text"), (None, "done"), (3, "3"), ([1, "ä"], '[1, "ä"]'), (Colour.RED, '"red"'), ({"b": Colour.BLUE}, '{"b": "blue"}'),
    (Place("Bonn"), '{"city": "Bonn", "zip": null, "tags": []}'), (Person(name="Ada", age=36), '{"name": "Ada", "age": 36}'),
    ({2, 1}, "[1, 2]"), (Path("/tmp"), '"/tmp"'),
])
def test_a_result_is_a_text_for_the_model(value: Any, text: str) -> None:
    assert result_text(value) == text


def test_a_result_without_end_is_cut_and_says_so() -> None:
    text = result_text("x" * 1_000_000)

    assert len(text) < 21_000
    assert text.endswith("… cut: 980000 characters more")


def test_a_flow_is_a_tool_by_its_declared_inputs() -> None:
    @node
    def look(shared: Any) -> None:
        shared["found"] = shared["topic"]

    flow = Flow(look, name="look it up", inputs=["topic"], outputs=["found"])

    assert tool(flow).name == "look_it_up"
    assert tool(flow).schema["properties"] == {"topic": STRING}
    assert tool(flow, inputs={"topic": list[str]}).schema["properties"] == {"topic": {"type": "array", "items": STRING}}


def test_a_flow_without_declared_inputs_takes_what_its_nodes_read() -> None:
    @node
    def look(shared: Any) -> None:
        shared["found"] = [shared["topic"]] * shared.get("depth", 2)

    made = tool(Flow(look, name="look"))

    assert sorted(made.schema["properties"]) == ["depth", "topic"]
    assert made.schema["required"] == ["topic"]


def test_forms_know_the_keys_of_prompts_and_of_agents_and_not_those_of_their_tools() -> None:
    @node
    def look(shared: Any) -> None:
        shared["found"] = shared["topic"]

    def model(messages: Any, *, tools: Any = None) -> Reply:
        return Reply()

    chat = Chat(model, "{style[tone]} {notes} {notes[0]}", system="You are {role}.", writes="draft")
    agent = tool_agent(model, "", tools=[Flow(look, name="look", inputs=["topic"])], reads="draft", name="desk")

    assert [field.key for field in input_fields(linear(chat, agent))] == ["role", "style", "notes"]
    assert [field.key for field in input_fields(agent)] == ["draft"]
