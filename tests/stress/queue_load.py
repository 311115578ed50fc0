"""Producers and consumers in processes of their own; consumers are killed, the server is killed, and every message is counted.

``python -m tests.stress.queue_load put|take URL FOLDER ...`` is one such process; `load` runs them all and gives the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketflex_nb.core.errors import Unreachable
from pocketflex_nb.resources.queues.open_queue import open_queue
from pocketflex_nb.resources.queues.queue import Queue
from tests.environment import ROOT
from tests.resources.brokers import Broker

__all__ = ["Figures", "load"]

#: seconds of a lease: how long the message of a killed consumer is away
LEASE = 3.0


@dataclass(frozen=True)
class Figures:
    """What a run came to.

    `bound` is what the queue's promise allows: a message in hand for each kill, and at each restart of the server an acknowledgement
    for each consumer and a put for each producer on their way.
    """

    put: int
    lost: int
    duplicates: int
    bound: int
    kills: int
    restarts: int
    dead: int
    left: int
    seconds: float

    def __str__(self) -> str:
        return (f"{self.put} messages in {self.seconds:.0f} s ({self.put / self.seconds:.0f}/s), {self.kills} consumers killed, "
                f"{self.restarts} server restarts: lost {self.lost}, duplicates {self.duplicates} of at most {self.bound}, "
                f"dead {self.dead}, left {self.left}")


async def _opened(url: str) -> Queue:
    """The queue, as soon as its server is there: a worker may be started while it is not."""
    end = time.monotonic() + 120
    while True:
        try:
            return await asyncio.to_thread(open_queue, url, lease=LEASE, max_deliveries=100)
        except Unreachable:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)


async def _put(url: str, folder: Path, first: int, count: int) -> None:
    kept = os.open(folder / f"put-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with await _opened(url) as queue:
        for n in range(first, first + count):
            await queue.put(n, key=str(n))
            os.write(kept, f"{n}\n".encode())


async def _take(url: str, folder: Path) -> None:
    kept = os.open(folder / f"took-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with await _opened(url) as queue:
        while not (folder / "enough").exists():
            with contextlib.suppress(TimeoutError):
                async with queue.get(timeout=0.5) as msg:
                    os.write(kept, f"{msg.item}\n".encode())       # the effect, before the acknowledgement


def _start(*words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.stress.queue_load", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def _ended(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _lines(folder: Path, kind: str) -> list[int]:
    return [int(line) for path in folder.glob(f"{kind}-*") for line in path.read_text().split()]


def load(url: str, folder: Path, *, total: int, workers: int, every: float, server: Broker | None = None, limit: float = 900,
         note: Callable[[str], object] = print) -> Figures:
    """Put and take `total` messages with `workers` producers and as many consumers, one of which is killed `every` seconds.

    `server` is killed and started again once, when half of the messages were taken.
    """
    each = total // workers
    begin, rng = time.monotonic(), random.Random(7)
    if server is not None:
        open_queue(url).close_sync()
        server.keeps("pfx.queue.default")
    producers = [_start("put", url, folder, n * each, each) for n in range(workers)]
    consumers = [_start("take", url, folder) for _ in range(workers)]
    kills = restarts = 0
    next_kill, told = time.monotonic() + every, 0.0
    with _ended(producers), _ended(consumers):
        while len(took := set(_lines(folder, "took"))) < each * workers:
            if time.monotonic() - begin > limit:
                note(f"not done after {limit:g} s: {len(took)} of {each * workers} were taken")
                break
            for process in [*producers, *consumers]:
                if process.poll() not in (None, 0, -signal.SIGKILL):
                    raise RuntimeError(f"a worker ended with {process.returncode}")
            if time.monotonic() > next_kill:
                victim = rng.randrange(workers)
                consumers[victim].kill()
                consumers[victim].wait()
                consumers[victim] = _start("take", url, folder)
                kills, next_kill = kills + 1, time.monotonic() + every
            if server is not None and not restarts and len(took) >= each * workers / 2:
                note(f"{len(took)} taken after {time.monotonic() - begin:.0f} s: the server is killed")
                server.restart()
                restarts = 1
            if time.monotonic() > told + 10:
                told = time.monotonic()
                note(f"{len(took)} taken after {told - begin:.0f} s, {kills} kills")
            time.sleep(0.1)
        seconds = time.monotonic() - begin
        for process in producers:
            process.wait(60)
        (folder / "enough").touch()
        for process in consumers:
            process.wait(60)
    return _figures(url, folder, each * workers, workers, kills, restarts, seconds)


def _figures(url: str, folder: Path, total: int, workers: int, kills: int, restarts: int, seconds: float) -> Figures:
    with open_queue(url, lease=LEASE) as queue:
        stats = queue.stats_sync()
    took, put = Counter(_lines(folder, "took")), Counter(_lines(folder, "put"))
    assert len(put) == total, "a producer was not told that its message is kept"
    return Figures(total, len(set(put) - set(took)), sum(took.values()) - len(took), kills + restarts * 2 * workers, kills, restarts,
                   stats.dead, stats.ready + stats.delayed, seconds)


if __name__ == "__main__":
    what, url, folder, *more = sys.argv[1:]
    asyncio.run(_put(url, Path(folder), *map(int, more)) if what == "put" else _take(url, Path(folder)))
