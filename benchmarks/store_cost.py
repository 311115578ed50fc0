"""What the Store costs beside a dict, by hand: ``python -m benchmarks.store_cost``. Thread time, best of many, in ns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import thread_time
from types import SimpleNamespace
from typing import Any

from pocketflex_nb import Store
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.store.mutation_tracking import collect_changes

TURNS, REPEATS = 20_000, 15


def best(fn: Callable[[int], Any]) -> float:
    """Nanoseconds a turn."""
    times = []
    for _ in range(REPEATS):
        began = thread_time()
        fn(TURNS)
        times.append(thread_time() - began)
    return min(times) / TURNS * 1e9


def idle(count: int) -> None:
    for _ in range(count):
        pass


def reading(mapping: Any, key: str) -> Callable[[int], None]:
    def turns(count: int) -> None:
        for _ in range(count):
            mapping[key]

    return turns


def hops(store: Store, frame: Any, act: Callable[[int], Any]) -> Callable[[int], None]:
    def turns(count: int) -> None:
        for number in range(count):
            frame.start_version = store.version
            act(number)
            collect_changes(frame)

    return turns


def walking(store: Store) -> Any:
    run = SimpleNamespace(name="bench", store=store, hops=0)
    return SimpleNamespace(
        run=run, node="n", parent=None, touched=None, page=None, at=0, timed=False, life=None, changes=None, writers=None, fenced=False,
        start_version=0, path=str, store=None, put=None, undo=None,
    )


def main() -> None:
    plain = {"n": 0, "notes": []}
    empty = best(idle)
    dict_read = best(reading(plain, "n")) - empty
    print(f"dict read {dict_read:.0f} ns")
    for keys in (10, 100_000):
        store = Store({**{f"key {number}": number for number in range(keys)}, "n": 0, "notes": [str(n) for n in range(20)]})
        frame = walking(store)
        token = CURRENT_FRAME.set(frame)
        for name, cost in [
            ("read a number", best(reading(store, "n")) - empty),
            ("read a list", best(reading(store, "notes")) - empty),
            ("write a number, settle", best(hops(store, frame, partial(store.__setitem__, "n")))),
            ("read a list of 20, settle", best(hops(store, frame, lambda number, store=store: store["notes"]))),
        ]:
            print(f"{keys:>7} keys: {name:<26} {cost:7.0f} ns, {cost / dict_read:5.1f} dict reads")
        CURRENT_FRAME.reset(token)


if __name__ == "__main__":
    main()
