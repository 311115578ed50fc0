"""Context variables: they arrive in every step, and what a run leaves in its own reaches no other."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch, node
from tests.engine.fakes import SOON

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


class Async(Node):
    async def prep(self, shared: Any) -> None:  # type: ignore[override]
        shared["seen"] = USER.get()
        USER.set("left behind")


class Plain(Node):
    def prep(self, shared: Any) -> None:
        shared["seen"] = USER.get()
        USER.set("left behind")


class Failing(Async):
    async def exec(self, prep_res: Any) -> None:  # type: ignore[override]
        raise ValueError("no")


@pytest.fixture(autouse=True)
def _ann() -> Any:
    token = USER.set("ann")
    yield
    USER.reset(token)


@pytest.mark.parametrize("at_once", [1, 2, None])
@pytest.mark.parametrize("kind", [Async, Plain, Failing])
def test_each_run_of_a_group_starts_from_the_launchers_context(kind: type[Node], at_once: int | None) -> None:
    group = Flow(kind()).launch_each("i", range(5), max_concurrency=at_once).wait(SOON)

    assert [run.store["seen"] for run in group] == ["ann"] * 5
    assert USER.get() == "ann"


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_the_same_of_flows_that_are_launched_together(at_once: int | None) -> None:
    group = launch([Flow(Async()) for _ in range(4)], max_concurrency=at_once).wait(SOON)

    assert [run.store["seen"] for run in group] == ["ann"] * 4


def test_a_group_launched_in_a_step_starts_from_the_context_of_that_step() -> None:
    @node
    async def start(shared: Any) -> None:
        USER.set("step")
        group = Flow(Async()).launch_each("i", range(3), max_concurrency=1)
        await group
        shared["seen"] = [run.store["seen"] for run in group]

    assert Flow(start).launch({}).wait(SOON).store["seen"] == ["step"] * 3


def test_what_is_set_after_the_launch_reaches_no_run_of_it() -> None:
    group = Flow(Async()).launch_each("i", range(3), max_concurrency=1)
    USER.set("later")

    assert [run.store["seen"] for run in group.wait(SOON)] == ["ann"] * 3


@pytest.mark.parametrize("at_once", [1, 2, 3, None])
@pytest.mark.parametrize("way", ["run", "launch", "run_async"])
def test_each_branch_of_a_fork_starts_from_the_context_of_the_fork(way: str, at_once: int | None) -> None:
    class Branch(Node):
        async def prep(self, shared: Any) -> None:  # type: ignore[override]
            shared.setdefault("seen", []).append(USER.get())
            USER.set("a branch")

    @node
    async def start(shared: Any) -> None:
        shared["in"] = USER.get()

    start >> [Branch(), Branch(), Branch(), Branch()] >> node(lambda shared: None)
    flow, store = Flow(start, max_concurrency=at_once), dict[str, Any]()
    if way == "launch":
        store = flow.launch({}).wait(SOON).store
    elif way == "run":
        flow.run(store)
    else:
        asyncio.run(flow.run_async(store))

    assert store["seen"] == ["ann"] * 4
