"""Nodes that work at once on what one key of a shared store holds, and tries that fail, over every kind of place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, node
from pocketflex_nb.core.errors import ConflictError
from pocketflex_nb.resources.stores.shared_store import SharedStore

Opened = Callable[..., SharedStore]


def add_in_two_branches(store: SharedStore) -> Any:
    async def add(shared: Any) -> None:
        box = shared["box"]
        number = box["n"]
        await asyncio.sleep(0.02)
        box["n"] = number + 1
        box[f"by {number}"] = 1

    start = node(lambda shared: None)
    start >> [node(add), node(add)]
    return Flow(start).launch(store, show=False).wait(10)


def test_nested_lost_update_of_two_branches_is_told(opened: Opened) -> None:
    store = opened(on_conflict="ignore")
    store["box"] = {"n": 0}

    run = add_in_two_branches(store)

    assert ("box", "n") in [event.data.get("path") for event in run.events if event.kind == "conflict"]
    assert opened()["box"]["n"] == 1


def test_nested_rule_resolves_it(opened: Opened) -> None:
    rules: dict[str, Any] = {"box.n": lambda base, theirs, mine: theirs + mine - base, "box.by 0": lambda theirs, mine: 1}
    store = opened(merge=rules)
    store["box"] = {"n": 0}

    run = add_in_two_branches(store)

    assert not [event for event in run.events if event.kind == "conflict"]
    assert opened()["box"] == {"n": 2, "by 0": 1}


def test_nested_changes_of_another_kernel_are_merged_with(opened: Opened) -> None:
    mine, yours = opened(), opened()
    mine["box"] = {"a": 1, "rows": [1, 2, 3]}

    class Late(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            box = shared["box"]
            yours["box"] = {"a": 1, "b": 2, "rows": [0, 2, 3]}
            box["c"] = 3
            box["rows"][2] = 4

    Flow(Late()).run(mine)

    assert yours["box"] == {"a": 1, "b": 2, "c": 3, "rows": [0, 2, 4]}


def test_policy_raise_sends_nothing(opened: Opened) -> None:
    mine, yours = opened(on_conflict="raise"), opened()
    mine["box"] = {"n": 0}

    class Late(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            box = shared["box"]
            yours["box"] = {"n": 5}
            box["n"] += 1

    with pytest.raises(ConflictError, match=r"'box\.n'"):
        Flow(Late()).run(mine)
    assert yours["box"] == {"n": 5}


@pytest.mark.parametrize("how", ["run", "launch"])
def test_failed_try_leaves_nothing(opened: Opened, how: str) -> None:
    store = opened()
    store.update({"flat": "old", "gone": 1, "box": {"list": [1]}})
    tries: list[int] = []

    def work(shared: Any) -> None:
        tries.append(1)
        shared["flat"] = f"try {len(tries)}"
        shared["box"]["list"].append(len(tries))
        if len(tries) == 1:
            shared["new"] = 1
            del shared["gone"]
            raise ValueError

    flow = Flow(node(max_retries=2)(work))
    flow.run(store) if how == "run" else flow.launch(store, show=False).wait(10)

    assert dict(opened().items()) == {"flat": "try 2", "gone": 1, "box": {"list": [1, 2]}}


def test_try_that_was_given_up_sends_nothing_more(opened: Opened) -> None:
    store = opened()
    store.update({"flat": "old", "box": [1]})
    go, done = threading.Event(), threading.Event()
    tries: list[int] = []

    def work(shared: Any) -> None:
        tries.append(1)
        if len(tries) > 1:
            shared["box"].append("second")
            return
        box = shared["box"]
        go.wait(5)
        box.append("late")
        shared["box"].append("later")
        shared["flat"] = "late"
        done.set()

    Flow(node(timeout=0.1, max_retries=2)(work)).launch(store, show=False).wait(10)
    go.set()
    assert done.wait(5)

    assert store["box"] == [1, "second"]
    assert dict(opened().items()) == {"flat": "old", "box": [1, "second"]}
