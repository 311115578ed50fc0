"""Ten thousand steps over a store of a megabyte stay under fifty, with their whole past where it fits."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from pocketflex_nb import Store
from tests.core.store.store_frames import Frame, Run, inside, settled

MEGABYTE, STEPS = 1_000_000, 10_000


def many_keys(store, step):
    store[f"key {step % 1_000}"] = f"{step:04}" * 250


def nested_dict(store, step):
    store["nested"][f"key {step * 7 % 1_000}"] = f"{step:04}" * 250


def growing_list(store, step):
    store["list"].append(f"{step:04}" * 25)


def sliding_list(store, step):
    store["list"].append(f"{step:04}" * 250)
    store["list"].pop(0)


def growing_text(store, step):
    store["text"] += f"{step:04}" * 25


def new_large_text(store, step):
    store["text"] = f"{step:08}" * (MEGABYTE // 8)


KINDS = {
    many_keys: {f"key {number}": "x" * 1_000 for number in range(1_000)},
    nested_dict: {"nested": {f"key {number}": "x" * 1_000 for number in range(1_000)}},
    growing_list: {"list": []},
    sliding_list: {"list": ["x" * 1_000 for _ in range(1_000)]},
    growing_text: {"text": ""},
    new_large_text: {"text": ""},
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", KINDS, ids=lambda step: step.__name__)
def test_ten_thousand_steps_over_a_megabyte_stay_under_fifty(step):
    steps = {new_large_text: 300, sliding_list: 1_000}.get(step, STEPS)
    gc.collect()
    tracemalloc.start()
    try:
        store = Store(KINDS[step])
        frame = Frame(Run("r", store), "n")
        changes = []
        with inside(frame):
            for number in range(steps):
                frame.start_version = store.version
                step(store, number)
                changes.append(settled(frame))  # as a run's events keep them
                if number % 100 == 0:
                    snapshot = store.snapshot()
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used < 50e6
    assert snapshot.thaw() != dict(store)
    assert len(store.history()) > 20
    assert store.at(store.version) == store
