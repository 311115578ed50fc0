"""The contract of a store, for every kind of place: what a core `Store` promises, promised to all who share it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pocketflex_nb.core.errors import EncodingError, LockLost, NotLoaded, StoreError
from pocketflex_nb.core.frozen.freezer import MISSING, thaw
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.resources.stores.change_feed import SharedWatch
from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.stores.provenance import kernel_name
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


@dataclass
class Note:
    text: str
    tags: list[str] = field(default_factory=list)


# a mapping -----------------------------------------------------------------------------------------------------------
def test_it_is_a_dict_to_whoever_reads_it(pair: Pair) -> None:
    mine, yours = pair
    mine.update({"a": 1, "b": [1, 2], "c": Note("x")})

    assert isinstance(yours, (dict, Store))
    assert dict(yours) == {"a": 1, "b": [1, 2], "c": Note("x")} == {**yours}
    assert yours == mine == {"a": 1, "b": [1, 2], "c": Note("x")}
    assert (sorted(yours), len(yours), "a" in yours, "z" in yours, yours.get("z", 5)) == (["a", "b", "c"], 3, True, False, 5)
    del mine["c"]
    assert json.loads(json.dumps(yours)) == {"a": 1, "b": [1, 2]}
    assert sorted(yours.items()) == [("a", 1), ("b", [1, 2])]
    assert sorted(yours.keys()) == ["a", "b"]
    with pytest.raises(KeyError, match="c"):
        yours["c"]


def test_it_loses_what_is_taken_out(pair: Pair) -> None:
    mine, yours = pair
    mine.update({"a": 1, "b": 2, "c": 3})

    assert yours.pop("a") == 1
    assert yours.pop("a", None) is None
    assert mine.setdefault("d", 4) == 4
    assert yours.setdefault("d", 5) == 4
    key, _ = yours.popitem()
    assert key not in mine
    yours.clear()
    assert dict(mine) == {}
    with pytest.raises(KeyError):
        del mine["a"]
    with pytest.raises(KeyError):
        mine.popitem()


def test_a_value_that_was_set_is_the_same_object_here_and_an_equal_one_there(pair: Pair) -> None:
    mine, yours = pair
    note = Note("sun", ["bright"])

    mine["note"] = note

    assert mine["note"] is note
    assert yours["note"] == note
    assert yours["note"] is not note


def test_what_is_kept_outlives_who_kept_it(url: str) -> None:
    with open_store(url) as store:
        store["a"] = (1, {2})
        version = store.version

    with open_store(url) as again:
        assert (again["a"], again.version) == ((1, {2}), version)


def test_keys_that_are_equal_are_one_key(pair: Pair) -> None:
    mine, yours = pair

    mine[1] = "one"
    yours[True] = "still one"
    mine[1, "x"] = "pair"

    assert dict(mine) == {1: "still one", (1, "x"): "pair"}
    assert yours[1.0] == "still one"


@pytest.mark.parametrize("key", [
    "", "k" * 900, "ключ\x00", "\ud800", ("a", 1), None, float("inf"), "$", b"\xff", "'; DROP TABLE x; --", frozenset({1}), "%s",
], ids=ascii)
def test_unusual_keys_and_texts_come_back_as_they_were(pair: Pair, key: Any) -> None:
    mine, yours = pair
    mine[key] = [key, "\x00\ud800é%s"]

    assert yours[key] == [key, "\x00\ud800é%s"]
    assert yours.increment(("n", key)) == mine[("n", key)] == 1
    assert list(yours) == [key, ("n", key)]


def test_a_key_that_nobody_would_find_again_is_refused(pair: Pair) -> None:
    with pytest.raises(EncodingError, match="nan"):
        pair[0][float("nan")] = 1


def test_a_value_of_megabytes_arrives_whole_and_goes(pair: Pair) -> None:
    mine, yours = pair
    mine["big"] = text = "ä" * 3_000_000
    assert yours["big"] == text
    yours["big"] = 1

    assert mine["big"] == 1


def test_two_stores_of_other_names_know_nothing_of_each_other(url: str) -> None:
    other = f"{url}2"
    with open_store(url) as one, open_store(other) as two:
        one["a"] = 1

        assert "a" not in two
        assert two.version == 0


# as a core store does ------------------------------------------------------------------------------------------------
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 2**60, Fraction(1, 3)])
some_key = st.sampled_from(["a", "b"])
verbs = st.one_of(
    st.tuples(st.just("__setitem__"), some_key, numbers), st.tuples(st.just("get"), some_key),
    st.tuples(st.just("pop"), some_key, st.none()),
    st.tuples(st.just("increment"), some_key, numbers, st.none() | st.integers(-2, 4), st.none() | st.integers(0, 1)),
    st.tuples(st.just("insert_new"), some_key, numbers), st.tuples(st.just("cas"), some_key, numbers, numbers),
    st.tuples(st.just("update"), some_key, st.just(lambda value: (value or 0) * 2)), st.tuples(st.just("setdefault"), some_key, numbers),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=[("__setitem__", "b", 2**60), ("increment", "b", 0, None, None)])
@given(steps=st.lists(verbs, max_size=12))
def test_every_sequence_of_verbs_gives_what_it_gives_on_a_core_store(pair: Pair, steps: list[Any]) -> None:
    mine, yours = pair
    mine.clear()
    core, begin = Store(), mine.version

    for turn, (verb, *arguments) in enumerate(steps):
        told = getattr(pair[turn % 2], verb)(*arguments)

        assert told == getattr(core, verb)(*arguments)
    assert dict(mine) == dict(yours) == dict(core)
    assert yours.version - begin == core.version
    assert [(c.key, c.version - begin, c.op) for c in mine.history() if c.version > begin] == [
        (c.key, c.version, c.op) for c in core.history()
    ]
    assert [(d.path, d.op, thaw(d.new)) for d in yours.diff(begin)] == [(d.path, d.op, thaw(d.new)) for d in core.diff(0)]


@pytest.mark.parametrize(("first", "n", "limit", "reset", "then"), [
    (None, 1, None, None, 1), (8, 5, 10, None, 10), (8, 5, 10, 0, 0), (2, -5, 0, None, 0), (2, -1, 0, 9, 1), (0.5, 1, None, None, 1.5),
    (2**53, 1, None, None, 2**53 + 1), (2**70, 1, None, None, 2**70 + 1), (1, Fraction(1, 2), None, None, Fraction(3, 2)),
    (3, 1, 3.5, 1.5, 1.5), (True, 1, None, None, 2), (-(2**53), -1, None, None, -(2**53) - 1),
])
def test_increment_adds_as_python_adds(pair: Pair, first: Any, n: Any, limit: Any, reset: Any, then: Any) -> None:
    mine, yours = pair
    if first is not None:
        mine["n"] = first

    told = yours.increment("n", n, limit, reset)

    assert (told, type(told), mine["n"]) == (then, type(then), then)


def test_increment_of_what_is_no_number_says_so(pair: Pair) -> None:
    pair[0]["n"] = "text"

    with pytest.raises(TypeError, match=r"increment.'n', 1.: the value is 'text', not a number"):
        pair[1].increment("n")


def test_not_a_number_stays_what_it_is(pair: Pair) -> None:
    pair[0]["n"] = math.nan

    assert math.isnan(pair[1].increment("n"))


def test_what_cannot_be_written_is_refused_at_the_write_with_its_path(pair: Pair) -> None:
    mine, yours = pair
    mine["plan"] = {"steps": [1]}

    with pytest.raises(EncodingError, match=r"plan\.steps\[1\] cannot be kept"):
        mine["plan"] = {"steps": [1, threading.Lock()]}
    with pytest.raises(EncodingError, match=r"plan cannot be kept"):
        mine.update("plan", lambda _: threading.Lock())
    assert yours["plan"] == mine["plan"] == {"steps": [1]}


def test_transient_keys_stay_in_this_process(opened: Callable[..., SharedStore]) -> None:
    mine, yours = opened(transient={"client"}), opened()
    client = threading.Lock()

    mine["client"] = client

    assert mine["client"] is client
    assert "client" in mine
    assert "client" not in yours
    assert mine.pop("client") is client
    assert "client" not in mine


# at once -------------------------------------------------------------------------------------------------------------
def at_once(opened: Callable[..., SharedStore], count: int, work: Callable[[SharedStore, int], Any]) -> list[Any]:
    """What `work` gives in so many threads, each with a store of its own, all begun together."""
    stores = [opened() for _ in range(count)]
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait(30)
        return work(stores[number], number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_updates_at_once_all_count(opened: Callable[..., SharedStore]) -> None:
    def work(store: SharedStore, number: int) -> None:
        for turn in range(20):
            store.update("notes", lambda notes: [*(notes or []), (number, turn)])  # noqa: B023  # called at once
            store.increment("n")

    at_once(opened, 4, work)

    notes = opened()["notes"]
    assert sorted(notes) == [(number, turn) for number in range(4) for turn in range(20)]
    assert [turn for number, turn in notes if number == 2] == list(range(20))
    assert opened()["n"] == 80


def test_only_one_inserts_and_only_one_swaps(opened: Callable[..., SharedStore]) -> None:
    inserted = at_once(opened, 4, lambda store, number: store.insert_new("leader", number))
    leader = opened()["leader"]
    swapped = at_once(opened, 4, lambda store, number: store.cas("leader", leader, 10 + number))

    assert inserted.count(True) == swapped.count(True) == 1
    assert inserted.index(True) == leader
    assert opened()["leader"] == 10 + swapped.index(True)


def test_a_function_that_is_called_again_never_sees_its_own_change(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = ["a"]
    seen = []

    def add(notes: list[str]) -> list[str]:
        seen.append(list(notes))
        if len(seen) == 1:
            yours["notes"] = ["b"]  # somebody is quicker
        notes.append("mine")
        return notes

    assert mine.update("notes", add) == ["b", "mine"]
    assert seen == [["a"], ["b"]]
    assert yours["notes"] == ["b", "mine"]


# the past ------------------------------------------------------------------------------------------------------------
def test_history_names_the_kernel_and_what_was_before(pair: Pair) -> None:
    mine, yours = pair
    mine["a"] = [1]
    yours["a"] = [1, 2]
    del mine["a"]

    told = [(c.version, c.op, thaw(c.old), thaw(c.new), c.kernel) for c in yours.history("a")]

    me = kernel_name()
    assert told == [(1, "set", MISSING, [1], me), (2, "set", [1], [1, 2], me), (3, "delete", [1, 2], MISSING, me)]
    mine["b"] = 1
    assert (yours.who("b").version, yours.who("b").kernel, yours.who("b").run) == (4, me, "")
    with pytest.raises(KeyError):
        yours.who("a")


def test_who_opens_late_knows_the_past(opened: Callable[..., SharedStore]) -> None:
    mine = opened()
    for number in range(5):
        mine["n"] = number
    mine["other"] = {"deep": [1]}
    mine["other"] = {"deep": [1, 2]}

    late = opened()

    assert [thaw(c.new) for c in late.history("n")] == [0, 1, 2, 3, 4]
    assert late.at(3) == {"n": 2}
    assert late.at(6) == {"n": 4, "other": {"deep": [1]}}
    assert [(d.where, d.op, d.new) for d in late.diff(6)] == [("other.deep[1]", "added", 2)]


def test_snapshots_stay_and_are_compared(pair: Pair) -> None:
    mine, yours = pair
    mine.update({"a": 1, "b": [1]})
    before = yours.snapshot()

    mine["b"] = [1, 2]
    after = yours.snapshot()

    assert before.thaw() == {"a": 1, "b": [1]}
    assert after.version_of("b") == 3
    assert [(d.where, d.op) for d in before.diff(after)] == [("b[1]", "added")]
    assert [(d.where, d.op) for d in yours.diff(before)] == [("b[1]", "added")]


def test_a_past_that_is_no_longer_kept_is_said_to_be_so(opened: Callable[..., SharedStore]) -> None:
    store = opened(history=10)
    for number in range(30):
        store["n"] = number

    with pytest.raises(StoreError, match=r"version 3 is no longer kept, .*history="):
        store.at(3)
    assert store.at(25) == {"n": 24}


def test_who_was_away_for_longer_than_the_past_is_kept_sees_the_present(opened: Callable[..., SharedStore]) -> None:
    away, busy = opened(history=10), opened(history=10)
    away["kept"] = 1
    for number in range(700):  # trimmed in steps of some hundred
        busy["n"] = number
    del busy["kept"]

    assert dict(away) == {"n": 699}
    assert away.version == 702
    away["n"] = 0
    assert busy["n"] == 0


def test_a_class_that_is_not_loaded_here_is_told_with_its_key_and_shown_as_it_is(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, yours = pair
    mine.update({"note": Note("x"), "n": 1})
    monkeypatch.delitem(globals(), "Note")

    with pytest.raises(NotLoaded, match="no class Note") as caught:
        yours["note"]

    assert "'note'" in caught.value.__notes__[0]
    assert yours["n"] == 1
    assert "class is not loaded here" in repr(dict(yours.items())["note"])
    monkeypatch.undo()
    assert yours["note"] == Note("x"), "it is loaded now"


# locks ---------------------------------------------------------------------------------------------------------------
def test_one_holds_the_lock_and_others_wait_for_it(opened: Callable[..., SharedStore]) -> None:
    opened()["n"] = 0

    def work(store: SharedStore, number: int) -> list[int]:
        tokens = []
        for _ in range(5):
            with store.lock("n", timeout=60) as lock:
                tokens.append(lock.token)
                store["n"] = store["n"] + 1  # read, then write: exact only under the lock
        return tokens

    tokens = at_once(opened, 3, work)

    assert opened()["n"] == 15
    assert all(sorted(mine) == mine for mine in tokens)
    assert sorted(token for mine in tokens for token in mine) == list(range(1, 16))


def test_waiting_for_a_lock_ends_with_the_time_given(pair: Pair) -> None:
    mine, yours = pair

    with mine.lock("k") as lock:
        assert yours.lock("k").is_held
        with pytest.raises(TimeoutError, match=r"lock.'k'. of .* was not free within 0.05 s"), yours.lock("k", timeout=0.05):
            pass
        with pytest.raises(StoreError, match="would wait for itself"), mine.lock("k"):
            pass
        assert lock.is_held
    assert not lock.is_held


def test_a_lease_that_ends_lets_others_in_and_refuses_the_late_write(pair: Pair) -> None:
    mine, yours = pair
    mine["n"] = "before"

    def work_late() -> None:
        with mine.lock("k", lease=0.05, renew=False) as late:
            with yours.lock("k", timeout=30) as lock:
                assert lock.token > late.token
                yours["n"] = "present holder"
                for write in (
                    lambda: mine.__setitem__("n", "late"), lambda: mine.increment("m"), lambda: mine.pop("n"),
                    lambda: mine.update("n", str), lambda: mine.insert_new("new", 1), lambda: mine.cas("n", "present holder", "late"),
                ):
                    with pytest.raises(LockLost):
                        write()
            mine["n"] = "later still"

    with pytest.raises(LockLost, match="its lease has ended"):
        work_late()

    assert dict(yours) == {"n": "present holder"}
    mine["n"] = "free"
    assert yours["n"] == "free"


def test_leaving_a_lock_whose_lease_has_ended_says_so(pair: Pair) -> None:
    mine, yours = pair

    with (
        pytest.raises(LockLost, match="had ended before its holder did"), mine.lock("k", lease=0.05, renew=False),
        yours.lock("k", timeout=30),
    ):
        pass


def test_a_living_holder_keeps_the_lock_for_longer_than_its_lease(pair: Pair) -> None:
    mine, yours = pair

    with mine.lock("k", lease=0.6) as lock:
        with pytest.raises(TimeoutError), yours.lock("k", timeout=2.0):
            pass
        mine["n"] = lock.token

    assert yours["n"] == 1


def test_a_token_is_given_to_who_writes_elsewhere(pair: Pair) -> None:
    mine, yours = pair
    with mine.lock("k") as first, yours.fenced("k", first.token):
        yours["n"] = 1
    with mine.lock("k") as second:
        with yours.fenced("k", first.token), pytest.raises(LockLost):
            yours["n"] = 2
        with yours.fenced("k", second.token):
            yours["n"] = 3

    assert mine["n"] == 3


async def _hold(store: SharedStore, order: list[str], name: str) -> None:
    async with store.lock("k", timeout=30):
        order.append(f"{name} in")
        await store.aincrement("n")
        await asyncio.sleep(0)
        order.append(f"{name} out")


def test_tasks_wait_for_a_lock_without_stopping_their_loop(pair: Pair) -> None:
    order: list[str] = []

    async def both() -> None:
        await asyncio.gather(_hold(pair[0], order, "a"), _hold(pair[1], order, "b"))

    asyncio.run(both())

    assert order in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])
    assert pair[0]["n"] == 2


# watching ------------------------------------------------------------------------------------------------------------
def test_a_watch_wakes_for_what_others_write(pair: Pair) -> None:
    mine, yours = pair
    with yours.watch("a") as watch:
        mine["other"] = 0
        mine["a"] = [1]
        change = watch.next(30)
        del mine["a"]
        gone = watch.next(30)
        nothing = watch.next(0.01)

    assert change is not None
    assert (change.key, thaw(change.new), change.kernel) == ("a", [1], kernel_name())
    assert gone is not None
    assert (gone.op, gone.new) == ("delete", MISSING)
    assert nothing is None


def test_a_watch_wakes_for_what_is_written_here(pair: Pair) -> None:
    with pair[0].watch() as watch:
        pair[0]["a"] = 1
        pair[0].increment("n")

        assert [(change.key, change.new) for change in (watch.next(30), watch.next(30)) if change] == [("a", 1), ("n", 1)]


def test_a_watch_is_an_async_iterator_that_ends_when_it_is_closed(pair: Pair) -> None:
    mine, yours = pair

    async def read() -> list[Any]:
        seen = []
        watch = yours.watch()
        await mine.aset("n", 0)
        async for change in watch:
            seen.append(change.new)
            if change.new == 3:
                yours.close()
            else:
                await mine.aupdate("n", lambda n: n + 1)
        return seen

    assert asyncio.run(read()) == [0, 1, 2, 3]


def test_the_stop_button_ends_a_wait_for_changes_and_blocks_nobody_who_writes(pair: Pair) -> None:
    mine, yours = pair

    def stop(watch: SharedWatch) -> None:
        while not watch._latches:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    with mine.watch("n") as watch:
        stopping = threading.Thread(target=stop, args=(watch,))
        stopping.start()
        with pytest.raises(KeyboardInterrupt):
            watch.next(30)
        stopping.join()
        yours["n"] = 1

        change = watch.next(30)

    assert change is not None
    assert change.new == 1


def test_a_thread_reads_a_watch_until_it_is_closed(pair: Pair) -> None:
    mine, yours = pair
    watch = yours.watch("n")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [change.new for change in watch])
        mine["n"] = 1
        seen = yours.watch("n")
        while yours["n"] != 1:
            seen.next(1)
        watch.close()

        assert reading.result(30) == [1]


def test_a_subscriber_is_called_for_what_others_write(pair: Pair) -> None:
    mine, yours = pair
    told = threading.Event()
    seen: list[Any] = []
    end = yours.subscribe(lambda change: (seen.append(change.new), told.set()), "n")

    mine["n"] = 7

    assert told.wait(30)
    end()
    assert seen == [7]


def test_the_replica_answers_with_no_round_trip_and_is_kept_fresh_by_following(pair: Pair) -> None:
    mine, yours = pair
    mine["n"] = 1
    with yours.replica_only():
        assert "n" not in yours
    assert yours["n"] == 1

    with yours.watch("n") as watch:
        mine["n"] = 2
        assert watch.next(30) is not None
        with yours.replica_only():
            assert (yours["n"], yours.who("n").version) == (2, 2)


def test_the_former_name_of_replica_only_warns_and_does_the_same(pair: Pair) -> None:
    mine, yours = pair
    mine["n"] = 1

    with pytest.warns(DeprecationWarning, match="replica_only"), yours.mirrored():
        assert "n" not in yours


# awaited, closed, sent -----------------------------------------------------------------------------------------------
def test_every_verb_can_be_awaited(pair: Pair) -> None:
    mine, yours = pair

    async def use() -> list[Any]:
        await mine.aset("a", [1])
        return [
            await yours.aget("a"), await yours.aget("z", 9), await mine.aupdate("a", lambda a: [*a, 2]),
            await mine.aincrement("n", 5, 3), await yours.ainsert_new("a", 0), await yours.acas("n", 3, 4), await mine.apop("n"),
            await mine.apop("n", None), await yours.acopy(),
        ]

    assert asyncio.run(use()) == [[1], 9, [1, 2], 3, False, True, 4, None, {"a": [1, 2]}]


def test_a_closed_store_says_that_it_is(pair: Pair) -> None:
    mine, yours = pair
    mine.close()
    mine.close()

    for use in (lambda: mine["a"], lambda: mine.__setitem__("a", 1), lambda: mine.increment("a"), lambda: mine.lock("a").is_held):
        with pytest.raises(StoreError, match=r"is closed; open it again"):
            use()
    yours["a"] = 1


def test_a_store_that_is_pickled_is_opened_again(pair: Pair) -> None:
    mine, yours = pair

    with pickle.loads(pickle.dumps(mine)) as again:
        again["a"] = 1

        assert yours["a"] == 1
        assert again is not mine


def test_a_copy_is_a_store_of_this_process(pair: Pair) -> None:
    mine, yours = pair
    mine["a"] = [1]

    copied = mine.copy()
    copied["a"] = 2

    assert type(copied) is Store
    assert yours["a"] == [1]
    assert (mine | {"b": 1}) == {"a": [1], "b": 1}
