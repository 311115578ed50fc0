"""What an adapter and a case are made of.

An adapter registers plain functions; nothing of its system may be imported at its top level, since every adapter is imported to
list the entries and only one is run::

    @entry("hop_sync", "MySystem", "default", n=100_000)
    def _(m):
        build and warm up ...
        with m.timed():
            run m.n hops
        m.check(counter == m.n)
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ENTRIES", "Case", "Entry", "Meter", "cases", "entry", "load_adapters", "mem_per", "per", "per_cpu", "run_asyncio"]

#: what an IPython kernel has imported before the user's first cell
KERNEL = "import ipykernel.kernelapp, IPython, asyncio, tornado.ioloop, traitlets"
IMPORT = """
import sys, time
exec(sys.argv[1], {})
before, start = len(sys.modules), time.process_time()
exec(sys.argv[2], {})
print(time.process_time() - start, len(sys.modules) - before)
"""
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Case:
    """A question, its unit, and how one raw repetition becomes numbers.

    `mark` and `aim` bound ours: as a ratio to the limit, or in the unit itself unless `by_ratio`. `memory_mark` is KiB per unit.
    """

    name: str
    title: str
    unit: str
    value: Callable[[dict[str, Any]], float]
    cpu: Callable[[dict[str, Any]], float] | None = None
    extra: tuple[tuple[str, Callable[[dict[str, Any]], float | None], str], ...] = ()
    doc: str = ""
    mark: float | None = None
    aim: float | None = None
    memory_mark: float | None = None
    by_ratio: bool = True


@dataclass(frozen=True)
class Entry:
    """One measured body: a variant of a system in a case."""

    case: str
    system: str
    variant: str
    fn: Callable[[Meter], None]
    n: int
    venv: str = "venv"
    note: str = ""
    limit: bool = False
    marked: bool = False
    timeout: float = 300
    order: int = 50

    @property
    def key(self) -> tuple[str, str, str]:
        return self.case, self.system, self.variant


ENTRIES: dict[tuple[str, str, str], Entry] = {}


def entry(case: str, system: str, variant: str, *, n: int, **options: Any) -> Callable[[Callable[[Meter], None]], Any]:
    """Register a measured body. ``limit=True``: ratios are taken against it; ``marked=True``: the case's mark is for this one."""

    def register(fn: Callable[[Meter], None]) -> Callable[[Meter], None]:
        made = Entry(case, system, variant, fn, n, **options)
        if made.key in ENTRIES:
            raise SystemExit(f"two entries are called {made.key}")
        ENTRIES[made.key] = made
        return fn

    return register


@dataclass
class Meter:
    """Handed to every entry: times the part that counts, and must be told that the result was right."""

    n: int
    wall: float = 0.0
    cpu: float = 0.0
    base: int | None = None
    peak: int | None = None
    extra: dict[str, float] = field(default_factory=dict)
    checked: bool = False

    @contextlib.contextmanager
    def timed(self, memory: bool = False) -> Iterator[None]:
        gc.collect()
        if memory and REFS.exists():
            self.base = _kib("VmRSS") * 1024
            REFS.write_text("5")
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu
        if memory and REFS.exists():
            self.peak = _kib("VmHWM") * 1024

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """What is still allocated afterwards, KiB per unit, as the case `event_memory` asks."""
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        yield
        gc.collect()
        self.extra["kib"] = (tracemalloc.get_traced_memory()[0] - before) / self.n / 1024
        tracemalloc.stop()

    def compare(self, once: Callable[[int], bool], large: int, small: int, times: int = 3) -> None:
        """CPU time per unit of ``once(large)`` over that of ``once(small)``, the best of each in turn."""
        best: dict[int, float] = {}
        for _ in range(times):
            for size in (large, small):
                for _ in range(min(large // size, 20)):
                    gc.collect()
                    start = time.process_time()
                    self.check(once(size))
                    best[size] = min(best.get(size, 1e9), (time.process_time() - start) / size)
        self.extra |= {"ratio": best[large] / best[small], "each": best[large] * 1e6}

    def imported(self, statement: str, before: str) -> None:
        """Seconds that an import takes in a fresh process after `before` ("asyncio", "kernel" or nothing), the best of three.

        CPU time: the files are in the cache, and whoever else uses the machine must not be counted.
        """
        first = {"": "", "asyncio": "import asyncio", "kernel": KERNEL}[before]
        command = [sys.executable, "-c", IMPORT, first, statement]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # an installed package has its byte code
        told = [subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout.split() for _ in range(4)]
        told = told[1:]  # the first fills the caches
        self.wall = min(float(seconds) for seconds, _ in told)
        self.extra["modules"] = float(told[0][1])
        self.check(True)

    def check(self, ok: bool, told: str = "the result is wrong") -> None:
        if not ok:
            raise AssertionError(told)
        self.checked = True

    def result(self) -> dict[str, Any]:
        if not self.checked:
            raise AssertionError("the entry did not check its result")
        return {"n": self.n, "wall": self.wall, "cpu": self.cpu, "base": self.base, "peak": self.peak, **self.extra}


def _kib(what: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1])
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def per(scale: float) -> Callable[[dict[str, Any]], float]:
    return lambda r: float(r["wall"] / r["n"] * scale)


def per_cpu(scale: float) -> Callable[[dict[str, Any]], float]:
    return lambda r: float(r["cpu"] / r["n"] * scale)


def mem_per(r: dict[str, Any]) -> float | None:
    """Peak memory beyond what stood before, KiB per unit."""
    return None if r.get("peak") is None else (r["peak"] - r["base"]) / r["n"] / 1024


def run_asyncio(main: Callable[[], Awaitable[None]], *, eager: bool = False) -> None:
    """Run `main` on a fresh loop, with eager tasks if asked."""
    import asyncio

    async def go() -> None:
        if eager:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        await main()

    asyncio.run(go())


def load_adapters() -> None:
    """Import every adapter, which fills `ENTRIES`."""
    from benchmarks import adapters

    for name in sorted(m.name for m in pkgutil.iter_modules(adapters.__path__) if not m.name.startswith("_")):
        importlib.import_module(f"benchmarks.adapters.{name}")


def cases() -> dict[str, Case]:
    """Every case by name, in the order of the table."""
    from benchmarks.cases import ORDER

    return {name: importlib.import_module(f"benchmarks.cases.{name}").CASE for name in ORDER}
