"""Which code does a run use, when a cell ran again?"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pocketflex_nb import Flow
from pocketflex_nb.core.errors import CannotAsk
from pocketflex_nb.engine.runs.code_reload import is_stale

Cell = Callable[[str], None]


@pytest.fixture
def cell() -> Iterator[Cell]:
    """Runs code in ``__main__``, as a notebook's cell does."""
    main = sys.modules["__main__"]
    before = dict(vars(main))

    def run(code: str) -> None:
        exec(compile("from pocketflex_nb import *\n" + code, "<cell>", "exec"), vars(main))

    yield run
    for name in set(vars(main)) - set(before):
        delattr(main, name)
    for name, thing in before.items():
        setattr(main, name, thing)


def main(name: str) -> Any:
    return getattr(sys.modules["__main__"], name)


CLASS = "class Says(Node):\n  def post(self, shared, p, e): shared['said'] = {!r}, self.kept\n"


def test_the_next_launch_uses_the_class_as_it_now_stands_and_the_nodes_own_attributes(cell: Cell) -> None:
    cell(CLASS.format("old") + "says = Says(); says.kept = 7\nflow = Flow(says)")
    cell(CLASS.format("new"))

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == ("new", 7)


def test_an_attribute_that_the_new_code_misses_is_an_error_that_names_it(cell: Cell) -> None:
    cell("class Says(Node): pass\nflow = Flow(Says())")
    cell("class Says(Node):\n  def __init__(self): super().__init__(); self.added = 1\n  def post(self, shared, p, e): self.added")

    run = main("flow").launch({}, show=False)

    with pytest.raises(AttributeError, match=r"'added': .* run the cell that makes Says\(\.\.\.\) again"):
        run.result(10)


def test_the_error_of_a_missing_attribute_names_the_notebooks_cell(cell: Cell) -> None:
    made = "class Says(Node): pass\nflow = Flow(Says())"
    cell(made)
    cell("class Says(Node):\n  def post(self, shared, p, e): self.added")
    cell(f"In = ['', {made!r}, 'class Says(Node): ...', 'flow.launch()']")

    run = main("flow").launch({}, show=False)

    with pytest.raises(AttributeError, match=r"run cell \[1\], which makes Says"):
        run.result(10)


def test_an_attribute_error_of_the_new_codes_own_stays_as_it_is(cell: Cell) -> None:
    cell("class Says(Node): pass\nflow = Flow(Says())")
    cell("class Says(Node):\n  def post(self, shared, p, e): shared.nothing")

    run = main("flow").launch({}, show=False)

    with pytest.raises(AttributeError, match=r"'nothing'$"):
        run.result(10)


def test_a_class_inside_a_nested_flow_is_renewed_too(cell: Cell) -> None:
    cell(CLASS.format("old") + "says = Says(); says.kept = 0\nflow = Flow(Flow(Flow(says)))")
    cell(CLASS.format("new"))

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == ("new", 0)


FUNCTION = "@node\ndef says(shared): shared['said'] = {!r}\n"


def test_a_function_node_uses_the_function_as_it_now_stands(cell: Cell) -> None:
    cell(FUNCTION.format("old") + "flow = Flow(says)")
    cell(FUNCTION.format("new"))

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == "new"


@pytest.mark.parametrize("again", ["@node\nasync def says(shared): shared['said'] = 'new'", "@node\ndef says(): emit('log', 'new')"])
def test_a_function_may_become_async_or_lose_its_argument(cell: Cell, again: str) -> None:
    cell(FUNCTION.format("old") + "flow = Flow(says)")
    cell(again)

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store.get("said") == "new" or run.state().lines[-1][2] == "new"


def test_an_async_function_may_become_plain(cell: Cell) -> None:
    cell("@node\nasync def says(shared): shared['said'] = 'old'\nflow = Flow(says)")
    cell(FUNCTION.format("new"))

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == "new"


def test_a_run_in_progress_keeps_its_code_and_says_that_it_is_old(cell: Cell) -> None:
    gate, begun = threading.Event(), threading.Event()
    cell(CLASS.format("old") + "class First(Node):\n  def exec(self, p): begun.set(); gate.wait(10)\n")
    vars(sys.modules["__main__"]).update(gate=gate, begun=begun)
    cell("first, says = First(), Says(); says.kept = 1\nfirst >> says\nflow = Flow(first)")
    run = main("flow").launch({}, show=False)
    assert begun.wait(10)

    cell(CLASS.format("new"))
    gate.set()
    run.result(10)

    assert run.store["said"] == ("old", 1)
    assert is_stale(run) == ["Says"]


def test_a_plain_run_outside_of_ipython_keeps_the_nodes_own_class(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    cell(CLASS.format("old") + "says = Says(); says.kept = 7\nflow = Flow(says)")
    cell(CLASS.format("new"))
    store: dict[str, Any] = {}

    main("flow").run(store)

    assert store["said"] == ("old", 7)


def test_a_class_made_inside_a_function_is_left_alone(cell: Cell) -> None:
    cell("def make():\n  class Says(Node):\n    def post(self, shared, p, e): shared['said'] = 'inside'\n  return Says()")
    cell("flow = Flow(make())")
    cell(CLASS.format("outside"))

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == "inside"


def test_a_name_that_now_means_something_else_changes_nothing(cell: Cell) -> None:
    cell(CLASS.format("old") + FUNCTION.format("old function").replace("says", "tells"))
    cell("says = Says(); says.kept = 1\nsays >> tells\nflow = Flow(says)")
    cell("Says = 3\ntells = 'text'")

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["said"] == "old function"


def test_a_classmate_is_known_by_isinstance_after_its_class_was_made_again(cell: Cell) -> None:
    code = "class Base(Node): pass\nclass Says(Base):\n  def post(self, shared, p, e): shared['is'] = isinstance(self, Says)"
    cell(code)
    cell("flow = Flow(Says())")
    cell(code)

    run = main("flow").launch({}, show=False)
    run.result(10)

    assert run.store["is"] is True


# input ------------------------------------------------------------------------------------------------------------------
def test_input_on_the_engine_thread_raises_and_names_ask() -> None:
    from pocketflex_nb import Node

    class Reads(Node):
        async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
            return input("your name? ")

    with pytest.raises(CannotAsk, match=r"await ask\('your name\? '\)"):
        Flow(Reads()).launch({}, show=False).result(10)


def test_input_elsewhere_reads_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from pocketflex_nb.concurrency.engine_thread import engine_thread

    assert engine_thread.loop.is_running()
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))

    assert input() == "typed"


def test_input_of_a_plain_run_reads_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from pocketflex_nb import Node

    class Reads(Node):
        def exec(self, prep_res: Any) -> Any:
            return input()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return exec_res

    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\nagain\n"))

    assert Flow(Reads()).run({}) == "typed"
    assert asyncio.run(Flow(Reads()).run_async({})) == "again"
