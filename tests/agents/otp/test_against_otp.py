"""Three hundred random programs do here what they did on Erlang/OTP 25 and Elixir 1.14, on the test's loop and on the engine thread.

`seed-1.jsonl.gz` has a line for each: the program, and what was written down there in each of its steps. What the two sides may order
differently is brought into one order before they are compared.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.agents import Agent
from tests.agents.otp import servers, supervisors
from tests.agents.otp.worlds import Inline, Thread

FAMILIES = ("dyn", "gs", "part", "reg", "stream", "sup", "task")
RUN = {family: getattr(supervisors, f"run_{family}", None) or getattr(servers, f"run_{family}") for family in FAMILIES}


@cache
def programs() -> dict[str, list[tuple[Any, Any]]]:
    found: dict[str, list[tuple[Any, Any]]] = {family: [] for family in FAMILIES}
    with gzip.open(Path(__file__).parent / "seed-1.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            found[one["program"]["fam"]].append((one["program"], one["steps"]))
    return found


def _is_answer(line: str) -> bool:
    """An answer to a queued request: when it is read is the driver's affair."""
    return bool(re.match(r"q\d|res |stopped ", line))


def canonical(family: str, step: list[str]) -> list[Any]:
    if family in ("sup", "part") and "UNORDERED" not in step:
        return [line for line in step if not _is_answer(line)] + sorted(line for line in step if _is_answer(line))
    if family == "gs":
        return _by_server(step)
    if family == "reg":  # who starts by a name has none yet when the listener hears of it
        return sorted(" ".join([*line.split(" ")[:3], "*", ""]) if re.match("L reg.* $", line) else line for line in step)
    if family == "task":
        return [line.replace("via:", "") for line in step]
    return sorted(line.replace("via:", "") if family == "stream" else line for line in step)


def _by_server(step: list[str]) -> list[Any]:
    """What each one did, in order; signals of one death to several are not ordered, and one that dies by it may not hear of others."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for line in step:
        who, _, what = line.partition(" ")
        if who == "exit":
            who, what = what.split(" ")[0], line
        found.setdefault(who, ([], []))[what.startswith(("DOWN", "EXIT"))].append(what)
    return sorted(
        (who, did, [] if any(what.startswith("exit ") for what in did) else sorted(heard)) for who, (did, heard) in found.items()
    )


def _differ(family: str, ours: list[list[str]], theirs: list[list[str]]) -> str | None:
    if [canonical(family, step) for step in ours] == [canonical(family, step) for step in theirs]:
        return None
    for n, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if canonical(family, one) != canonical(family, other):
            return f"step {n}: OTP {other}, here {one}"
    return f"{len(theirs)} steps on OTP, {len(ours)} here"


async def _run(family: str, program: Any, where: Any) -> Any:
    first = await Agent.start(**where.options)  # from here on the loop has a log, which a Recorder finds
    await first.stop()
    return await RUN[family](program, where)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", [Inline(), Thread()], ids=["inline", "thread"])
@pytest.mark.parametrize("family", FAMILIES)
def test_random_programs_do_what_they_do_on_otp(family: str, where: Any) -> None:
    wrong = {}
    for program, theirs in programs()[family]:
        for _ in range(3):  # some wait by the real clock: what differs is asked again before it counts
            told = _differ(family, asyncio.run(_run(family, program, where)), theirs)
            if told is None:
                break
        else:
            wrong[program["id"]] = told

    assert not wrong
    assert len(programs()[family]) >= 12


def test_the_comparison_sees_a_difference() -> None:
    program, theirs = programs()["sup"][0]

    ours = asyncio.run(_run("sup", program | {"ops": program["ops"][:-1]}, Inline()))

    assert _differ("sup", ours, theirs)
