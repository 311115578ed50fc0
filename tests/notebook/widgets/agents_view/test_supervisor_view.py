"""What a supervisor's tree says of its end, and of the supervisors below it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb.agents import Agent, DynamicSupervisor, Supervisor, child
from pocketflex_nb.notebook.widgets.agents_view.agents_view import SupervisorView
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.testing import Recorder


class Idler(Agent):
    """Waits."""


@pytest.fixture
def team() -> Iterator[Any]:
    inner = child(Supervisor, [child(Idler, id="leaf")], id="inner")
    started = Supervisor([child(Idler, id="a"), inner], strategy="rest_for_one", max_restarts=0, name="viewed").start_sync()
    yield started
    if started.is_alive:
        started.stop_sync("shutdown")


@pytest.fixture
def view(team: Any) -> SupervisorView:
    made = SupervisorView(team)
    refresh_loop.close(made)
    return made


def test_a_tree_says_that_its_supervisor_gave_up_and_on_what(team: Any, view: SupervisorView) -> None:
    with Recorder(team) as seen:
        team["a"].exit("kill")
        seen.wait("exit", "viewed")

    view.refresh()

    assert (view.head["alive"], view.head["strategy"]) == (False, "rest_for_one")
    assert view.head["ended"] == "gave up: more than 0 restarts within 5 s"
    assert "viewed, rest_for_one, gave up: more than 0 restarts within 5 s" in view.still()
    assert view.text().splitlines()[0] == "viewed  rest_for_one  gave up: more than 0 restarts within 5 s"


def test_a_tree_says_that_its_supervisor_was_stopped(team: Any, view: SupervisorView) -> None:
    team.stop_sync("shutdown")

    view.refresh()

    assert view.head["ended"] == "ended: shutdown"


def test_stop_all_ends_the_team_in_order(team: Any, view: SupervisorView) -> None:
    with Recorder(team) as seen:
        view._command(view, {"do": "stop"}, [])
        seen.wait("exit", "viewed")
    view.refresh()

    assert [event["id"] for event in seen.events if event.kind == "exit"] == ["leaf", "inner", "a", "viewed"]
    assert not team.is_alive
    assert view.head["ended"] == "ended: shutdown"


@pytest.mark.parametrize("above", [Supervisor, DynamicSupervisor])
def test_stop_all_ends_a_team_below_another_for_good(above: Any) -> None:
    inner = Supervisor([child(Idler, id="leaf")], name="inner-team")
    top = above().start_sync()
    asyncio.run(top.start_child(inner))
    made = SupervisorView(inner)
    refresh_loop.close(made)
    with Recorder(top) as seen:
        made._command(made, {"do": "stop"}, [])
        seen.wait("exit", inner.ref.id)

    assert not inner.is_alive
    assert top.count().active == 0
    top.stop_sync()


def test_a_supervisor_below_another_has_one_version_of_its_code(view: SupervisorView) -> None:
    versions = {row[2]: row[-1] for row in view.rows}

    assert versions == {"a": 1, "inner": 1, "leaf": 1}
    assert view.head["ended"] == ""
