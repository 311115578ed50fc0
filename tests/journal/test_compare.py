"""Two runs beside each other: which steps differ, which is the first, and how their stores do; as text and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, compare, open_journal, resume
from pocketflex_nb.core import ports
from pocketflex_nb.core.comparison import Comparison
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.journal import journal_file

SECRET = "sk-" + "a1B2" * 12


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


class Step(Node):
    """Counts up to 4, by a way that its params name."""

    def __init__(self, odd: str = "again") -> None:
        super().__init__()
        self.odd = odd

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"] += 1
        shared["draft"] = f"draft {shared['n']} of {shared['topic']}"
        return "enough" if shared["n"] >= 4 else self.odd if shared["n"] == 2 else "again"


def flow(odd: str = "again") -> Flow:
    step, beside, last = Step(odd), Node(name="beside"), Node(name="last")
    step - "again" >> step
    step - "aside" >> beside
    beside >> step
    step - "enough" >> last
    return Flow(step, name="steps")


def ran(path: Path, name: str, odd: str = "again", **store: Any) -> Run:
    run: Run = flow(odd).launch({"n": 0, "topic": "tides", **store}, name=name, journal=path).wait(20)
    return run


def kinds(found: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    return [(pair.step.address.partition("/")[2], pair.differs) for pair in found.steps]


@pytest.mark.parametrize("is_reopened", [False, True])
def test_runs_that_took_the_same_steps_are_the_same(path: Path, is_reopened: bool) -> None:
    one, two = ran(path, "one"), ran(path, "two")
    if is_reopened:
        one, two = open_journal(path).run(one.name), open_journal(path).run(two.name)

    found = compare(one, two)

    assert found.is_same
    assert (found.first, found.store, len(found.steps)) == (None, [], 5)
    assert "alike" in str(found)


def test_the_first_difference_is_marked_and_steps_of_one_run_alone_stand_where_they_came(path: Path) -> None:
    one, two = ran(path, "one"), ran(path, "two", odd="aside")

    found = compare(one, two)

    assert kinds(found) == [
        ("Step#1", ()), ("Step#2", ("action",)), ("beside#1", ("only b",)), ("Step#3", ()), ("Step#4", ()), ("last#1", ()),
    ]
    assert found.first == 1
    text = str(found)
    assert [line for line in text.splitlines() if line.startswith("1st")] == ["1st ~ Step#2 → again | aside"]
    assert f"+ beside#1 → default  (only in {two.name})" in text
    assert kinds(compare(two, one))[2] == ("beside#1", ("only a",))


def test_stores_are_compared_by_step_and_at_the_end(path: Path) -> None:
    found = compare(ran(path, "one"), ran(path, "two", topic="tides of the moon", more=[1, {"k": 2}]))

    assert found.first == 0
    assert all("store" in differs for _, differs in kinds(found)[:4])
    assert {difference.where for difference in found.store} == {"topic", "draft", "more"}
    (change,) = found.steps[3].changes()
    assert (change["key"], change["old"], change["new"]) == ("draft", "draft 4 of tides", "draft 4 of tides of the moon")


def test_a_fork_is_compared_by_what_its_journal_has_of_the_first_steps(path: Path) -> None:
    one = ran(path, "one")
    fork = one.fork(at=2, topic="the moon", name="fork").wait(20)

    for two in (fork, open_journal(path).run("fork")):
        found = compare(one, two)

        assert found.first == 2
        assert kinds(found)[:3] == [("Step#1", ()), ("Step#2", ()), ("Step#3", ("store",))]
        assert found.b.steps == 5


def test_a_resumed_run_is_compared_with_its_first_steps(path: Path) -> None:
    whole = ran(path, "whole")
    part = flow().launch({"n": 0, "topic": "tides"}, name="part", journal=path, max_steps=2).wait(20)
    assert part.status == "failed"
    header = open_journal(path).glance(part.name).header
    assert header["limits"]["max_steps"] == 2

    found = compare(whole, part)

    assert found.first is not None
    assert resume(path, part.name, flow=flow()).wait(20).status == "failed", "the spent steps count"


def test_the_table_names_both_runs_masks_secrets_and_escapes(path: Path) -> None:
    one, two = ran(path, "one<b>"), ran(path, "two", api_key=SECRET, topic="<script>alert(1)</script>")

    found = compare(one, two)
    bundle: Any = ports.draw(found, "bundle")

    for text in (bundle["text/html"], bundle["text/plain"], str(found), repr(found)):
        assert SECRET not in text
    page = bundle["text/html"]
    assert "<script>" not in page
    assert "one&lt;b&gt;" in page
    assert "first difference" in page
    assert page.count('<th scope="col"') == 3
