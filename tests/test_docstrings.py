"""What `help()` tells: every public name and method says what it takes, and every name shows by an example that runs how it is used."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

MODULES = ("pocketflex_nb", "pocketflex_nb.agents", "pocketflex_nb.llm", "pocketflex_nb.notebook", "pocketflex_nb.pocketflow",
           "pocketflex_nb.resources", "pocketflex_nb.testing")

HANDED_OUT = "handed out by the room; no user calls the class"
NOT_CALLED = {
    "AgentRef": HANDED_OUT, "Caller": HANDED_OUT, "Monitor": HANDED_OUT, "Scope": HANDED_OUT, "Sending": HANDED_OUT, "Stream": HANDED_OUT,
    "SharedStore": HANDED_OUT, "SupervisorRef": HANDED_OUT, "TaskRef": HANDED_OUT, "Tool": HANDED_OUT,
    "Trace": HANDED_OUT, "Via": HANDED_OUT,
}
#: methods that the rooms call on what a user holds: no section, but each parameter stands in the sentence
PLUMBING = {
    "FlowAgent": {"handle_call", "handle_cast", "handle_info", "init", "redact"},
    "DeltaWidget": {"resync"},
    "Store": {"fromkeys", "get"},       # as a dict's
}
NO_EXAMPLE = {
    "AgentError": "the root: nobody raises it",
    "ModelError": "the root of the errors of models",
    "NotPortable": "takes cloudpickle, which is an extra",
    "Restarting": "lasts only as long as a restart that failed is not tried again",
    "raising_shell": "opens the user's IPython profile",
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


def _methods() -> Iterator[tuple[str, Any]]:
    """Methods of public classes and of what they inherit from the house, bound: their signatures have no self and no cls."""
    public = [thing for thing in PUBLIC.values() if inspect.isclass(thing)]
    for owner in {base: None for thing in public for base in thing.__mro__ if base.__module__.startswith("pocketflex_nb")}:
        for name, made in vars(owner).items():
            if not name.startswith("_") and inspect.isfunction(getattr(made, "__func__", made)):
                yield f"{owner.__name__}.{name}", made.__get__(owner) if inspect.isfunction(made) else getattr(owner, name)


METHODS = dict(_methods())


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


def _parameters(method: Any) -> set[str]:
    return {name for name, parameter in inspect.signature(method).parameters.items() if parameter.kind not in VARIADIC}


def _is_plumbing(place: str) -> bool:
    owner, name = place.split(".")
    return name in PLUMBING.get(owner, ())


@pytest.mark.parametrize("place", [place for place in METHODS if not _is_plumbing(place)])
def test_method_names_every_parameter_and_none_that_is_gone(place: str) -> None:
    told, taken = documented(METHODS[place].__doc__ or ""), _parameters(METHODS[place])

    assert METHODS[place].__doc__
    assert not taken - told, f"{place}: its docstring's Parameters do not name {sorted(taken - told)}"
    assert not told - taken or _takes_any(METHODS[place]), f"{place}: its docstring's Parameters name {sorted(told - taken)}"


@pytest.mark.parametrize("place", [place for place in METHODS if _is_plumbing(place)])
def test_sentence_of_plumbing_names_every_parameter(place: str) -> None:
    missing = {name for name in _parameters(METHODS[place]) if f"`{name}`" not in (METHODS[place].__doc__ or "")}

    assert not missing, f"{place}: its docstring does not name {sorted(missing)}"


def test_plumbing_is_there() -> None:
    assert {f"{owner}.{name}" for owner, names in PLUMBING.items() for name in names} <= set(METHODS)


@pytest.mark.parametrize("place", [place for place, thing in PUBLIC.items() if thing.__name__ not in NO_EXAMPLE])
def test_public_name_shows_an_example_that_runs(place: str) -> None:
    doc = inspect.cleandoc(PUBLIC[place].__doc__ or "")

    shown = doctest.DocTestParser().get_examples(doc.partition("\nExamples\n--------\n")[2])

    assert any(doctest.SKIP not in example.options for example in shown), "the doctest stage runs what it finds here"


@pytest.mark.parametrize("name", NO_EXAMPLE)
def test_name_on_the_list_without_example_is_public_and_has_none(name: str) -> None:
    docs = {thing.__name__: inspect.cleandoc(thing.__doc__ or "") for thing in PUBLIC.values()}

    assert "\nExamples\n" not in docs[name], f"{name} has an example now: take it off the list"
