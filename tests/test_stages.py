"""The test command itself: a failure anywhere is told at the end, and what a stage leaves running is ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.__main__ import _nothing_left
from tests.environment import ROOT

_MIXED = """
import pytest
def test_good(): pass
def test_bad(): assert 1 == 2
def test_left_out(): pytest.skip("not here")
@pytest.fixture
def broken(): raise RuntimeError("no ground to stand on")
def test_without_ground(broken): pass
"""
_TELL = """
import sys, time
from pathlib import Path
from tests.reports import failed_stage, tell_again
broken = [failed_stage("ui", sys.argv[2])] if len(sys.argv) > 2 else []
sys.exit(tell_again([Path(sys.argv[1])], broken, started=time.perf_counter() - 5000))
"""


_SECOND = """
import pytest
tries = []
@pytest.mark.flaky(reruns=1)
def test_at_last():
    tries.append(1)
    assert len(tries) == 2
@pytest.mark.flaky(reruns=1)
def test_never(): assert not "today"
"""


def _stage(tmp_path: Path, tests: str, *more: str) -> Path:
    (tmp_path / "test_stage.py").write_text(tests, encoding="utf-8")
    kept = tmp_path / "kept.jsonl"
    options = ["-p", "tests.reports", f"--keep-reports={kept}", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    _python("-m", "pytest", *options, *more, str(tmp_path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    return kept


def _tell(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return _python("-c", _TELL, *arguments)


def _python(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, *map(str, arguments)], {**os.environ, **env}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=50)


def _last(told: subprocess.CompletedProcess[str]) -> str:
    """What the last line counts; its time must be that of all stages, which here began 5000 s ago."""
    found = re.fullmatch(r"=+ (.*) in 5\d\d\d\.\d\ds \(1:23:\d\d\) =+", told.stdout.splitlines()[-1])
    assert found, told.stdout
    return found[1]


def test_the_last_line_sums_up_what_the_stages_kept(tmp_path: Path) -> None:
    kept = _stage(tmp_path, _MIXED)

    told = _tell(kept)

    assert told.returncode == 1
    assert _last(told) == "1 failed, 1 passed, 1 skipped, 1 error"
    assert "FAILED test_stage.py::test_bad - assert 1 == 2" in told.stdout


def test_good_stages_end_well(tmp_path: Path) -> None:
    told = _tell(_stage(tmp_path, "def test_good(): pass"))

    assert told.returncode == 0
    assert _last(told) == "1 passed"


def test_a_stage_that_cannot_be_collected_is_an_error(tmp_path: Path) -> None:
    told = _tell(_stage(tmp_path, "import no_such_module"))

    assert told.returncode == 1
    assert _last(told) == "1 error"


def test_a_stage_that_breaks_as_a_whole_is_a_failure(tmp_path: Path) -> None:
    told = _tell(_stage(tmp_path, "def test_good(): pass"), "pytest ended with exit code 3")

    assert told.returncode == 1
    assert _last(told) == "1 failed, 1 passed"
    assert "FAILED python -m tests ui - pytest ended with exit code 3" in told.stdout


def test_a_second_try_is_counted_and_a_second_failure_is_one(tmp_path: Path) -> None:
    told = _tell(_stage(tmp_path, _SECOND, "-p", "pytest_rerunfailures"))

    assert told.returncode == 1
    assert _last(told) == "1 failed, 1 passed, 2 rerun"
    assert "RERUN test_stage.py::test_at_last" in told.stdout


def test_only_tests_beside_other_processes_get_a_second_try() -> None:
    def gets(path: str) -> bool:
        asked = "import sys; from tests.conftest import gets_second_try; sys.exit(not gets_second_try(sys.argv[1]))"
        return _python("-c", asked, ROOT / path).returncode == 0

    assert gets("tests/kernel/test_kernels.py") and gets("tests/ui/test_lab.py")
    assert not gets("tests/engine/walk/test_forks.py") and not gets("pocketflex_nb/agents/messaging/agent_ref.py")


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    done = _python("-m", "tests", "kernels")

    assert done.returncode == 2
    assert "no stage 'kernels'; there are unit, doctests, js, notebooks, binder, models, ui" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sessions of processes are POSIX's")
def test_a_process_that_a_stage_leaves_is_ended(capfd: pytest.CaptureFixture[str]) -> None:
    sleeper = "import time; print('up', flush=True); time.sleep(600)"
    with _nothing_left({}) as env:
        left = subprocess.Popen([sys.executable, "-c", sleeper], env=env, stdout=subprocess.PIPE, start_new_session=True)
        assert left.stdout is not None
        left.stdout.readline()      # it is up: what is to be ended exists
    with left:
        assert left.wait(10) != 0

    assert not psutil.pid_exists(left.pid)
    assert "still running, ended now" in capfd.readouterr().out


_STAGES = """
import os, sys, tests.__main__ as command
def stage(name):
    return lambda folder: iter([command.Session(sys.executable, (f"{sys.argv[1]}/test_{name}.py", "-p", "no:cacheprovider"), os.environ)])
command.STAGES = {name: stage(name) for name in ("unit", "js", "binder", "ui")}
sys.exit(command.main(["unit", "js", "binder", "ui"]))
"""


def test_stages_beside_unit_are_counted_and_what_they_say_is_whole(tmp_path: Path) -> None:
    both = "import pathlib, time\ndef test_beside():\n    pathlib.Path(r'{0}', '{1}').touch()\n" \
           "    while not pathlib.Path(r'{0}', '{2}').exists(): time.sleep(0.01)\n"
    (tmp_path / "test_unit.py").write_text(both.format(tmp_path, "unit", "binder"), encoding="utf-8")
    (tmp_path / "test_binder.py").write_text(both.format(tmp_path, "binder", "unit"), encoding="utf-8")
    (tmp_path / "test_js.py").write_text("def test_bad(): assert 'js' == 'py'", encoding="utf-8")
    (tmp_path / "test_ui.py").write_text(f"import os\ndef test_last(): assert os.path.exists(r'{tmp_path}/unit')", encoding="utf-8")

    done = _python("-c", _STAGES, tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_PLUGINS="pytest_rerunfailures,pytest_timeout")

    assert done.returncode == 1, done.stdout + done.stderr
    parts = done.stdout.split(">>> ")[1:]
    said = {part.splitlines()[0]: part for part in parts}
    assert set(list(said)[:3]) == {"stage unit", "stage js", "stage binder"}
    assert list(said)[3] == "stage ui"
    assert "1 failed" in said["stage js"] and "1 passed" in said["stage binder"]
    assert "1 failed, 3 passed" in done.stdout.splitlines()[-1]
