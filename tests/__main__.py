"""`python -m tests [STAGE ...] [-- PYTEST ARGUMENTS]`: every test, in stages, and pytest's summary over all of them last.

Each stage is a pytest session of its own. The notebooks run in an environment that holds the wheel, not the checkout: a file that
the wheel forgets is missing there. The stages of `BESIDE` run beside `unit`, which mostly uses one core, and print what they say when
they end. The browser's tests come last and alone, since Playwright's sync interface leaves a loop running in the main thread, under
which `asyncio.run` fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.environment import ROOT, isolated_jupyter
from tests.model_packages import install_model_packages
from tests.notebooks.notebook_files import notebooks, strict_notebooks
from tests.reports import failed_stage, tell_again
from tests.wheel import build_wheel, install_wheel

#: seconds after which a stage is ended, however far it is
STAGE_LIMIT = 1500
#: tests of one session that get a second try (tests/conftest.py says which may); more than that is no accident
RERUNS = 3
MARK = "POCKETFLEX_TESTS"


@dataclass(frozen=True, slots=True)
class Session:
    """One pytest session of a stage."""

    python: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]


def _unit(folder: Path) -> Iterator[Session]:
    apart = [f"--ignore=tests/{name}" for name in ("ui", "notebooks", "binder", "js", "models")]
    yield Session(sys.executable, ("tests", *apart, "-m", "not stress"), os.environ)


def _doctests(folder: Path) -> Iterator[Session]:
    yield Session(sys.executable, ("pocketflex_nb", "--doctest-modules"), os.environ)


def _js(folder: Path) -> Iterator[Session]:
    yield Session(sys.executable, ("tests/js",), os.environ)


def _notebooks(folder: Path) -> Iterator[Session]:
    python = str(install_wheel(build_wheel(folder / "dist"), folder / "env"))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}      # else the checkout would come first
    env |= isolated_jupyter(folder / "jupyter")
    env |= {"JUPYTER_PATH": str(Path(sys.prefix, "share/jupyter")), "POCKETFLEX_WHEEL_ENV": str(folder / "env")}
    nbval = ("--nbval-current-env", "--nbval-cell-timeout=60", "--nbval-kernel-startup-timeout=120")
    yield Session(python, ("tests/notebooks",), env)
    strict = [str(path) for path in strict_notebooks()]
    if lax := [str(path) for path in notebooks() if str(path) not in strict]:
        yield Session(python, (*lax, "--nbval-lax", *nbval), env)
    if strict:
        yield Session(python, (*strict, "--nbval", *nbval), env)


def _ui(folder: Path) -> Iterator[Session]:
    yield Session(sys.executable, ("tests/ui",), os.environ)


def _binder(folder: Path) -> Iterator[Session]:
    yield Session(sys.executable, ("tests/binder",), os.environ)


def _models(folder: Path) -> Iterator[Session]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(install_model_packages()), *filter(None, [os.environ.get("PYTHONPATH")])])}
    yield Session(sys.executable, ("tests/models",), env)


def _stress(folder: Path) -> Iterator[Session]:
    yield Session(sys.executable, ("tests", "-m", "stress", "--timeout=1200"), os.environ)


@dataclass(frozen=True, slots=True)
class Stage:
    """What came of a stage."""

    broken: list[pytest.TestReport]
    seconds: float


STAGES: dict[str, Callable[[Path], Iterator[Session]]] = {
    "unit": _unit, "doctests": _doctests, "js": _js, "notebooks": _notebooks, "binder": _binder, "models": _models, "ui": _ui,
    "stress": _stress,
}
USUAL = ("unit", "doctests", "js", "notebooks", "binder", "models", "ui")
#: stages that run one after the other while `unit` runs
BESIDE = ("doctests", "js", "notebooks", "binder")


def main(argv: Sequence[str]) -> int:
    """Run the stages named in `argv`, or the usual ones; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests", description="Run the tests, in stages.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join(STAGES)}; without one: {', '.join(USUAL)}")
    ours, theirs = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    stages = parser.parse_args(ours).stages or USUAL
    if unknown := [name for name in stages if name not in STAGES]:
        parser.error(f"no stage {unknown[0]!r}; there are {', '.join(STAGES)}")
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="pfx-stages-", ignore_cleanup_errors=True) as folder:
        return _run(stages, tuple(theirs), Path(folder))


def _run(stages: Sequence[str], more: tuple[str, ...], folder: Path) -> int:
    started = time.perf_counter()
    beside = [name for name in stages if name in BESIDE] if "unit" in stages else []
    with ThreadPoolExecutor(1) as pool:
        waiting = {name: pool.submit(_run_stage, name, more, folder, folder / f"{name}.out") for name in beside}
        done = {name: _run_stage(name, more, folder) for name in stages if name == "unit"}
        done |= {name: one.result() for name, one in waiting.items()}
    done |= {name: _run_stage(name, more, folder) for name in stages if name not in done}
    print(f"\n>>> all stages: {', '.join(f'{name} {done[name].seconds:.0f} s' for name in stages)}", flush=True)
    broken = [report for name in stages for report in done[name].broken]
    return tell_again([folder / f"{name}.jsonl" for name in stages], broken, started=started)


def _run_stage(name: str, more: tuple[str, ...], folder: Path, told: Path | None = None) -> Stage:
    """Run a stage; what its sessions print goes into `told`, and from there to the terminal at the end, or straight to the terminal."""
    begin = time.perf_counter()
    if told is None:
        print(f"\n>>> stage {name}", flush=True)
    (folder / name).mkdir()
    try:
        reasons = [_run_session(session, more, folder / f"{name}.jsonl", told) for session in STAGES[name](folder / name)]
    except (RuntimeError, subprocess.SubprocessError) as error:
        reasons = [str(error)]
    if told is not None:
        print(f"\n>>> stage {name}\n{told.read_text(encoding='utf-8', errors='replace') if told.exists() else ''}", flush=True)
    return Stage([failed_stage(name, reason) for reason in reasons if reason], time.perf_counter() - begin)


def _run_session(session: Session, more: tuple[str, ...], kept: Path, told: Path | None) -> str | None:
    options = ["-p", "tests.reports", f"--keep-reports={kept}", "--no-header", "-q", "--durations=5", "--durations-min=5"]
    again = ["--rerun-show-tracebacks", f"--max-suite-reruns={RERUNS}"]
    command = [session.python, "-m", "pytest", *options, *again, *session.arguments, *more]
    with _nothing_left(session.env) as env, (open(told, "ab") if told else nullcontext()) as out:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT if out else None)
        try:
            code = process.wait(STAGE_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"ended after {STAGE_LIMIT} s"
    return _broken(code, is_narrowed=bool(more))


def _broken(code: int, *, is_narrowed: bool) -> str | None:
    """What a session's exit code says beyond its reports. Failing tests (1) have told already; no test at all is a failure."""
    if code in (0, 1) or (code == 5 and is_narrowed):
        return None
    return "no test was found" if code == 5 else f"pytest ended with exit code {code}"


@contextmanager
def _nothing_left(env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Mark the environment of what is started inside, and end what still runs afterwards: kernels, servers, browsers."""
    mark = uuid.uuid4().hex
    try:
        yield {**env, MARK: mark}
    finally:
        left = [process for process in psutil.process_iter() if _is_marked(process, mark)]
        _, left = psutil.wait_procs(left, timeout=5)
        for process in left:
            print(f">>> still running, ended now: {process}", flush=True)
            process.kill()


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
