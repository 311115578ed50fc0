"""What a launched run in a notebook keeps of the values of its steps: as they were, bounded, and at no cost to a fast loop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from pocketflex_nb import END, BatchNode, Flow, Node, forget, node
from pocketflex_nb.engine.records import visit_values
from pocketflex_nb.engine.records.visit_values import VISITS, KeptVisit
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.pocketflow import AsyncFlow, AsyncNode


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketflex_nb.engine.launch.is_watched", lambda: True)


def _kept(run: Run) -> list[KeptVisit]:
    values = lifecycle_of(run).values
    assert values is not None
    return list(values)


def _read(run: Run) -> list[tuple[object, object]]:
    """What prep and exec gave, as they are told now."""
    return [(kept.prep and kept.prep.read()[0], kept.result and kept.result.read()[0]) for kept in _kept(run)]


class Plain(Node):
    def prep(self, shared: Any) -> Any:
        return [shared["n"]]

    def exec(self, prep_res: Any) -> Any:
        return {"got": prep_res[0]}

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"] += 1
        return "again" if shared["n"] < shared["until"] else "end"


class AllAsync(Plain):
    async def prep(self, shared: Any) -> Any:
        return [shared["n"]]

    async def exec(self, prep_res: Any) -> Any:
        await asyncio.sleep(0)
        return {"got": prep_res[0]}

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:  # type: ignore[override]
        return super().post(shared, prep_res, exec_res)


class HalfAsync(Plain):
    async def exec(self, prep_res: Any) -> Any:
        return {"got": prep_res[0]}


class Spelled(AsyncNode):
    async def prep_async(self, shared: Any) -> Any:
        return [shared["n"]]

    async def exec_async(self, prep_res: Any) -> Any:
        return {"got": prep_res[0]}

    async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"] += 1
        return "again" if shared["n"] < shared["until"] else "end"


def _loop(one: Any, kind: type[Flow] = Flow) -> Flow:
    one - "again" >> one
    one - "end" >> END
    return kind(one)


_WAYS = {
    "plain": _loop(Plain()), "retried": _loop(Plain(max_retries=3)), "async": _loop(AllAsync()), "half": _loop(HalfAsync()),
    "spelled": _loop(Spelled(), AsyncFlow),
}


@pytest.mark.parametrize("flow", _WAYS.values(), ids=_WAYS)
def test_each_way_to_write_a_node_leaves_its_values(flow: Flow) -> None:
    run = flow.launch({"n": 0, "until": 3}, show=False).wait(10)

    assert run.status == "done"
    assert _read(run) == [([n], {"got": n}) for n in range(3)]
    begun = [event["start"] for event in run.events if event.kind == "node_finished"]
    assert [kept.began for kept in _kept(run)] == begun


def test_a_batch_keeps_its_items_and_results_and_a_plain_run_inside_keeps_its_own() -> None:
    inner: list[Run] = []

    class Double(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2, 3]

        def exec(self, item: int) -> int:
            return 2 * item

    @node
    def outer(shared: Any) -> None:
        _loop(Plain()).run({"n": 0, "until": 2})

    run = Flow(Double(max_concurrency=2)).launch(show=False).wait(10)
    around = Flow(outer).launch(show=False).wait(10)
    inner = around.children

    assert _read(run) == [([1, 2, 3], [2, 4, 6])]
    assert [_read(child) for child in inner] == [[([0], {"got": 0}), ([1], {"got": 1})]]


def test_what_a_step_changes_in_place_later_is_told_as_it_was() -> None:
    class Grow(Plain):
        said: list[str] = []

        def prep(self, shared: Any) -> Any:
            return self.said

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            prep_res.append(f"line {shared['n']}")
            return super().post(shared, prep_res, exec_res)

        def exec(self, prep_res: Any) -> Any:
            return len(prep_res)

    run = _loop(Grow()).launch({"n": 0, "until": 3}, show=False).wait(10)

    assert [list(prep) for prep, _ in _read(run)] == [[], ["line 0"], ["line 0", "line 1"]]  # type: ignore[call-overload]


def test_an_array_is_kept_while_it_is_small_and_told_when_it_was_changed() -> None:
    arrays = {"small": np.arange(4), "changed": np.arange(4), "large": np.zeros(1_000_000)}

    class Arrays(Node):
        def prep(self, shared: Any) -> Any:
            return {"small": arrays["small"], "changed": arrays["changed"]}

        def exec(self, prep_res: Any) -> Any:
            return arrays["large"]

    run = Flow(Arrays()).launch(show=False).wait(10)
    arrays["changed"][0] = 9
    (kept,) = _kept(run)
    assert kept.prep is not None
    assert kept.result is not None
    parts = dict(kept.prep.copy.items())  # type: ignore[attr-defined]

    assert kept.prep.read(parts["small"]) == (arrays["small"], "")
    assert kept.prep.read(parts["changed"])[1] == "changed"
    assert kept.result.read() == (arrays["large"], "now")
    arrays.clear()
    gc.collect()
    assert kept.prep.read(parts["small"])[0].tolist() == [0, 1, 2, 3]  # type: ignore[attr-defined]
    assert kept.result.read()[1] == "gone"


def test_a_value_that_is_too_large_to_be_copied_is_kept_by_the_latest_visit_only() -> None:
    class Large(Plain):
        def exec(self, prep_res: Any) -> Any:
            return list(range(50_000))

    run = _loop(Large()).launch({"n": 0, "until": 3}, show=False).wait(10)

    told = [kept.result.read() for kept in _kept(run) if kept.result is not None]
    assert [how for _, how in told] == ["gone", "gone", "now"]
    assert told[0][0] == "list 50,000"
    assert len(told[2][0]) == 50_000  # type: ignore[arg-type]


def test_of_a_fast_loop_the_first_visits_are_kept_and_of_a_slow_one_the_latest() -> None:
    class Slow(AllAsync):
        async def exec(self, prep_res: Any) -> Any:
            await asyncio.sleep(0.0015)
            return prep_res

    fast = _loop(Plain()).launch({"n": 0, "until": 1_000}, show=False).wait(30)
    slow = _loop(Slow()).launch({"n": 0, "until": VISITS + 20}, show=False).wait(30)

    assert [prep for prep, _ in _read(fast)] == [[n] for n in range(VISITS)]
    values = lifecycle_of(fast).values
    assert values is not None
    assert values.is_over("Plain")
    assert [prep for prep, _ in _read(slow)] == [[n] for n in range(20, VISITS + 20)]


def test_a_failed_visit_keeps_what_prep_gave_each_try_with_the_users_line_and_its_error() -> None:
    class Breaks(Node):
        def prep(self, shared: Any) -> Any:
            return "a question"

        def exec(self, prep_res: Any) -> Any:
            raise ValueError(f"try {self.cur_retry}")

    run = Flow(Breaks(max_retries=3)).launch(show=False).wait(10)

    (kept,) = _kept(run)
    assert kept.prep is not None
    assert kept.prep.read() == ("a question", "")
    assert kept.result is None
    assert [(number, error) for number, error, _, _ in kept.tries] == [(0, "ValueError: try 0"), (1, "ValueError: try 1")]
    assert all("in exec\n    raise ValueError" in line for _, _, line, _ in kept.tries)
    assert kept.error is run.error


def test_the_bound_of_all_runs_lets_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit_values, "_bounds", visit_values._Bounds())
    monkeypatch.setattr(visit_values, "BYTES", 50_000)

    class Text(Plain):
        def exec(self, prep_res: Any) -> Any:
            return f"{prep_res[0]}" * 10_000

    run = _loop(Text()).launch({"n": 0, "until": 9}, show=False).wait(10)

    how = [kept.result.read()[1] for kept in _kept(run) if kept.result is not None]
    assert how[0] == "gone"
    assert how[-1] == ""
    assert how == sorted(how, reverse=True)


def test_a_run_that_is_forgotten_lets_its_values_go() -> None:
    run = _loop(Plain()).launch({"n": 0, "until": 2}, show=False).wait(10)
    known = weakref.ref(_kept(run)[0])
    forget(run)
    del run
    gc.collect()

    assert known() is None


def test_a_script_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketflex_nb.engine.launch.is_watched", lambda: False)

    run = _loop(Plain()).launch({"n": 0, "until": 2}, show=False).wait(10)

    assert lifecycle_of(run).values is None
