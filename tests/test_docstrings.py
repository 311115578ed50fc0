"""What `help()` tells: every public name says what it takes, and the first names to meet show how they are used."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

MODULES = ("pocketflex_nb", "pocketflex_nb.agents", "pocketflex_nb.notebook", "pocketflex_nb.testing")

#: house.md, section 3: what a user types first
FIRST = (
    "Agent", "BaseNode", "BatchFlow", "BatchNode", "Breaker", "DynamicSupervisor", "Flow", "FlowAgent", "Limiter", "Node", "Registry",
    "Retry", "Run", "RunGroup", "State", "Store", "Supervisor", "ask", "child", "current", "emit", "launch", "linear", "node",
    "open_queue", "open_store", "open_topic", "replay", "runs", "spawn", "stream", "trace",
)
VIEWS = ("Launcher", "RunView", "StoreInspector")

HANDED_OUT = "handed out by the room; no user calls the class"
NOT_CALLED = {
    "AgentRef": HANDED_OUT, "Caller": HANDED_OUT, "Monitor": HANDED_OUT, "Scope": HANDED_OUT, "Stream": HANDED_OUT,
    "SupervisorRef": HANDED_OUT, "TaskRef": HANDED_OUT, "Trace": HANDED_OUT, "Via": HANDED_OUT,
}
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _takes_any(thing: Any) -> bool:
    return any(parameter.kind in VARIADIC for parameter in inspect.signature(thing).parameters.values())


def _public() -> Iterator[tuple[str, Any]]:
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value


PUBLIC = dict(_public())
#: an error is raised by the house and read by its message, so what it is made of is nobody's to give
CALLED = {
    place: thing for place, thing in PUBLIC.items()
    if thing.__name__ not in NOT_CALLED and not (inspect.isclass(thing) and issubclass(thing, BaseException))
}


def documented(doc: str) -> set[str]:
    """Names in the section Parameters, without their stars."""
    lines = inspect.cleandoc(doc).split("\n")
    heads = [n for n, line in enumerate(lines[1:]) if line and not line.strip("-")]
    begin = next((n for n in heads if lines[n] == "Parameters"), None)
    if begin is None:
        return set()
    end = next((n for n in heads if n > begin), len(lines))
    entries = [line.partition(" : ")[0] for line in lines[begin + 2 : end] if line and not line.startswith(" ")]
    return {name.strip().lstrip("*") for entry in entries for name in entry.split(",")}


def test_reads_names_that_share_a_line_and_skips_what_is_said_of_them() -> None:
    doc = """Sum.

    Parameters
    ----------
    a, b : int
        Note : the two.
    *more : int
        Others.

    Returns
    -------
    int
    """

    assert documented(doc) == {"a", "b", "more"}
    assert documented("Sum.") == set()


@pytest.mark.parametrize("place", PUBLIC)
def test_public_name_has_a_docstring_of_its_own(place: str) -> None:
    assert vars(PUBLIC[place]).get("__doc__") if inspect.isclass(PUBLIC[place]) else PUBLIC[place].__doc__


@pytest.mark.parametrize("place", CALLED)
def test_docstring_names_every_parameter(place: str) -> None:
    parameters = inspect.signature(CALLED[place]).parameters.values()

    missing = {parameter.name for parameter in parameters if parameter.kind not in VARIADIC} - documented(CALLED[place].__doc__ or "")

    assert not missing, f"{place}: its docstring's Parameters do not name {sorted(missing)}"


@pytest.mark.parametrize("place", [place for place, thing in CALLED.items() if not _takes_any(thing)])
def test_docstring_names_no_parameter_that_is_gone(place: str) -> None:
    gone = documented(CALLED[place].__doc__ or "") - set(inspect.signature(CALLED[place]).parameters)

    assert not gone, f"{place}: its docstring's Parameters name {sorted(gone)}, which it does not take"


def test_every_exception_to_the_rule_is_a_public_name() -> None:
    assert set(NOT_CALLED) <= {thing.__name__ for thing in PUBLIC.values()}


@pytest.mark.parametrize("place", [*(f"pocketflex_nb.{name}" for name in FIRST), *(f"pocketflex_nb.notebook.{name}" for name in VIEWS)])
def test_first_names_to_meet_show_an_example_that_runs(place: str) -> None:
    doc = inspect.cleandoc(PUBLIC[place].__doc__ or "")

    assert "\nExamples\n--------\n" in doc
    assert doctest.DocTestParser().get_examples(doc.partition("\nExamples\n")[2]), "the doctest stage runs what it finds here"


def test_list_of_first_names_leaves_out_no_class_or_function_of_the_package() -> None:
    assert {f"pocketflex_nb.{name}" for name in FIRST} == {place for place in PUBLIC if place.count(".") == 1}
