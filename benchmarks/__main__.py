"""The one command; see the package's docstring."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import environments, report
from benchmarks.kit import ENTRIES, Entry, cases, load_adapters

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
#: what `--quick` looks at
QUICK = ("hop_sync", "hop_async", "hop_store", "event_memory", "fanout_sleep0_1k", "parallel_batch", "cancel_200", "import_cold")
OURS = ("bare Python", "pocketflex_nb")
#: seconds above which a repetition is not made more than twice
SLOW = 4.0
#: which run a repetition belongs to: ratios are taken within one
PASS = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
#: every repetition of the last run, for `--add`
RAW = HERE / "out" / "raw.jsonl"


def options() -> argparse.Namespace:
    ask = argparse.ArgumentParser(prog="python -m benchmarks", description="Every system beside the least that Python can do.")
    ask.add_argument("--quick", action="store_true", help="a short slice: ours and the limit, 3 rounds, nothing written")
    ask.add_argument("--cases", help="names, separated by commas; default: all")
    ask.add_argument("--systems", help="names, separated by commas; default: all")
    ask.add_argument("--reps", type=int, help="rounds; default 7; what takes longer than a few seconds is run twice only")
    ask.add_argument("--add", action="store_true", help="keep what an earlier run measured of every case that is not run now")
    ask.add_argument("--list", action="store_true", help="say what there is, and stop")
    ask.add_argument("--write", action=argparse.BooleanOptionalAction,
                     help="keep results.json and RESULTS.md; default: when all ran")
    return ask.parse_args()


def chosen(asked: argparse.Namespace) -> list[Entry]:
    """The entries to run, in the order of the table."""
    names = asked.cases.split(",") if asked.cases else QUICK if asked.quick else list(cases())
    systems = asked.systems.split(",") if asked.systems else OURS if asked.quick else None
    unknown = sorted(set(names) - set(cases()))
    if unknown:
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(cases())}")
    if systems and (unknown := sorted(set(systems) - {e.system for e in ENTRIES.values()})):
        raise SystemExit(f"no system {', '.join(unknown)}; there are {', '.join(sorted({e.system for e in ENTRIES.values()}))}")
    return [e for name in names for e in ENTRIES.values() if e.case == name and (systems is None or e.system in systems)]


def once(found: Entry) -> dict[str, Any]:
    """One repetition of an entry, in a fresh process."""
    env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "",
           "LANGSMITH_TRACING": "false"}
    record: dict[str, Any] = {"case": found.case, "system": found.system, "variant": found.variant, "pass": PASS}
    try:
        done = subprocess.run(
            [environments.python_of(found.venv), "-m", "benchmarks.worker", *found.key],
            cwd=ROOT, env=env, capture_output=True, text=True, timeout=found.timeout, check=False,
        )
    except subprocess.TimeoutExpired:
        return record | {"error": f"not done after {found.timeout:g} s"}
    line = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("RESULT ")), None)
    if line is None:
        return record | {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    return record | json.loads(line.removeprefix("RESULT "))


def measure(entries: list[Entry], rounds: int) -> list[dict[str, Any]]:
    """Every entry `rounds` times; inside a round case by case, so that an entry and its limit run within the same minute."""
    rng, raw, slow = random.Random(7), [], set()
    for number in range(1, rounds + 1):
        for name in dict.fromkeys(e.case for e in entries):
            row = [e for e in entries if e.case == name and (number <= 2 or e.key not in slow)]
            rng.shuffle(row)
            for found in row:
                start = time.monotonic()
                record = once(found)
                raw.append(record)
                with RAW.open("a") as kept:
                    kept.write(json.dumps(record) + "\n")
                if time.monotonic() - start > SLOW:
                    slow.add(found.key)
                told = record.get("error") or f"{cases()[name].value(record):.4g} {cases()[name].unit}"
                print(f"[{number}/{rounds}] {name:20} {found.system:22} {found.variant:44} {told}", file=sys.stderr, flush=True)
    return raw


def known(entries: list[Entry]) -> list[dict[str, Any]]:
    """What earlier runs measured of everything else, and of the limits too: each run has its own."""
    now = {e.key for e in entries if not e.limit}
    records = [json.loads(line) for line in RAW.read_text().splitlines()] if RAW.exists() else []
    return [r for r in records if (key := (r["case"], r["system"], r["variant"])) in ENTRIES and key not in now]


def setting(entries: list[Entry], rounds: int) -> dict[str, Any]:
    """What the figures hold for."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "rounds": rounds,
        "commit": head.stdout.strip(),
        "versions": {venv: environments.versions(venv) for venv in environments.PEERS if environments.python_of(venv).exists()},
    }


def main() -> int:
    asked = options()
    load_adapters()
    entries = chosen(asked)
    if asked.list:
        print("\n".join(f"{e.case:22} {e.system:22} {e.variant}" for e in entries))
        return 0
    for venv in sorted({e.venv for e in entries}):
        environments.ensure(venv)
    rounds = asked.reps or (3 if asked.quick else 7)
    before = known(entries) if asked.add else []
    RAW.parent.mkdir(exist_ok=True)
    RAW.write_text("".join(json.dumps(record) + "\n" for record in before))
    raw = [*before, *measure(entries, rounds)]
    told = report.summary(cases(), raw)
    table, met = report.markdown(told, cases()), report.verdicts(told)
    print(table)
    print("\n".join(met))
    held = setting(entries, rounds)
    if asked.add and (HERE / "results.json").exists():
        held, told = merged(json.loads((HERE / "results.json").read_text()), held, told)
        table, met = report.markdown(told, cases()), report.verdicts(told)
    if asked.write or (asked.write is None and not (asked.quick or asked.cases or asked.systems)):
        write(held, told, table, met)
    return 0


def merged(known: dict[str, Any], held: dict[str, Any], told: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Setting and cases of an earlier run, with the cases of this one, which say when they were measured."""
    measured = {name: held[name] for name in ("date", "commit", "python", "rounds")}
    found = {**known["cases"], **{name: case | {"measured": measured} for name, case in told.items()}}
    versions = {**known["setting"]["versions"], **held["versions"]}
    return known["setting"] | {"versions": versions}, {name: found[name] for name in cases() if name in found}


def write(held: dict[str, Any], told: dict[str, Any], table: str, met: list[str]) -> None:
    """Keep the figures beside the code that made them."""
    (HERE / "results.json").write_text(json.dumps({"setting": held, "cases": told}, indent=1, ensure_ascii=False) + "\n")
    peers = ", ".join(f"{name} {number}" for venv in held["versions"].values() for name, number in venv.items())
    (HERE / "RESULTS.md").write_text(
        f"# Benchmarks\n\n`python -m benchmarks`, {held['date']}, commit {held['commit']}, Python {held['python']}, "
        f"{held['system']} shared with others; medians of fresh processes (column reps), ratios to the limit of the same run. "
        f"Single figures that differ by less than a third are noise; CPU time suffers less from who else works here.\n\n"
        f"Peers: {peers}.\n\n{table}\n## Marks\n\n"
        + "\n".join(f"- {line}" for line in met) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
