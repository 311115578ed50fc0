"""The Store as a dict, its atomic operations, and its past."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import random
import string
import threading
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pocketflex_nb import Store
from pocketflex_nb.core.errors import StoreError
from pocketflex_nb.core.frozen.freezer import MISSING, Opaque, thaw
from pocketflex_nb.core.store.store import as_store

keys = st.sampled_from(["a", "b", "c", 1, (1, 2), None])
values = st.one_of(
    st.none(), st.integers(-3, 3), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.lists(st.integers(), max_size=2), max_size=2), st.text("xy", min_size=2_048, max_size=2_060),
)


class StoreBesideDict(RuleBasedStateMachine):
    """Every operation on a store and on a dict: same results, same order, and every version remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.model: dict[Any, Any] = {}
        self.past: dict[int, dict[Any, Any]] = {}

    @initialize(content=st.dictionaries(keys, values))
    def begin(self, content):
        self.store, self.model = Store(copy.deepcopy(content)), copy.deepcopy(content)

    def both(self, act):
        results = []
        for mapping in (self.store, self.model):
            try:
                results.append(act(mapping))
            except (KeyError, TypeError) as exc:
                results.append((type(exc), exc.args))
        assert results[0] == results[1]

    @rule(key=keys, value=values)
    def write(self, key, value):
        self.both(lambda mapping: mapping.__setitem__(key, copy.deepcopy(value)))

    @rule(key=keys)
    def read(self, key):
        self.both(lambda mapping: mapping[key])

    @rule(key=keys, value=values)
    def read_or_default(self, key, value):
        self.both(lambda mapping: (mapping.get(key), mapping.get(key, value), key in mapping))

    @rule(key=keys)
    def delete(self, key):
        self.both(lambda mapping: mapping.__delitem__(key))

    @rule(key=keys, value=values)
    def pop(self, key, value):
        self.both(lambda mapping: (mapping.pop(key, value), mapping.pop(key, None)))

    @rule(key=keys)
    def pop_strictly(self, key):
        self.both(lambda mapping: mapping.pop(key))

    @rule()
    def popitem(self):
        self.both(lambda mapping: mapping.popitem())

    @rule(key=keys, value=values)
    def setdefault(self, key, value):
        self.both(lambda mapping: mapping.setdefault(key, copy.deepcopy(value)))

    @rule(content=st.dictionaries(keys, values))
    def update(self, content):
        self.both(lambda mapping: mapping.update(copy.deepcopy(content)))

    @rule(value=values)
    def update_by_keywords_and_pairs(self, value):
        self.both(lambda mapping: mapping.update([("a", copy.deepcopy(value))], b=1))

    @rule(content=st.dictionaries(keys, values))
    def update_in_place(self, content):
        self.both(lambda mapping: operator.ior(mapping, copy.deepcopy(content)) is mapping)

    @rule()
    def clear(self):
        self.both(lambda mapping: mapping.clear())

    @rule(key=keys, value=st.integers())
    def mutate_inside(self, key, value):
        def act(mapping):
            inner = mapping.get(key)
            if isinstance(inner, list):
                inner.append(value)
            elif isinstance(inner, dict):
                inner["new"] = [value]

        self.both(act)

    @rule(key=keys)
    def mutate_deeply(self, key):
        def act(mapping):
            inner = mapping.get(key)
            if isinstance(inner, dict) and isinstance(inner.get("new"), list):
                inner["new"].append(7)

        self.both(act)

    @rule(content=st.dictionaries(keys, values))
    def join(self, content):
        self.both(lambda mapping: (mapping | content, content | mapping))

    @rule()
    def copies(self):
        self.both(lambda mapping: (mapping.copy(), copy.copy(mapping), copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))))

    @invariant()
    def same_content_in_the_same_order(self):
        assert self.store == self.model and self.model == self.store
        assert list(self.store) == list(self.model) and list(reversed(self.store)) == list(reversed(self.model))
        assert len(self.store) == len(self.model) and bool(self.store) == bool(self.model)
        assert list(self.store.items()) == list(self.model.items())

    @invariant()
    def every_version_is_remembered(self):
        snapshot = self.store.snapshot()
        assert snapshot.thaw() == self.model and list(snapshot) == list(self.model)
        self.past[self.store.version] = copy.deepcopy(self.model)
        for version, content in self.past.items():
            assert self.store.at(version) == content


StoreBesideDict.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_store_does_all_that_a_dict_does = StoreBesideDict.TestCase


def test_store_is_a_dict_for_others():
    store = Store({"topic": "sun", "notes": ["a"]})

    assert isinstance(store, dict)
    assert json.loads(json.dumps(store)) == {"topic": "sun", "notes": ["a"]}
    assert {**store} == dict(store) == store
    assert "{topic}".format(**store) == "sun"
    with pytest.raises(TypeError, match="unhashable"):
        hash(store)


def test_missing_key_is_a_keyerror_of_that_key():
    with pytest.raises(KeyError) as caught:
        Store()["nothing"]

    assert caught.value.args == ("nothing",)
    assert caught.value.__suppress_context__


def test_subclass_may_answer_for_missing_keys():
    class Zeros(Store):
        def __missing__(self, key):
            return 0

    assert Zeros()["anything"] == 0


def test_fromkeys_makes_a_store():
    store = Store.fromkeys("ab", 0)

    assert store == {"a": 0, "b": 0} and isinstance(store, Store)


def test_keys_are_not_given_as_keywords():
    with pytest.raises(TypeError, match=r"no option 'topic'.*Store\(\{'topic': \.\.\.\}\)"):
        Store(topic="sun")
    with pytest.raises(TypeError, match="did you mean 'on_conflict'"):
        Store({}, on_conflct="raise")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"on_conflict": "shout"}, ValueError, "'warn', 'raise' or 'ignore'"), ({"history": 0}, ValueError, "1 or more"),
        ({"merge": {"a": 3}}, TypeError, "a rule is a function"), ({"merge": [operator.add]}, TypeError, "a mapping of key to rule"),
    ],
)
def test_bad_options_are_refused_with_the_mend(options, error, text):
    with pytest.raises(error, match=text):
        Store({}, **options)


def test_repr_is_short_and_stable():
    store = Store({"api_key": "sk-secret", "notes": list(range(1_000))} | dict.fromkeys(string.ascii_letters))

    assert repr(store) == "<Store at version 0: 'api_key', 'notes', 'a', 'b', 'c', 'd', 'e', 'f', 46 more>"
    assert repr(Store()) == "<Store at version 0: empty>"
    assert store._ipython_key_completions_()[:2] == ["api_key", "notes"]


def test_versions_count_changes_and_tell_who_wrote():
    store = Store({"a": 1})

    store["b"] = 2
    store["a"] = 3
    del store["b"]

    assert store.version == 3
    assert store.who("a").version == 2
    assert (store.who("a").run, store.who("a").node, store.who("a").step) == ("", "", 0)
    assert [(change.key, change.op, change.old, change.new) for change in store.history()] == [
        ("b", "set", MISSING, 2), ("a", "set", 1, 3), ("b", "delete", 2, MISSING),
    ]
    assert [change.version for change in store.history("b")] == [1, 3]
    with pytest.raises(KeyError):
        store.who("b")


def test_update_with_a_function_is_atomic_and_gives_the_new_value():
    store = Store({"n": 1})

    assert store.update("n", lambda n: n + 1) == 2
    assert store.update("list", lambda known: (known or []) + [1]) == [1]
    assert store.update("m", lambda m: m + 1, default=10) == 11
    assert store == {"n": 2, "list": [1], "m": 11}


def test_update_finds_what_its_function_changed_in_place():
    store = Store({"notes": []})

    store.update("notes", lambda notes: notes.append("a") or notes)

    assert store.history("notes")[-1].new == ["a"]


def test_update_of_what_is_no_function_names_the_mend():
    with pytest.raises(TypeError, match="a key and a function"):
        Store().update("n", 3)


def test_update_with_an_async_function_is_refused():
    async def later(value):
        return value

    with pytest.raises(TypeError, match="async"):
        Store().update("n", later)


def test_function_that_raises_leaves_the_store_as_it_was():
    store = Store({"n": 1})

    with pytest.raises(ZeroDivisionError):
        store.update("n", lambda n: n / 0)
    store["n"] = 2

    assert store == {"n": 2} and store.version == 1


def test_increment_counts_from_zero_and_goes_back_beyond_its_limit():
    store = Store()

    assert [store.increment("n", 2, limit=5, reset=0) for _ in range(4)] == [2, 4, 0, 2]
    assert store.increment("n", -3, limit=0, reset=9) == 9
    assert store.increment("up", 7, limit=5) == 5
    assert store.increment("x", 0.5) == 0.5


def test_increment_of_what_is_no_number_says_so():
    with pytest.raises(TypeError, match=r"increment\('a', 1\): the value is \['x'\], not a number"):
        Store({"a": ["x"]}).increment("a")


def test_insert_new_and_cas_write_only_when_they_may():
    store = Store({"a": 1})

    assert (store.insert_new("a", 2), store.insert_new("b", 2)) == (False, True)
    assert store.insert_new(key="c", value=0)
    assert store.cas("c", old=0, new=1)
    assert store.pop("c") == 1
    assert (store.cas("a", 2, 3), store.cas("a", 1, 3), store.cas("none", None, 1)) == (False, True, False)
    assert store == {"a": 3, "b": 2}


def together(count: int, act: Any) -> None:
    """Run `act(number)` in so many threads at once."""
    start = threading.Barrier(count)
    failures: list[BaseException] = []

    def body(number: int) -> None:
        start.wait()
        try:
            act(number)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_hundred_threads_increment_exactly():
    store = Store()

    together(100, lambda number: [store.increment("n") for _ in range(50)])

    assert store["n"] == 5_000 and store.version == 5_000


def test_update_and_cas_lose_nothing_between_threads():
    store = Store({"log": (), "n": 0})

    def act(number):
        for turn in range(20):
            store.update("log", lambda log, entry=(number, turn): (*log, entry))
            while not store.cas("n", seen := store["n"], seen + 1):
                pass
            store[f"own {number}"] = turn

    together(16, act)

    assert len(set(store["log"])) == 320 and store["n"] == 320
    assert [change.version for change in store.history()] == list(range(1, store.version + 1))


def test_plain_writes_of_many_threads_keep_dict_and_past_together():
    store = Store({"k": 0})

    together(8, lambda number: [store.__setitem__(random.choice("klm"), (number, turn)) for turn in range(300)])

    last = {change.key: change.new for change in store.history()}
    assert last == dict(store) == store.at(store.version)
    assert store.version == 2_400


def test_at_gives_independent_copies():
    store = Store({"notes": ["a"]})

    store.at(0)["notes"].append("b")

    assert store == {"notes": ["a"]}


def test_version_that_never_was_is_refused():
    for version in (5, -1, "x"):
        with pytest.raises(StoreError, match="a number from 0 to 0"):
            Store().at(version)


def test_oldest_changes_are_dropped_and_said_to_be():
    store = Store({"n": -1}, history=100)

    for number in range(1_000):
        store["n"] = number

    assert len(store.history()) == 100
    assert store.at(901) == {"n": 900}
    with pytest.raises(StoreError, match=r"version 17 is no longer kept, the history begins at 900; .*history="):
        store.at(17)


def test_nested_change_outside_of_runs_is_found_when_asked():
    store = Store({"notes": [{"title": "a"}]})

    before = store.snapshot()
    store["notes"][0]["title"] = "b"
    store["notes"].append("c")

    assert [(found.where, found.op) for found in store.diff(before)] == [("notes[0].title", "changed"), ("notes[1]", "added")]
    assert store.version == 1
    assert store.at(0) == {"notes": [{"title": "a"}]}


def test_diff_takes_versions_and_snapshots_in_any_order():
    store = Store({"a": 1, "b": [1]})
    first = store.snapshot()
    store["b"].append(2)
    second = store.snapshot()
    del store["a"]
    store["c"] = 0

    def told(found):
        return [(difference.where, difference.op) for difference in found]

    assert told(store.diff(0, 1)) == told(store.diff(first, second)) == told(first.diff(second)) == [("b[1]", "added")]
    assert told(store.diff(second)) == told(store.diff(1)) == [("a", "removed"), ("c", "added")]
    assert told(store.diff(store.version, 0)) == [("b[1]", "removed"), ("a", "added"), ("c", "removed")]
    assert store.diff(2, 2) == []
    assert store.diff(0, first) == []


def test_snapshot_is_a_mapping_of_what_was():
    store = Store({"a": [1], "b": 2})
    snapshot = store.snapshot()

    store["a"].append(2)
    store["z"] = 1

    assert snapshot["a"] == [1] and dict(snapshot) == {"a": [1], "b": 2}
    assert snapshot.version == 0 and snapshot.version_of("a") == 0 and len(snapshot) == 2
    assert repr(snapshot) == "<Snapshot of 2 keys at version 0>"
    with pytest.raises(KeyError):
        snapshot["z"]


def test_snapshots_share_all_but_what_changed():
    store = Store({f"key {number}": [number] for number in range(2_000)})
    first = store.snapshot()

    store["key 7"] = "new"
    second = store.snapshot()

    assert sum(first[key] is not second[key] for key in first) == 1
    assert second._versions.differing(first._versions) == ["key 7"]


def test_transient_values_are_kept_out_of_the_past():
    class Client:
        def __deepcopy__(self, memo):
            raise TypeError("a connection cannot be copied")

        def __repr__(self):
            raise RuntimeError("never shown")

    client = Client()
    store = Store({"client": client, "n": 1}, transient={"client"})

    store["client"] = 5
    store["client"] = client

    assert store["client"] is client
    assert all(isinstance(change.new, Opaque) for change in store.history("client"))
    assert repr(store.snapshot()["client"]) == "<Client, transient>"
    assert store.at(store.version)["client"] is client
    assert copy.deepcopy(store)["client"] is client
    assert pickle.loads(pickle.dumps(store)) == {"n": 1}


def test_options_survive_copies():
    store = Store({"a": 1}, on_conflict="raise", merge={"a": operator.add}, transient="t", history=7)

    for twin in (store.copy(), copy.deepcopy(store), pickle.loads(pickle.dumps(store)), store | {"b": 2}):
        assert isinstance(twin, Store)
        assert twin._options() == store._options()
    assert type({} | store) is dict


def test_deep_copy_of_a_store_that_holds_itself():
    store = Store({"a": [1]})
    store["me"] = store

    twin = copy.deepcopy(store)

    assert twin["me"] is twin and twin["a"] is not store["a"]


def test_as_store_copies_the_top_level_only():
    shared = {"notes": []}

    store = as_store(shared)

    assert store == shared and store["notes"] is shared["notes"]
    assert as_store(store) is store
    store["new"] = 1
    assert "new" not in shared


@pytest.mark.parametrize("wrong", [None, [1], "text", 3])
def test_as_store_of_no_mapping_names_the_mend(wrong):
    with pytest.raises(TypeError, match=r"must be a mapping.*run\(\), which takes any object"):
        as_store(wrong)


def test_value_too_large_to_copy_is_marked_and_still_there():
    store = Store({"big": 0})

    store["big"] = list(range(1_000_000))

    assert repr(store.history("big")[-1].new) == "<list of 1000000, too large to compare>"
    assert len(store.at(store.version)["big"]) == 1_000_000
    assert store.at(0) == {"big": 0}


def test_frozen_values_may_be_stored_again():
    store = Store({"notes": ["a"]})
    store["notes"].append("b")

    store["old"] = store.history("notes")[0].old

    assert store["old"] == ["a"] and thaw(store.snapshot()["old"]) == ["a"]


def test_a_value_whose_own_methods_raise_is_kept_and_its_changes_are_called_maybe() -> None:
    class Shy(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            raise ValueError("nobody counts me")

        def __iter__(self) -> Any:
            raise ValueError("nobody goes along me")

    shy = Shy()
    store = Store({"shy": shy})

    store["again"] = shy
    assert store["shy"] is store["again"] is shy
    assert store.history("again")[0].op == "set"
    assert set(store.snapshot()) == {"shy", "again"}
