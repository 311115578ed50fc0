"""Kills a program at random moments and between any two writes, lets it go on, and looks at what was done twice or lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketflex_nb.journal.journal import Journal

__all__ = ["Outcome", "undisturbed", "walked"]

_TARGET = Path(__file__).with_name("kill_target.py")


@dataclass
class Outcome:
    """What became of one run.

    Attributes
    ----------
    done : dict
        Its store and its hops at its end.
    kills : int
        How often its process was killed.
    keys : list of str
        The keys of its calls, repetitions included.
    repeated : list of str
        Addresses of calls that were made again although the journal had their results.
    """

    done: dict[str, Any]
    kills: int = 0
    keys: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)


def _start(folder: Path, shape: str, durability: str, kill_at: int | None = None) -> subprocess.Popen[bytes]:
    env = os.environ | ({"KILL_AT": str(kill_at)} if kill_at is not None else {})
    command = [sys.executable, str(_TARGET), str(folder), shape, durability]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _effects(folder: Path) -> list[dict[str, Any]]:
    file = folder / "effects"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _recorded(folder: Path) -> set[str]:
    """The addresses whose calls need not be made again."""
    path = folder / "runs.sqlite"
    if not path.exists():
        return set()
    journal = Journal(path)
    try:
        histories = list(journal.histories())
    finally:
        journal._file.close()
    return {address for history in histories for address in (*history.finished, *history.results)}


def walked(folder: Path, shape: str, durability: str, *, kills: int = 0, points: list[int] | None = None, seed: int = 0) -> Outcome:
    """Walk a shape to its end, killed so often at random moments, or at these points of its writes."""
    chance, outcome = random.Random(seed), Outcome({})
    plan: list[int | None] = [*(points or []), *[None] * kills]
    while not (folder / "done").exists():
        before, known = len(_effects(folder)), _recorded(folder)
        point = plan.pop(0) if plan else -1
        with _start(folder, shape, durability, point if point is not None and point >= 0 else None) as child:
            if point is None:
                begin = time.monotonic()
                while child.poll() is None and len(_effects(folder)) == before and time.monotonic() - begin < 30:
                    time.sleep(0.002)  # python itself takes most of the time: what is to be killed is the walk
                time.sleep(chance.uniform(0, 0.06))
                child.send_signal(signal.SIGKILL)
            _, told = child.communicate(timeout=120)
            killed = child.returncode == -signal.SIGKILL
        outcome.kills += killed
        assert killed or child.returncode == 0, told.decode()
        outcome.repeated += [line["address"] for line in _effects(folder)[before:] if line["address"] in known]
    outcome.done = json.loads((folder / "done").read_text())
    outcome.keys = [line["key"] for line in _effects(folder)]
    return outcome


def undisturbed(folder: Path, shape: str) -> Outcome:
    """The same without any kill."""
    return walked(folder, shape, "node")
