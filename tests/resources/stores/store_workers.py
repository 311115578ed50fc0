"""What the processes of the store tests do: `python -m tests.resources.stores.store_workers VERB URL ...`."""

from __future__ import annotations

import sys
import time

from pocketflex_nb.resources.stores.open_store import open_store


def count(url: str, times: str) -> None:
    """Increment one key, after all have been told to begin."""
    with open_store(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(int(times)):
            store.increment("n")
        print(f"done {store['n']}", flush=True)


def append(url: str, times: str, name: str) -> None:
    """Write to one list by `update`, and tell each write that was acknowledged."""
    with open_store(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for turn in range(int(times)):
            store.update("notes", lambda notes: [*(notes or []), [name, turn]])  # noqa: B023  # called at once
        print("done", flush=True)


def write(url: str, name: str) -> None:
    """Write keys of its own for ever, and tell each that was acknowledged."""
    with open_store(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        turn = 0
        while True:
            turn += 1
            store[f"{name}-{turn % 50}"] = turn
            store.increment("all")
            sys.stdout.write(f"{turn}\n")
            sys.stdout.flush()


def hold(url: str, lease: str) -> None:
    """Take the lock, and hold it until the end; write under it when told to."""
    with open_store(url) as store, store.lock("k", lease=float(lease)) as lock:
        store["holder"] = lock.token
        print(f"held {lock.token}", flush=True)
        sys.stdin.readline()
        try:
            store["holder"] = "late"
            print("written", flush=True)
        except Exception as exc:
            print(type(exc).__name__, flush=True)
        time.sleep(60)


if __name__ == "__main__":
    {"count": count, "append": append, "write": write, "hold": hold}[sys.argv[1]](*sys.argv[2:])
