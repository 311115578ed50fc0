"""A run with a journal whose process was killed: no call of a model or tool that was recorded is made again."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.environment import ROOT

TARGET = ROOT / "tests" / "llm" / "kill_target.py"
DEEDS = ["think 1", "add", "double", "think 2", "look", "sum up", "think 3", "judge 1", "judge 2"]
#: side by side: when one of them is killed, the other may be done, and not recorded yet
BESIDE = {"add", "double"}


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TARGET), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("at", [2, 6, 9])
def test_what_was_recorded_is_not_asked_again(tmp_path: Path, at: int) -> None:
    killed = _run(tmp_path, at)
    assert killed.returncode == -9, killed.stderr
    before = Counter(line for line in (tmp_path / "deeds.txt").read_text().splitlines() if line.startswith("done"))

    resumed = _run(tmp_path)

    assert resumed.stdout == "It is 3, 8, A PAGE ON TIDES. Verdict(ok=True) 50 7\n", resumed.stderr
    done = Counter(line.removeprefix("done ") for line in (tmp_path / "deeds.txt").read_text().splitlines() if line.startswith("done"))
    assert set(done) == set(DEEDS)
    assert sum(before.values()) >= min(at - 2, len(DEEDS))
    assert {name for name, times in done.items() if times > 1} <= (BESIDE if at in (2, 3) else set())
