"""Scenarios S63 and S66 of the agents' specification: stores and queues under those who share them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

from pocketflex_nb import Store
from pocketflex_nb.resources import open_queue, open_store
from pocketflex_nb.resources.queues.queue import DeadLetter
from tests.environment import ROOT

_CONSUMER = """
import asyncio, os, sys
from pocketflex_nb.resources import open_queue
url, log, most = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    async with open_queue(url, name="work", max_deliveries=3, lease=1) as queue:
        if most:
            for n in range(1, 6):
                await queue.put(n)
        done = 0
        while True:
            try:
                async with queue.get(timeout=3) as msg:
                    with open(log, "a") as file:
                        file.write(f"{msg.item}\\n")
                    if msg.item == 3:
                        raise ValueError("three is too many")
                done += 1
            except ValueError:
                pass
            except TimeoutError:
                return
            if most and done == most:
                os._exit(9)      # as a kernel that is restarted: nothing is closed

asyncio.run(main())
"""


def test_s63_a_hundred_tasks_of_a_hundred_increments_make_ten_thousand() -> None:
    store = Store({"n": 0})

    async def add() -> None:
        for _ in range(100):
            store.increment("n")
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(add() for _ in range(100)))

    asyncio.run(all_of_them())

    assert store["n"] == 10_000


def test_s63_four_processes_of_2500_increments_on_a_sqlite_store_make_ten_thousand(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    code = "import sys; from pocketflex_nb.resources import open_store\n" \
        "with open_store(sys.argv[1]) as store:\n    for _ in range(2_500): store.increment('n')"
    workers = [subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT) for _ in range(4)]

    assert [worker.wait(120) for worker in workers] == [0] * 4

    with open_store(url) as store:
        assert store["n"] == 10_000


def test_s66_what_fails_three_times_becomes_a_dead_letter_and_the_rest_is_handled_once_over_a_restart(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path / 'queue.db'}", tmp_path / "handled.txt"

    def consume(most: int) -> int:
        return subprocess.run([sys.executable, "-c", _CONSUMER, url, str(log), str(most)], cwd=ROOT, timeout=120, check=False).returncode

    assert consume(2) == 9
    assert consume(0) == 0

    assert Counter(map(int, log.read_text().split())) == {1: 1, 2: 1, 3: 3, 4: 1, 5: 1}

    async def letters() -> list[DeadLetter]:
        async with open_queue(url, name="work", max_deliveries=3) as queue:
            return await queue.dead_letters()

    (letter,) = asyncio.run(letters())
    assert (letter.item, letter.deliveries) == (3, 3)
    assert "three is too many" in letter.error
