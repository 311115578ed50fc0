"""Two nodes that work at once on what one key holds: each change arrives, or the one that is lost is told."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import operator
import threading
import time
import types
import warnings
from collections import deque
from typing import Any

import pytest
from pydantic import BaseModel

from pocketflex_nb import Flow, Store, node
from pocketflex_nb.core.errors import ConflictError
from pocketflex_nb.core.store.store import ConflictWarning
from tests.core.store.store_frames import Frame, Run, inside, settled


@dataclasses.dataclass
class Data:
    n: int = 0


class Model(BaseModel, extra="allow"):
    n: int = 0


def add_item(box: Any, by: int) -> None:
    box["n"] += by


def add_attribute(box: Any, by: int) -> None:
    box.n += by


def add_first(box: Any, by: int) -> None:
    box[0] += by


def add_deep(box: Any, by: int) -> None:
    box["rows"][1]["n"] += by


def add_extra(box: Any, by: int) -> None:
    box.more["n"] += by


KINDS = [
    ({"n": 0}, add_item, lambda box: box["n"], "box.n"),
    ([0], add_first, lambda box: box[0], "box.0"),
    (deque([0]), add_first, lambda box: box[0], "box.0"),
    (Data(), add_attribute, lambda box: box.n, "box.n"),
    (Model(), add_attribute, lambda box: box.n, "box.n"),
    (Model(more={"n": 0}), add_extra, lambda box: box.more["n"], "box.more.n"),
    (types.SimpleNamespace(n=0), add_attribute, lambda box: box.n, "box.n"),
    ({"rows": [{}, {"n": 0}]}, add_deep, lambda box: box["rows"][1]["n"], "box.rows.1.n"),
]
IDS = ["dict", "list", "deque", "dataclass", "model", "extra", "namespace", "deep"]


def at_once(store: Store, count: int = 2) -> list[Frame]:
    return [Frame(Run(f"run{i}", store), f"node{i}") for i in range(count)]


def work(store: Store, frames: list[Frame], change: Any) -> None:
    """Each reads the box before any has ended, changes it, and ends."""
    boxes = []
    for frame in frames:
        with inside(frame):
            boxes.append(store["box"])
    for frame, box in zip(frames, boxes, strict=True):
        with inside(frame):
            change(box, 1)
            settled(frame)


@pytest.mark.parametrize(("value", "change", "read", "path"), KINDS, ids=IDS)
def test_nested_lost_update_is_told_like_a_flat_one(value: Any, change: Any, read: Any, path: str) -> None:
    value = copy.deepcopy(value)
    store = Store({"box": value})
    frames = at_once(store)

    with pytest.warns(ConflictWarning, match=f"'node1' of run 'run1' overwrote '{path}', which node 'node0'"):
        work(store, frames, change)

    kind, data = frames[1].events[-1]
    assert (kind, data["key"], data["other"]) == ("conflict", "box", "node 'node0' of run 'run0'")
    assert not frames[0].events
    assert read(store["box"]) == 1


@pytest.mark.parametrize(("value", "change", "read", "path"), KINDS, ids=IDS)
def test_rule_for_a_nested_key_resolves_it(value: Any, change: Any, read: Any, path: str) -> None:
    value = copy.deepcopy(value)
    store = Store({"box": value}, merge={path: lambda base, theirs, mine: theirs + mine - base})
    frames = at_once(store, 4)

    work(store, frames, change)

    assert read(store["box"]) == 4
    assert not any(frame.events for frame in frames)


@pytest.mark.parametrize(("value", "change", "read", "path"), KINDS, ids=IDS)
def test_policy_raise_writes_nothing_of_the_late_one(value: Any, change: Any, read: Any, path: str) -> None:
    value = copy.deepcopy(value)
    store = Store({"box": value}, on_conflict="raise")
    frames = at_once(store)

    with pytest.raises(ConflictError, match=f"was kept from overwriting '{path}'"):
        work(store, frames, lambda box, by: [change(box, 1) for _ in range(1 + (frames[0].touched is None))])

    assert read(store["box"]) == 1


@pytest.mark.parametrize(("value", "change", "read", "path"), KINDS, ids=IDS)
def test_changes_one_after_the_other_conflict_with_nobody(value: Any, change: Any, read: Any, path: str) -> None:
    value = copy.deepcopy(value)
    store = Store({"box": value})
    frames = at_once(store)

    for frame in frames:
        with inside(frame):
            change(store["box"], 1)
            settled(frame)

    assert read(store["box"]) == 2
    assert store["box"] is value
    assert not any(frame.events for frame in frames)


def both(store: Store, *changes: Any) -> list[Frame]:
    frames = at_once(store, len(changes))
    boxes = []
    for frame in frames:
        with inside(frame):
            boxes.append(store["box"])
    for frame, box, change in zip(frames, boxes, changes, strict=True):
        with inside(frame):
            change(box)
            settled(frame)
    return frames


@pytest.mark.parametrize(
    ("value", "one", "other", "result"),
    [
        ([], lambda b: b.append(1), lambda b: b.append(2), [1, 2]),
        ([0], lambda b: b.append(1), lambda b: b.insert(0, 2), [2, 0, 1]),
        ([1, 2, 3], lambda b: b.pop(0), lambda b: b.append(4), [2, 3, 4]),
        ([1, 2, 3], lambda b: b.append(4), lambda b: b.pop(0), [2, 3, 4]),
        ([1, 2, 3], lambda b: b.__setitem__(0, 7), lambda b: b.__setitem__(2, 9), [7, 2, 9]),
        ({}, lambda b: b.update(a=1), lambda b: b.update(b=2), {"a": 1, "b": 2}),
        ({"a": 1, "b": 1}, lambda b: b.pop("a"), lambda b: b.update(b=2), {"b": 2}),
        ({}, lambda b: b.setdefault("s", {}).update(x=1), lambda b: b.setdefault("s", {}).update(y=2), {"s": {"x": 1, "y": 2}}),
        ({"t": {"x": [1], "y": [1]}}, lambda b: b["t"]["x"].append(2), lambda b: b["t"]["y"].append(3), {"t": {"x": [1, 2], "y": [1, 3]}}),
        ({1}, lambda b: b.add(2), lambda b: b.discard(1), {2}),
        (deque([1]), lambda b: b.append(2), lambda b: b.popleft(), deque([2])),
        (Data(), lambda b: setattr(b, "more", 1), lambda b: setattr(b, "n", 2), Data(2)),
    ],
)
def test_changes_at_different_places_all_arrive(value: Any, one: Any, other: Any, result: Any) -> None:
    value = copy.deepcopy(value)
    store = Store({"box": value})

    frames = both(store, one, other)

    assert store["box"] == result
    assert type(store["box"]) is type(value)
    assert store["box"] is value, "the object is the one that was there"
    assert not any(frame.events for frame in frames)


def test_who_wrote_which_is_known() -> None:
    store = Store({"box": {}})

    both(store, lambda b: b.update(a=1), lambda b: b.update(b=2))

    assert [(change.run, change.new) for change in store.history("box")] == [("run0", {"a": 1}), ("run1", {"a": 1, "b": 2})]


def test_same_item_taken_twice_is_told() -> None:
    store = Store({"box": ["job"]}, on_conflict="ignore")

    frames = both(store, lambda b: b.pop(), lambda b: b.pop())

    assert [kind for kind, _ in frames[1].events] == ["conflict"]


def test_two_new_lists_under_one_key_are_told() -> None:
    store = Store({"box": {}}, on_conflict="ignore")

    frames = both(store, lambda b: b.update(plan=["a"]), lambda b: b.update(plan=["b"]))

    assert [data["path"] for _, data in frames[1].events] == [("box", "plan")]
    assert store["box"] == {"plan": ["b"]}


def test_first_reader_that_ends_last_is_told_too() -> None:
    store = Store({"box": {"n": 0}}, on_conflict="ignore")
    first, second = at_once(store)
    with inside(first):
        mine = store["box"]
    with inside(second):
        store["box"]["n"] += 1
        settled(second)
    with inside(first):
        mine["n"] += 1
        settled(first)

    assert [kind for kind, _ in first.events] == ["conflict"]
    assert store["box"] is mine and store["box"] == {"n": 1}


def test_value_that_was_replaced_meanwhile_is_merged_with() -> None:
    store = Store({"box": {"a": 1}}, on_conflict="ignore")
    first, second = at_once(store)
    with inside(first):
        mine = store["box"]
    with inside(second):
        store["box"] = {"a": 1, "b": 2}
        settled(second)

    with inside(first):
        mine["c"] = 3
        settled(first)

    assert store["box"] == {"a": 1, "b": 2, "c": 3}


def test_rule_of_the_whole_key_is_asked_when_places_clash() -> None:
    store = Store({"box": ["old"]}, merge={"box": operator.add})

    both(store, lambda b: b.__setitem__(slice(None), ["one"]), lambda b: b.__setitem__(slice(None), ["two"]))

    assert store["box"] == ["one", "two"]


def test_contributions_are_added_up_by_a_nested_rule_however_late_they_read() -> None:
    store = Store({"box": {"n": 0}}, merge={"box.n": operator.add})
    frames = at_once(store, 4)

    for frame in frames:
        with inside(frame):
            store["box"]["n"] = 1
            settled(frame)

    assert store["box"]["n"] == 4


def test_update_while_another_works_on_the_value_loses_nothing() -> None:
    store = Store({"box": {"n": 0}}, on_conflict="ignore")
    first, second = at_once(store)
    with inside(first):
        mine = store["box"]
        mine["mine"] = 1
    with inside(second):
        store.update("box", lambda box: {**box, "n": box["n"] + 1})
        settled(second)
        assert "mine" not in store["box"]
    with inside(first):
        settled(first)

    assert store["box"] == {"n": 1, "mine": 1}


def test_steps_of_one_node_share_one_object() -> None:
    store = Store({"box": []})
    walk, step = Frame(Run("run", store), "node"), Frame(Run("run", store), "node")
    step.parent, step.step = walk, True  # type: ignore[attr-defined]
    with inside(walk):
        mine = store["box"]
    with inside(step):
        assert store["box"] is mine


def test_walk_that_was_entered_from_another_works_on_the_same_object() -> None:
    store = Store({"box": []})
    run = Run("run", store)
    outer = Frame(run, "outer")
    inner = Frame(run, "inner", outer)
    with inside(outer):
        mine = store["box"]
    with inside(inner):
        store["box"].append(1)
        settled(inner)

    assert mine == [1] and store["box"] is mine


def test_parts_that_cannot_be_copied_are_the_same_objects_for_all() -> None:
    client = object()
    store = Store({"box": {"client": client, "n": 0}})

    both(store, lambda b: b.update(x=b["client"]), lambda b: b.update(y=b["client"]))

    assert store["box"] == {"client": client, "n": 0, "x": client, "y": client}


@pytest.mark.timeout(10)
def test_branch_that_waits_for_another_sees_what_it_did() -> None:
    async def work(shared: Any) -> None:
        shared["state"]["seen"] = True
        await asyncio.sleep(0.05)
        shared["state"]["ready"] = True

    async def wait(shared: Any) -> None:
        while not shared["state"].get("ready"):
            await asyncio.sleep(0.005)

    start = node(lambda shared: None)
    start >> [node(work), node(wait)]

    run = Flow(start).launch({"state": {}}, show=False).wait(8)

    assert run.status == "done"


@pytest.mark.timeout(10)
def test_branch_that_waits_sees_what_one_still_at_work_has_done() -> None:
    async def wait(shared: Any) -> None:
        while not shared["state"].get("ready"):
            await asyncio.sleep(0.005)
        shared["state"]["answered"] = True

    async def work(shared: Any) -> None:
        shared["state"]["ready"] = True
        while not shared["state"].get("answered"):
            await asyncio.sleep(0.005)

    start = node(lambda shared: None)
    start >> [node(wait), node(work)]

    run = Flow(start).launch({"state": {}}, show=False).wait(8)

    assert run.status == "done", run.status


@pytest.mark.parametrize("how", ["run", "launch"])
@pytest.mark.parametrize("plain", [False, True])
def test_branches_that_add_one_are_told_in_every_way_to_run(how: str, plain: bool) -> None:
    gate = threading.Barrier(2, timeout=5)

    def blocking(shared: Any) -> None:
        box = shared["box"]
        number = box["n"]
        gate.wait()
        box["n"] = number + 1

    async def waiting(shared: Any) -> None:
        box = shared["box"]
        number = box["n"]
        await asyncio.sleep(0.02)
        box["n"] = number + 1

    start = node(lambda shared: None)
    start >> [node(blocking if plain else waiting) for _ in range(2)]
    store = Store({"box": {"n": 0}}, on_conflict="ignore")

    run = Flow(start).launch(store, show=False).wait(5) if how == "launch" else None
    if run is None:
        Flow(start).run(store)
        from pocketflex_nb import runs

        run = runs()[-1]

    assert [event.data["path"] for event in run.events if event.kind == "conflict"] == [("box", "n")]


def test_no_warning_where_nothing_was_lost() -> None:
    store = Store({"box": []})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both(store, lambda b: b.append(1), lambda b: len(b))

    assert store["box"] == [1]


def test_copy_that_grew_beyond_every_bound_still_arrives() -> None:
    store = Store({"box": [0]}, on_conflict="ignore")

    frames = both(store, lambda b: b.append(1), lambda b: b.extend(range(400_000)))

    assert len(store["box"]) >= 400_001
    assert [kind for kind, _ in frames[1].events] in ([], ["conflict"])


def test_many_that_read_one_value_at_once_cost_no_more_each() -> None:
    def cost(count: int) -> float:
        store = Store({"box": {"n": 1}})
        frames = at_once(store, count)
        begin = time.process_time()
        for frame in frames:
            with inside(frame):
                assert store["box"] == {"n": 1}
        for frame in frames:
            with inside(frame):
                settled(frame)
        return (time.process_time() - begin) / count

    few, many = min(cost(200) for _ in range(5)), min(cost(4_000) for _ in range(2))

    assert many < 5 * few


def test_store_keeps_nothing_of_nodes_that_have_ended() -> None:
    store = Store({"box": {"n": 1}})

    both(store, lambda b: None, lambda b: b.update(n=2), lambda b: None)

    state = store._states["box"]
    assert state.copies is None and not isinstance(state.tracked_by, Frame)
