"""What waits, as a view tells it: one by one for a few runs, counted for many, with times that the page counts by itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb import Flow, Limiter, Run, ask, launch, linear, node
from pocketflex_nb.core.waits import Wait
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.notebook.reports.text_view import TextView
from pocketflex_nb.notebook.run_data.pending import ITEMS, crowd_waits, waits_told
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

Runs = list[Any]


@pytest.fixture
def waiting_runs() -> Iterator[Any]:
    """``waiting_runs(number)``: runs that all wait for one limiter."""
    made: Runs = []

    def launched(number: int) -> Runs:
        limiter = Limiter(10, per=60)
        for _ in range(10):
            limiter.reserve()

        @node
        async def read(shared: Any) -> None:
            async with limiter:
                pass

        group = Flow(read, name="reader").launch_each("page", range(number), max_concurrency=None, show=False)
        made.extend(group)
        _eventually(lambda: all(lifecycle_of(run).waits for run in made))
        return list(group)

    yield launched
    for run in made:
        run.cancel()
    for run in made:
        run.wait(20)


def _eventually(condition: Any) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it never came true"
        threading.Event().wait(0.01)


def _items(runs: Runs) -> list[Any]:
    return RunViewModel(runs).pending()


def test_one_run_is_told_by_its_node_and_the_time_stays_until_the_wait_changes(waiting_runs: Any) -> None:
    model = RunViewModel(waiting_runs(1))

    first, second = model.pending(), model.pending()

    ((who, before, at, mode, after, number, kind),) = first
    assert (who, before, mode, after, number, kind) == ("read", "limiter 10/min, next in", "left", "", 1, "limiter")
    assert 50_000 < at < 61_000
    assert first == second


def test_the_same_wait_of_several_runs_is_one_and_what_only_one_waits_for_has_its_name(waiting_runs: Any) -> None:
    @node
    async def approve(shared: Any) -> None:
        await ask("Publish?", ["yes", "no"])

    asking = launch(linear(approve), name="report", show=False)
    _eventually(lambda: asking.status == "asking")
    try:
        items = _items([*waiting_runs(5), asking])
    finally:
        asking.cancel()
        asking.wait(10)

    assert [(item[0], item[5]) for item in items if item[6] == "limiter"] == [("read", 5)]
    assert [item[:2] for item in items if item[6] == "question"] == [[f"{asking.name} · approve", 'ask "Publish?"']]


def test_a_thousand_waiting_runs_are_counted_and_the_picture_stays_cheap(waiting_runs: Any) -> None:
    runs = waiting_runs(1_000)
    model = RunViewModel(runs)

    begun = time.perf_counter()
    looks = [model.pending() for _ in range(50)]
    seconds = time.perf_counter() - begun
    ((who, before, _, _, _, number, _),) = looks[-1]
    line = TextView(runs, "readers", is_kernel=False).line()
    for run in runs:
        run.cancel()
    for run in runs:
        run.wait(20)

    assert (who, before, number) == ("", "limiter 10/min, next in", 1_000)
    assert seconds < 0.25
    assert len(json.dumps(looks[-1])) < 300
    assert "1,000 × limiter 10/min, next in" in line
    assert model.pending() == []


def test_the_past_waits_for_nothing(waiting_runs: Any) -> None:
    model = RunViewModel(waiting_runs(1))
    model.moment = model.zero()

    assert model.pending() == []


def test_a_wait_that_begins_without_a_record_reaches_the_page(waiting_runs: Any) -> None:
    (run,) = waiting_runs(1)
    view = RunView(run)
    try:
        view.pending = []
        view._seen = None
        view.refresh()

        assert [item[6] for item in view.pending] == ["limiter"]
    finally:
        view.close()


def test_more_waits_than_fit_are_counted_and_short_ones_are_left_out() -> None:
    waits = [Wait("lock", f"n{k}", f"lock 'k{k}'", since=1) for k in range(ITEMS + 3)]

    told = waits_told([*waits, Wait("queue", "n", "a message of queue q", since=10_000_000_000)], now=10_100_000_000)

    assert told == "n0: lock 'k0' 10.1 s; n1: lock 'k1' 10.1 s; 7 more"


def test_a_secret_in_what_is_waited_for_is_masked() -> None:
    @node
    async def approve(shared: Any) -> None:
        await ask("Use sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl?", ["yes"])

    run: Run = launch(linear(approve), show=False)  # type: ignore[assignment]  # one flow gives one run
    try:
        _eventually(lambda: run.status == "asking")
        text = json.dumps(_items([run])) + waits_told(run.state().waits)
    finally:
        run.cancel()
        run.wait(10)

    assert "abcdefghijklmnop" not in text


def test_a_crowd_without_waits_tells_nothing() -> None:
    runs = [launch(linear(node(lambda shared: None)), show=False).wait(10) for _ in range(3)]

    assert crowd_waits(runs) == []
