"""Whose frames a traceback has: the user's, a library's, or ours."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from types import TracebackType
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Retry, launch
from pocketflex_nb.core.user_traceback import is_user_file, shorten_in_notebook, user_frames, without_engine
from pocketflex_nb.engine.runs.run import Run, lifecycle_of


def _helper(text: str) -> Any:
    deeper = "not of the step"
    return json.loads(text), deeper


class Parse(Node):
    def prep(self, shared: Any) -> str:
        return "{bad"

    def exec(self, text: str) -> Any:
        mine = "of the step"
        return _helper(text), mine


class Slow(Node):
    async def exec(self, prep_res: Any) -> None:
        mine = "of the step"
        await asyncio.sleep(60)
        del mine


class Items(BatchNode):
    def prep(self, shared: Any) -> list[int]:
        return [1, 0]

    def exec(self, item: int) -> float:
        return 1 / item


class Outer(Node):
    def exec(self, prep_res: Any) -> Any:
        return Flow(Parse(), name="inner").run({})


def _run(node: Node) -> Run:
    run: Run = launch(Flow(node), {}, show=False).wait(20)
    assert run.status == "failed"
    return run


def _names(trace: TracebackType | None) -> list[str]:
    return [frame.f_code.co_name for frame, _ in user_frames(trace)[0]]


@pytest.mark.parametrize(
    ("node", "names", "step"),
    [
        (Parse(), ["exec", "_helper"], "Parse.exec"),
        (Parse(retry=Retry(2)), ["exec", "_helper"], "Parse.exec"),
        (Slow(timeout=0.05), ["exec"], "Slow.exec"),
        (Slow(timeout=0.05, max_retries=2), ["exec"], "Slow.exec"),
        (Items(), ["exec"], "Items.exec"),
        (Outer(), ["exec", "exec", "_helper"], "Parse.exec"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Node) else "",
)
def test_the_users_frames_and_the_step_are_found(node: Node, names: list[str], step: str) -> None:
    frames, found = user_frames(lifecycle_of(_run(node)).trace)

    assert [frame.f_code.co_name for frame, _ in frames] == names
    assert found is not None
    assert found.f_code.co_qualname == step


def test_a_timeout_ends_in_the_step_and_has_no_cause_of_ours() -> None:
    run = _run(Slow(timeout=0.05))

    assert run.error is not None
    assert run.error.__cause__ is None
    assert run.error.__suppress_context__
    assert "await asyncio.sleep(60)" in "".join(traceback.format_tb(lifecycle_of(run).trace))


def test_a_result_asked_for_often_shows_the_same_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", sys)
    run = _run(Parse())
    told = []
    for _ in range(3):
        with pytest.raises(json.JSONDecodeError) as caught:
            run.result()
        told.append(_names(caught.value.__traceback__))

    assert told == [[told[0][0], "exec", "_helper"]] * 3
    assert _names(lifecycle_of(run).trace) == ["exec", "_helper"]


@pytest.mark.parametrize("is_notebook", [True, False])
def test_a_plain_run_shows_our_frames_outside_of_notebooks_only(is_notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_notebook:
        monkeypatch.setitem(sys.modules, "IPython", sys)
    else:
        monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with pytest.raises(json.JSONDecodeError) as caught:
        Flow(Parse()).run({})

    files = [entry.frame.code.path.parts[-2] for entry in caught.traceback]
    assert ("walk" in files) is not is_notebook


@pytest.mark.parametrize(
    ("name", "is_users"),
    [("/srv/ipykernel_7/123.py", True), ("<ipython-input-3-abc>", True), ("<string>", True), (__file__, True),
     (json.__file__, False), (pytest.__file__, False), (str(sys.modules[Run.__module__].__file__), False),
     ("<frozen importlib._bootstrap>", False)],
)
def test_files_are_told_apart(name: str, is_users: bool) -> None:
    assert is_user_file(name) is is_users


def test_a_traceback_of_ours_alone_is_none() -> None:
    assert without_engine(None) is None
    error = ValueError()
    shorten_in_notebook(error)
    assert error.__traceback__ is None
