"""What the views cost, in a real kernel and a real browser: ``python -m benchmarks.views``.

Five questions: how late is what a view shows while the kernel's main thread is busy, how many bytes a second go to the browser, how
much slower do 10 000 flows get, does the browser's main thread stay free, and how long does a saved notebook take to open. Times of
processes are CPU times, since whoever else works on the machine must not be counted; the latency and the opening are wall time, as a
person feels it. Figures go to ``views.json`` and ``VIEWS.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
#: seconds that one measurement of latency or of bytes lasts
LASTS = 6.0
SETUP = """
import asyncio, json, threading, time
from time import monotonic_ns, process_time
from IPython.display import display
from pocketflex_nb import Flow, Node, Store, emit, launch
from pocketflex_nb.notebook import RunView

class Step(Node):
    pause = 0.004
    async def exec(self, prep_res):
        await asyncio.sleep(self.pause)
    def post(self, shared, prep_res, exec_res):
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < shared["until"] else "end"

class Talk(Step):
    async def exec(self, prep_res):
        for k in range(4):
            emit("token", f"{monotonic_ns()} ")
            await asyncio.sleep(self.pause)

def ring(size, kind=Step, pause=0.004):
    nodes = []
    for k in range(size):
        node = type(f"N{k:03}", (kind,), {"pause": pause})()
        if nodes:
            nodes[-1] - "again" >> node
        nodes.append(node)
    nodes[-1] - "again" >> nodes[0]
    return Flow(nodes[0], name=f"ring of {size}")

def stores(count, until=10**9):
    return [Store({"until": until}) for _ in range(count)]

def crowd(flow, count, until=10**9):
    return launch([(flow, store) for store in stores(count, until)], show=False)
"""


@dataclass(frozen=True)
class Figure:
    """One measured number beside its mark."""

    what: str
    case: str
    value: float
    unit: str
    mark: float | None
    told: str = ""

    @property
    def meets(self) -> bool:
        return self.mark is None or self.value <= self.mark


class Kernel:
    """An IPython kernel and a client that counts what the kernel sends to a page."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        folder = Path(tempfile.mkdtemp())      # sockets in files: no port, and no warning about it
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "socket"))
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(60)
        self.bytes = self.messages = self.largest = 0
        self.run(SETUP)

    def run(self, code: str, timeout: float = 300) -> Any:
        """Run a cell; what it printed last, read as JSON."""
        said = self.client.execute(code)
        printed, deadline = "", time.monotonic() + timeout
        while True:
            raw = self._next(deadline)
            message = self.client.session.deserialize(raw[1], content=True)
            kind, mine = message["msg_type"], message["parent_header"].get("msg_id") == said
            if kind.startswith("comm_"):
                self._count(raw[0])
            elif mine and kind == "stream" and message["content"]["name"] == "stderr":
                print(message["content"]["text"], file=sys.stderr)
            elif mine and kind == "stream":
                printed += message["content"]["text"]
            elif mine and kind == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            elif mine and kind == "status" and message["content"]["execution_state"] == "idle":
                return json.loads(printed.splitlines()[-1]) if printed.strip() else None

    def listen(self, seconds: float) -> None:
        """Count for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.client.iopub_channel.socket.poll(left * 1000):
                raw = self._next(deadline)
                if self.client.session.deserialize(raw[1], content=False)["msg_type"].startswith("comm_"):
                    self._count(raw[0])

    def forget(self) -> None:
        self.bytes = self.messages = self.largest = 0

    def _next(self, deadline: float) -> tuple[int, list[bytes]]:
        if not self.client.iopub_channel.socket.poll(max(deadline - time.monotonic(), 0.001) * 1000):
            raise TimeoutError("the kernel says nothing more")
        frames = self.client.iopub_channel.socket.recv_multipart()
        _, told = self.client.session.feed_identities(frames)
        return sum(map(len, told)), told

    def _count(self, size: int) -> None:
        self.bytes += size
        self.messages += 1
        self.largest = max(self.largest, size)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def kernel() -> Iterator[Kernel]:
    opened = Kernel()
    try:
        yield opened
    finally:
        opened.close()


_LATENCY = """
async def _watch(kind, busy, lasts, view_of=RunView):
    flow = ring(30, kind)
    run = flow.launch(stores(1)[0], show=False)
    view = view_of(run)
    steps, tokens = [], []
    view.observe(lambda c: steps.append((monotonic_ns(), c.new.get("steps", 0))), "header")
    view.observe(lambda c: tokens.append((monotonic_ns(), c.new[0]["lines"][-1][1] if c.new and c.new[0]["lines"] else "")), "lanes")
    display(view)
    until = time.monotonic() + lasts
    while time.monotonic() < until:
        if busy:
            sum(range(2000))
        else:
            time.sleep(0.05)
    run.cancel()
    ends = sorted(span.end for span in list(run.state().spans))
    first = run.state().steps - len(ends)
    late = []
    for k, end in enumerate(ends, first + 1):
        seen = next((at for at, n in steps if n >= k and at >= end), None)
        if seen is not None:
            late.append((seen - end) / 1e6)
    said = []
    for at, line in tokens:
        words = line.split()
        if words and words[-1].isdigit():
            said.append((at, int(words[-1])))
    spoken = []
    for (a, x), (b, y) in zip(said, said[1:]):
        if y > x:
            spoken.append((b - x) / 1e6)      # the first token that was not yet shown at a waited at least until b
    return late, spoken
late, spoken = await _watch(KIND, BUSY, LASTS)
print(json.dumps([late, spoken]))
"""


def p95(values: list[float]) -> float:
    return sorted(values)[min(int(len(values) * 0.95), len(values) - 1)]


def latency(lasts: float) -> Iterator[Figure]:
    """From a step's end, or a token, to the trait that shows it, with the kernel's main thread busy and free."""
    for busy in (True, False):
        with kernel() as opened:
            code = _LATENCY.replace("KIND", "Talk").replace("BUSY", str(busy)).replace("LASTS", str(lasts))
            steps, tokens = opened.run(code)
        thread = "main thread busy" if busy else "main thread free"
        for what, values in (("step", steps), ("token", tokens)):
            told = f"median {statistics.median(values):.0f} ms, {len(values)} seen"
            yield Figure("latency", f"{what} to trait, {thread}, p95", round(p95(values), 1), "ms", 150 if busy else None, told)


def traffic(lasts: float) -> Iterator[Figure]:
    """Bytes a second to the browser once the view stands; frames as the kernel sends them, headers and all."""
    cases: list[tuple[str, str]] = [
        *((f"one run, {size} nodes", f"crowd(ring({size}), 1)") for size in (30, 200, 1_000)),
        ("one run, 30 nodes, tokens", "crowd(ring(30, Talk), 1)"),
        ("6 runs, 30 nodes, tokens", "crowd(ring(30, Talk, 0.02), 6)"),
        *((f"{runs} runs, 5 nodes", f"crowd(ring(5, pause=0.05), {runs})") for runs in (30, 200, 1_000)),
        ("10 000 runs, 5 nodes", "crowd(ring(5, pause=0.2), 10_000)"),
    ]
    for case, launched in cases:
        with kernel() as opened:
            opened.run(f"runs = {launched}; view = RunView(runs); display(view)")
            opened.listen(2.0)
            opened.forget()
            began = time.monotonic()
            opened.listen(lasts)
            rate = opened.bytes / 1_000 / (time.monotonic() - began)
            told = f"{opened.messages / lasts:.1f} messages/s, the largest {opened.largest / 1_000:.1f} KB"
            opened.run("runs.cancel()")
        yield Figure("traffic", case, round(rate, 2), "KB/s", 20, told)


_SLOW = """
def _once(shown):
    flow = ring(3, pause=0.01)
    began, wall = process_time(), time.perf_counter()
    group = crowd(flow, COUNT, 12)
    view = RunView(group) if shown else None
    if shown:
        display(view)
    group.wait(120)
    spent, took = process_time() - began, time.perf_counter() - wall
    if shown:
        from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
        refresh_loop.close(view); view.close()
    assert all(run.status == "done" for run in group)
    return spent, took
import gc
gc.collect()
print(json.dumps(_once(SHOWN)))
"""


def slowdown(rounds: int, count: int = 10_000) -> Iterator[Figure]:
    """CPU time of the kernel for 10 000 flows with a view open over that without one; in pairs, in turn.

    The least of each, as `timeit` advises: what else a machine does only adds, to processor time too where two threads share a core.
    """
    times: dict[bool, list[list[float]]] = {True: [], False: []}
    with kernel() as opened:
        opened.run(_SLOW.replace("SHOWN", "False").replace("COUNT", "500"))
        for number in range(rounds):
            spent: dict[bool, list[float]] = {}
            for shown in ((False, True) if number % 2 else (True, False)):
                spent[shown] = opened.run(_SLOW.replace("SHOWN", str(shown)).replace("COUNT", str(count)))
            for shown, took in spent.items():
                times[shown].append(took)
            print(f"  {spent} {spent[True][0] / spent[False][0]:.3f}", file=sys.stderr)
    cpu, wall = (min(t[k] for t in times[True]) / min(t[k] for t in times[False]) for k in (0, 1))
    pairs = [shown[0] / not_shown[0] for shown, not_shown in zip(times[True], times[False], strict=True)]
    told = f"pairs {min(pairs):.3f}-{max(pairs):.3f}, median {statistics.median(pairs):.3f}; wall time {(wall - 1) * 100:+.1f} %"
    yield Figure("slow-down", f"{count:,} flows, a view open", round((cpu - 1) * 100, 2), "%", 5, told)


_LONG = """
() => {
    window.pfxLong = [];
    new PerformanceObserver(list => window.pfxLong.push(...list.getEntries().map(e => e.duration))).observe({type: 'longtask'});
}
"""


@contextmanager
def _jupyterlab() -> Iterator[tuple[Any, Any]]:
    """A browser, and JupyterLab in it."""
    from playwright.sync_api import sync_playwright

    from tests.ui.conftest import _ARGUMENTS
    from tests.ui.lab import Lab
    from tests.ui.server import LabServer

    folder = Path(tempfile.mkdtemp())
    server = LabServer(folder)
    try:
        server.wait_ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
            lab = Lab(server, browser.new_context(viewport={"width": 1400, "height": 1000}).new_page(), folder)
            lab.start()
            yield browser, lab
            browser.close()
    finally:
        server.stop()


def longtasks(lasts: float) -> Iterator[Figure]:
    """The longest task of JupyterLab's page while a view follows its runs, and while it opens.

    A task's processor time, from Chromium's own trace: the wall time that PerformanceObserver gives grows with whatever else the
    machine does, and is told beside it.
    """
    with _jupyterlab() as (browser, lab):
        lab.evaluate(_LONG)
        for case, launched, mark in (
            ("no view", "crowd(ring(200), 1)", None),
            ("one run, 200 nodes", "crowd(ring(200), 1)", 50),
            ("one run, 1 000 nodes", "crowd(ring(1_000), 1)", None),
            ("60 runs, 5 nodes", "crowd(ring(5, pause=0.05), 60)", 50),
            ("1 000 runs, 5 nodes", "crowd(ring(5, pause=0.05), 1_000)", 100),
        ):
            yield from _followed(browser, lab, case, launched, mark, lasts)


_SAVED = """
class Say(Talk):
    async def exec(self, prep_res):
        for k in range(20):
            emit("log", f"what agent {k} found out about the tides of the sea and of the moon, and why it matters " * 3)
saved = crowd(ring(12, Say, 0.0), 6, 12)
saved.wait(60)
"""
#: until all static forms stand in the page and were painted
_OPENED = """async ([path, views]) => {
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const began = performance.now();
    const panel = await window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.context.ready;
    while (panel.node.querySelectorAll('[data-static]').length < views) await frame();
    await frame();
    await frame();
    return performance.now() - began;
}"""


def opening(rounds: int, views: int = 20) -> Iterator[Figure]:
    """How long a saved notebook of 20 views of 6 runs each takes to open in JupyterLab, its static forms drawn; wall time."""
    with _jupyterlab() as (_, lab):
        path = lab.write(["%load_ext pocketflex_nb" + SETUP + _SAVED, *["RunView(saved)"] * views])
        lab.open(path)
        if not lab.run_all(timeout=300):
            raise RuntimeError("the notebook did not run")
        lab.save()
        lab.close_all()
        size = len((lab.server.root / path).read_bytes())
        took = []
        for _ in range(rounds):
            took.append(lab.evaluate(_OPENED, [path, views]))
            lab.close_all()
        told = f"{size / views / 1_000:.0f} KB a view; {min(took):.0f}-{max(took):.0f} ms in {rounds} openings"
        yield Figure("opening", f"a saved notebook of {views} views", round(statistics.median(took), 0), "ms", 2_000, told)


def _followed(browser: Any, lab: Any, case: str, launched: str, mark: float | None, lasts: float) -> Iterator[Figure]:
    shown = "None" if case == "no view" else "RunView(runs)"
    lab.open(lab.write(["%load_ext pocketflex_nb" + SETUP + "RunView(Flow(Step(), name='first').launch({'until': 1}, show=False))",
                        f"runs = {launched}\n{shown}", "runs.cancel()"]))
    lab.run_cell(0)
    if (errors := lab.cell(0).locator('[data-mime-type="application/vnd.jupyter.stderr"]')).count():
        raise RuntimeError(f"{case}: {errors.last.inner_text()}")
    lab.page.wait_for_timeout(1_000)
    for phase in ("opening", "following"):
        lab.evaluate("() => { window.pfxLong = []; }")
        browser.start_tracing(page=lab.page, categories=["toplevel", "devtools.timeline", "__metadata"])
        if phase == "opening":
            lab.run_cell(1, wait=False)
            lab.page.wait_for_timeout(4_000)  # looking with Playwright meanwhile would lay the page out, and be measured
        else:
            lab.page.wait_for_timeout(lasts * 1000)
        tasks = _tasks(json.loads(browser.stop_tracing()))
        long = lab.evaluate("() => window.pfxLong")
        told = f"{len(long)} long tasks by the clock{f', the longest {max(long):.0f} ms' if long else ''}; {sum(tasks):.0f} ms in all"
        yield Figure("browser", f"{case}, {phase}: longest task", round(max(tasks, default=0.0), 1), "ms", mark, told)
        if case != "no view" and not lab.cell(1).locator(".pf-run-view .pf-node").count():
            raise RuntimeError(f"{case}: the view did not open")
    lab.run_cell(2)
    lab.close_all()


def _tasks(trace: dict[str, Any]) -> list[float]:
    """Processor time of each task of the page's main thread, ms."""
    events = trace["traceEvents"]
    mains = {(e["pid"], e["tid"]) for e in events if e.get("name") == "thread_name" and e["args"].get("name") == "CrRendererMain"}
    ours = [e for e in events if (e.get("pid"), e.get("tid")) in mains and e.get("name", "").endswith("RunTask")]
    return [e.get("tdur", e.get("dur", 0)) / 1_000 for e in ours]


def markdown(figures: list[Figure], setting: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {f.what} | {f.case} | {f.value:g} {f.unit} | {'' if f.mark is None else f'<= {f.mark:g} {f.unit}'} | "
        f"{'' if f.mark is None else 'meets' if f.meets else '**misses**'} | {f.told} |"
        for f in figures
    )
    return (
        f"# What the views cost\n\n`python -m benchmarks.views`, {setting['date']}, Python {setting['python']}, {setting['system']}, "
        f"shared with others.\n\n| what | case | figure | mark | | |\n|---|---|---:|---:|---|---|\n{rows}\n"
    )


def main() -> int:
    ask = argparse.ArgumentParser(prog="python -m benchmarks.views", description=__doc__.splitlines()[0] if __doc__ else "")
    questions: dict[str, Callable[[], Iterator[Figure]]] = {
        "latency": lambda: latency(lasts), "traffic": lambda: traffic(lasts),
        "browser": lambda: longtasks(lasts), "opening": lambda: opening(rounds), "slowdown": lambda: slowdown(rounds),
    }
    ask.add_argument("only", nargs="*", choices=[*questions, []], help="questions; default: all")
    ask.add_argument("--quick", action="store_true", help="shorter, nothing written unless asked")
    ask.add_argument("--write", action="store_true", help="keep views.json and VIEWS.md even so")
    asked = ask.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))  # for the kernels
    lasts, rounds = (3.0, 2) if asked.quick else (LASTS, 5)
    figures = []
    for name in asked.only or questions:
        for figure in questions[name]():
            figures.append(figure)
            print(f"{figure.what:10} {figure.case:44} {figure.value:9g} {figure.unit:5} {'' if figure.meets else 'MISSES '}{figure.told}",
                  flush=True)
    if asked.write or not (asked.quick or asked.only):
        setting = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        }
        told = [{**asdict(figure), "meets": figure.meets} for figure in figures]
        (HERE / "views.json").write_text(json.dumps({"setting": setting, "figures": told}, indent=1) + "\n")
        (HERE / "VIEWS.md").write_text(markdown(figures, setting))
    return 0


if __name__ == "__main__":
    sys.exit(main())
