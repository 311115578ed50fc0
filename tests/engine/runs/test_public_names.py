"""What Tab offers on a run, on a group and on the package: the names that users type, and nothing of the engine's side."""

from __future__ import annotations

from typing import Any

import pytest

import pocketflex_nb
from pocketflex_nb import Flow, Node, Run, RunGroup, launch

RUN = [
    "action", "answer", "asking", "cancel", "children", "done", "error", "events", "flow", "fork", "messages", "name", "pause", "replay",
    "result", "resume", "show", "state", "status", "step", "store", "stores", "stream", "subscribe", "to_frame", "to_html", "usage", "wait",
]
#: documented, and used by few: Tab does not offer them
RUN_TOO = [
    "add_done_callback", "cell", "graph", "hops", "in_flight", "number", "parent", "seconds", "to_svg", "to_timeline", "wait_async",
]
GROUP = [
    "as_completed", "cancel", "counts", "done", "name", "pause", "results", "resume", "runs", "show", "step", "stream", "to_frame",
    "to_html", "to_timeline", "usage", "wait",
]


@pytest.fixture
def run() -> Run:
    made: Run = launch(Flow(Node()), show=False)
    return made.wait(10)


@pytest.fixture
def group() -> RunGroup:
    made: RunGroup = launch([Flow(Node()), Flow(Node())], show=False)
    return made.wait(10)


def _public(thing: Any) -> list[str]:
    return sorted(name for name in dir(thing) if not name.startswith("_"))


def test_dir_of_a_run_lists_the_agreed_names(run: Run) -> None:
    assert _public(run) == RUN


def test_a_run_has_no_public_attribute_beyond_the_documented(run: Run) -> None:
    assert _public(Run) == sorted([*RUN, *RUN_TOO])
    assert not hasattr(run, "__dict__")  # nothing can be put on it by mistake


def test_dir_of_a_group_lists_the_agreed_names(group: RunGroup) -> None:
    assert _public(group) == GROUP
    assert [name for name in _public(RunGroup) if name not in GROUP] == []


@pytest.mark.parametrize(("kind", "names"), [("run", RUN), ("group", GROUP)])
def test_each_offered_name_can_be_read(kind: str, names: list[str], request: pytest.FixtureRequest) -> None:
    thing = request.getfixturevalue(kind)

    for name in names:
        getattr(thing, name)


def test_dir_of_the_package_lists_what_it_exports() -> None:
    assert _public(pocketflex_nb) == sorted(pocketflex_nb.__all__)
