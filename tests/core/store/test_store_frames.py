"""The Store inside of runs: nested changes, conflicts, merge rules, late writes."""

from __future__ import annotations

import gc
import itertools
import operator
import warnings
import weakref
from typing import Any

import pytest

from pocketflex_nb import Store
from pocketflex_nb.core.context import CURRENT_AGENT
from pocketflex_nb.core.errors import ConflictError
from pocketflex_nb.core.frozen.freezer import MISSING, Opaque
from pocketflex_nb.core.store.store import ConflictWarning
from tests.core.store.store_frames import Frame, Run, inside, settled


def one(store: Store, node: str = "n", run: str = "r") -> Frame:
    return Frame(Run(run, store), node)


def told(changes: Any) -> list[tuple[Any, ...]]:
    return [(change["key"], change["op"], change["old"], change["new"]) for change in changes]


def test_node_that_writes_nothing_has_no_changes():
    store = Store({"a": 1, "notes": []})
    frame = one(store)

    with inside(frame):
        assert store["a"] == 1 and store["notes"] == [] and store.get("none") is None

    assert list(settled(frame)) == []
    assert frame.page is None and frame.changes is None and frame.touched is None


def test_writes_and_nested_changes_of_a_node_come_in_order():
    store = Store({"n": 0, "notes": ["a"]})
    frame = one(store, "search", "night")
    frame.run.hops = 36

    with inside(frame):
        store["n"] = 1
        store["notes"].append("b")
        store["n"] = 2
        del store["n"]
    changes = settled(frame)

    assert told(changes) == [("n", "set", 0, 1), ("n", "set", 1, 2), ("n", "delete", 2, MISSING), ("notes", "set", ["a"], ["a", "b"])]
    assert [change["version"] for change in changes] == [1, 2, 3, 4]
    written = store.who("notes")
    assert (written.version, written.run, written.node, written.step) == (4, "night", "search", 37)


def test_a_thousand_writes_in_a_loop_are_told_as_one():
    store = Store({"n": 0, "m": 0})
    frame = one(store)

    with inside(frame):
        store["m"] = 1
        for number in range(10_000):
            store["n"] = number + 1

    changes = settled(frame)
    assert len(changes) < 1_100
    assert told(changes)[0] == ("m", "set", 0, 1)
    firsts = [change for change in changes if change["key"] == "n"]
    assert firsts[0]["old"] == 0 and firsts[-1]["new"] == 10_000


@pytest.mark.parametrize("take", [operator.itemgetter("notes"), lambda s: s.get("notes"), lambda s: s.setdefault("notes", [])])
def test_every_way_of_reading_one_key_sees_the_nested_change(take):
    store = Store({"notes": []})
    frame = one(store)

    with inside(frame):
        take(store).append("a")

    assert told(settled(frame)) == [("notes", "set", [], ["a"])]


def test_value_changed_after_it_was_written_is_seen():
    store = Store()
    frame = one(store)

    with inside(frame):
        notes: list[str] = []
        store["notes"] = notes
        notes.append("a")

    assert told(settled(frame)) == [("notes", "set", MISSING, []), ("notes", "set", [], ["a"])]


def test_change_in_each_visit_is_seen():
    store = Store({"notes": []})
    frame = one(store)

    seen = []
    for number in range(3):
        with inside(frame):
            store["notes"].append(number)
        seen.append(told(settled(frame)))

    assert seen == [
        [("notes", "set", [], [0])], [("notes", "set", [0], [0, 1])], [("notes", "set", [0, 1], [0, 1, 2])],
    ]


def test_snapshot_inside_a_node_holds_what_the_node_did_so_far():
    store = Store({"notes": []})
    frame = one(store)

    with inside(frame):
        store["notes"].append("a")
        snapshot = store.snapshot()
        store["notes"].append("b")

    assert snapshot["notes"] == ["a"]
    assert told(settled(frame)) == [("notes", "set", [], ["a"]), ("notes", "set", ["a"], ["a", "b"])]


def test_one_node_may_change_several_stores():
    store, other = Store({"a": []}), Store({"b": []})
    frame = one(store)

    with inside(frame):
        store["a"].append(1)
        other["b"].append(2)

    assert told(settled(frame)) == [("a", "set", [], [1]), ("b", "set", [], [2])]


def test_touched_key_that_was_deleted_meanwhile_is_left_alone():
    store = Store({"a": []})
    frame = one(store)

    with inside(frame):
        store["a"].append(1)
        del store["a"]

    assert [change["op"] for change in settled(frame)] == ["delete"]


def test_value_too_large_to_compare_may_have_changed():
    store = Store({"big": list(range(100_000))})
    frame = one(store)

    with inside(frame):
        store["big"].append(1)
    (change,) = settled(frame)

    assert change["op"] == "maybe" and isinstance(change["new"], Opaque)
    assert store.who("big").version == 0  # nobody knows who wrote, or whether


class Counted(list[Any]):
    """A list that counts how often it is looked through."""

    looked = 0

    def __iter__(self):
        Counted.looked += 1
        return super().__iter__()


def test_only_touched_keys_are_looked_at():
    store = Store({f"key {number}": Counted() for number in range(100)} | {"notes": []})
    frame = one(store)
    with inside(frame):
        store["notes"].append(1)
        store["n"] = 1
        before = Counted.looked

        settled(frame)

    assert Counted.looked == before


def test_changes_of_an_open_node_can_be_read_many_times_and_are_dicts():
    store = Store()
    frame = one(store)
    with inside(frame):
        store["a"] = 1

    changes = settled(frame)

    assert changes[0] == {"key": "a", "version": 1, "op": "set", "old": MISSING, "new": 1}
    assert changes == list(changes) and changes[-1:] == [changes[0]] and len(changes) == 1


# conflicts -----------------------------------------------------------------------------------------------------------
def frames(store: Store) -> dict[str, Frame]:
    """Two runs; in the first a nested walk and two branches, one of them with a nested walk."""
    first, second = Run("one", store), Run("two", store)
    main = Frame(first, "main")
    nested, left, right = Frame(first, "nested", main), Frame(first, "left", main), Frame(first, "right", main)
    return {
        "main": main, "nested": nested, "left": left, "right": right, "inner": Frame(first, "inner", left), "other": Frame(second, "other"),
        "nobody": None,  # type: ignore[dict-item]
    }


RELATED = {frozenset(pair) for pair in [("main", "nested"), ("main", "left"), ("main", "right"), ("main", "inner"), ("left", "inner")]}
NAMES = ["main", "nested", "left", "right", "inner", "other", "nobody"]


@pytest.mark.parametrize("began", ["before", "after"])
@pytest.mark.parametrize(("first", "second"), list(itertools.product(NAMES, NAMES)))
def test_lost_update_is_one_by_an_unrelated_walk_that_began_before(first, second, began):
    store = Store({"k": 0}, on_conflict="ignore")
    walks = frames(store)

    with inside(walks[first]):
        store["k"] = "first"
    if began == "after":
        for frame in walks.values():
            if frame is not None:
                frame.start_version = store.version
    with inside(walks[second]):
        store["k"] = "second"

    lost = began == "before" and first != second and frozenset((first, second)) not in RELATED and "nobody" not in (first, second)
    found = [kind for frame in walks.values() if frame is not None for kind, _ in frame.events]
    assert found == (["conflict"] if lost else [])
    assert store["k"] == "second"


def conflict(store: Store, *, mine: Any = "mine", theirs: Any = "theirs") -> Frame:
    """Two runs write one key, the second without having seen the first; the second's frame."""
    first, second = one(store, "search", "a"), one(store, "read", "b")
    with inside(first):
        store["k"] = theirs
    with inside(second):
        store["k"] = mine
    return second


def test_conflict_warns_and_names_both_nodes_and_runs():
    with pytest.warns(ConflictWarning, match="node 'read' of run 'b' overwrote 'k', which node 'search' of run 'a' had written"):
        frame = conflict(store := Store({"k": 0}))

    ((kind, data),) = frame.events
    assert kind == "conflict" and data["key"] == "k"
    assert (data["writer"], data["other"]) == ("node 'read' of run 'b'", "node 'search' of run 'a'")
    assert store["k"] == "mine"


def test_conflict_warns_once_for_each_pair_of_nodes_and_is_an_event_each_time():
    store = Store({"k": 0})

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = [conflict(store).events for _ in range(3)]

    assert len(seen) == 1 and all(len(events) == 1 for events in found)
    frames = __import__("tests.core.store.store_frames", fromlist=["x"]).__file__
    assert seen[0].filename == frames.replace("store_frames", "test_store_frames")


def test_conflict_can_be_refused():
    store = Store({"k": 0}, on_conflict="raise")

    with pytest.raises(ConflictError, match="was kept from overwriting") as caught:
        conflict(store)

    assert store["k"] == "theirs" and store.version == 1
    assert caught.value.key == "k" and "search" in caught.value.other


def test_conflict_can_be_ignored():
    frame = conflict(Store({"k": 0}, on_conflict="ignore"))

    assert [kind for kind, _ in frame.events] == ["conflict"]


def test_merge_rule_combines_concurrent_writes():
    store = Store({"k": ["base"]}, merge={"k": operator.add})

    frame = conflict(store, theirs=["theirs"], mine=["mine"])

    assert store["k"] == ["theirs", "mine"] and frame.events == []


def test_merge_rule_leaves_sequential_writes_alone():
    store = Store({"k": ["base"]}, merge={"k": operator.add})
    first, second = one(store, "a"), one(store, "b")

    with inside(first):
        store["k"] = ["first"]
    second.start_version = store.version
    with inside(second):
        store["k"] = ["second"]

    assert store["k"] == ["second"]


def test_merge_rule_of_three_gets_what_stood_there_before():
    store = Store({"k": 5}, merge={"k": lambda base, theirs, mine: theirs + mine - base})

    conflict(store, theirs=6, mine=6)

    assert store["k"] == 7


def test_merge_rule_of_three_gets_none_for_a_new_key():
    seen = []
    store = Store(merge={"k": lambda base, theirs, mine: seen.append((base, theirs, mine)) or mine})

    conflict(store, theirs=1, mine=2)

    assert seen == [(None, 1, 2)]


def test_merge_rule_that_raises_tells_the_key_and_writes_nothing():
    store = Store({"k": 0}, merge={"k": operator.add})

    with pytest.raises(TypeError) as caught:
        conflict(store, theirs="text", mine=1)

    assert "merge rule of store key 'k'" in caught.value.__notes__[0]
    assert store["k"] == "text"


def test_merge_is_exact_for_many_branches():
    store = Store({"notes": []}, merge={"notes": operator.add})
    walks = [one(store, f"branch {number}") for number in range(100)]

    for number, walk in enumerate(walks):
        with inside(walk):
            store["notes"] = [number]

    assert store["notes"] == list(range(100))


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.update(k=1), lambda store: store.update({"k": 1}), lambda store: store.__ior__({"k": 1}),
        lambda store: store.__delitem__("k"), lambda store: store.clear(), lambda store: store.__setitem__("k", [1]),
    ],
)
def test_every_way_of_overwriting_is_watched(write):
    store = Store({"k": 0}, on_conflict="raise")
    first, second = one(store, "a"), one(store, "b")
    with inside(first):
        store["k"] = "theirs"

    with inside(second), pytest.raises(ConflictError):
        write(store)

    assert store["k"] == "theirs"


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.increment("k"), lambda store: store.update("k", lambda k: k + 1), lambda store: store.cas("k", 1, 2),
        lambda store: store.pop("k"), lambda store: store.popitem(), lambda store: store.setdefault("k", 3),
    ],
)
def test_atomic_operations_lose_nothing_and_never_conflict(write):
    store = Store({"k": 0}, on_conflict="raise")
    first, second = one(store, "a"), one(store, "b")
    with inside(first):
        store["k"] = 1

    with inside(second):
        write(store)

    assert second.events == []


def test_key_deleted_meanwhile_is_a_conflict_too():
    store = Store({"k": 0}, on_conflict="raise")
    first, second = one(store, "a"), one(store, "b")
    with inside(first):
        del store["k"]

    with inside(second), pytest.raises(ConflictError):
        store["k"] = 1


def test_overwriting_what_another_changed_inside_is_a_conflict():
    store = Store({"k": []}, on_conflict="raise")
    first, second = one(store, "a"), one(store, "b")
    with inside(first):
        store["k"].append(1)
    settled(first)

    with inside(second), pytest.raises(ConflictError):
        store["k"] = []


def test_run_over_another_store_is_not_judged_by_its_own_versions():
    store, own = Store({"k": 0}, on_conflict="raise"), Store()
    first, second = one(store, "a"), one(own, "b")
    with inside(first):
        store["k"] = 1

    with inside(second):
        store["k"] = 2

    assert store["k"] == 2


# late writes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.__setitem__("k", 1), lambda store: store.__setitem__("new", []), lambda store: store.__delitem__("k"),
        lambda store: store.pop("k"), lambda store: store.update({"k": 1}), lambda store: store.update("k", lambda k: 1),
        lambda store: store.increment("k"), lambda store: store.insert_new("new", 1), lambda store: store.cas("k", 0, 1),
        lambda store: store.setdefault("new", 1), lambda store: store.clear(), lambda store: store.popitem(),
    ],
)
@pytest.mark.parametrize("where", ["own", "above"])
def test_late_write_of_an_abandoned_step_is_dropped(write, where):
    store = Store({"k": 0})
    step = one(store)
    frame = step if where == "own" else Frame(step.run, "inner", step)
    step.fenced = True

    with inside(frame):
        write(store)
        write(store)

    assert store == {"k": 0} and store.version == 0
    assert [kind for kind, _ in frame.events] == ["abandoned"]


def test_late_nested_change_is_not_recorded():
    store = Store({"notes": []})
    frame = one(store)
    with inside(frame):
        store["notes"].append(1)
        frame.fenced = True

    assert list(settled(frame)) == []
    assert store.version == 0


def test_late_write_of_an_agent_that_was_given_up_is_dropped():
    class Life:
        fenced = True

    store = Store({"k": 0})
    token = CURRENT_AGENT.set(Life())
    try:
        store["k"] = 1
        with inside(one(store)):
            store["k"] = 2
    finally:
        CURRENT_AGENT.reset(token)

    assert store == {"k": 0}


def test_store_lets_go_of_runs_that_are_over():
    store = Store({"n": 0})
    first = one(store, "search", "old run")
    run = weakref.ref(first.run)
    with inside(first):
        store["n"] = 1
    settled(first)
    del first

    for number in range(600):
        frame = one(store, f"node {number}", f"run {number}")
        with inside(frame):
            store.increment("m")
        settled(frame)
    del frame
    gc.collect()

    assert run() is None
    assert store.who("n").run == "old run"
