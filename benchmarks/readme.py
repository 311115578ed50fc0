"""The table of the README's performance section, written from `results.json`: ``python -m benchmarks.readme``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- benchmarks: written by benchmarks/readme.py -->", "<!-- /benchmarks -->"
PEERS = ("pocketflow", "pydantic-graph 2", "burr", "langgraph", "llama-index-workflows")
#: cases compared with the limit, with the words for them
RATIOS = {
    "hop_sync": "a hop, plain functions", "hop_async": "a hop, coroutines", "hop_observed_sync": "a hop, kept in memory",
    "hop_store": "a hop on a store that keeps versions", "fanout_sleep0_10k": "10 000 flows at once",
    "fanout_sleep10ms_10k": "10 000 flows that wait 10 ms", "parallel_batch": "a batch of 10 000 items, 100 at a time",
    "agent_call": "an agent's call", "agent_cast": "an agent's cast",
}
#: what is kept in a file: cases with the words for them
KEPT = {
    "journal_node": "a hop kept by `durability=\"node\"`, beside a bare INSERT (NORMAL)",
    "journal_power": "by `\"power\"` (FULL)", "journal_batch": "by `\"batch\"` (NORMAL)",
    "journal_many": "a hop of 1 000 runs at once, FULL, beside one run's", "journal_bytes": "bytes a hop: 100 keys, 1 changes",
    "journal_reopen": "reopen a run of 100 000 steps: first picture", "journal_state": "whole state and store",
    "journal_resume": "resume a run of 10 000 finished nodes: next node",
}
#: cases in their own unit
PLAIN = {
    "hop_scaling": "a hop of 1 000 000 beside one of 10 000", "cancel_10k": "cancel 10 000 waiting runs",
    "event_memory": "memory of a hop's record", "import_cold": "`import pocketflex_nb` beyond `import asyncio`",
    "agent_restart": "a supervised restart",
}


def best(case: dict[str, Any], system: str) -> dict[str, Any] | None:
    """The quickest row of a system, ours the marked one."""
    rows = [row for row in case["rows"] if row["system"] == system and row.get("median") is not None]
    marked = [row for row in rows if row["marked"]]
    return min(marked or rows, key=lambda row: row["median"], default=None)


def times(row: dict[str, Any] | None) -> str:
    """A ratio, by processor time where it was measured."""
    ratio = None if row is None else row.get("ratio_cpu") or row.get("ratio")
    return "–" if not ratio else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def told(case: dict[str, Any]) -> tuple[str, str]:
    """Our figure and our mark, in the case's own unit."""
    row = best(case, "pocketflex_nb")
    verdict = ((row or {}).get("verdict") or {}).get("mark")
    if row is None:
        return "–", "–"
    got = verdict["got"] if verdict else row["median"]
    unit = verdict["unit"] if verdict else case["unit"]
    return f"{got:.3g} {unit}", f"{verdict['allowed']:g} {unit}" if verdict else "–"


def table(results: dict[str, Any]) -> str:
    """The section's tables as Markdown."""
    cases, setting = results["cases"], results["setting"]
    lines = [
        "Processor time as a ratio to the least that bare Python needs for the same work, the best variant of each system; "
        f"{setting['date']}, commit {setting['commit']}, Python {setting['python']}, {setting['system']}, by `python -m benchmarks`. "
        "Differences under a third are noise. All rows, with spreads and versions: [benchmarks/RESULTS.md](benchmarks/RESULTS.md).", "",
        "| | pocketflex_nb | mark | " + " | ".join(PEERS) + " |", "|---|---:|---:|" + "---:|" * len(PEERS),
    ]
    for name, words in RATIOS.items():
        if name in cases:
            row = best(cases[name], "pocketflex_nb")
            mark = ((row or {}).get("verdict") or {}).get("mark")
            allowed = f"{mark['allowed']:g}x" if mark else "–"
            others = " | ".join(times(best(cases[name], peer)) for peer in PEERS)
            lines.append(f"| {words} | **{times(row)}** | {allowed} | {others} |")
    lines += ["", "| | pocketflex_nb | mark |", "|---|---:|---:|"]
    lines += [f"| {words} | {' | '.join(told(cases[name]))} |" for name, words in PLAIN.items() if name in cases]
    return "\n".join([*lines, *kept(cases)])


def kept(cases: dict[str, Any]) -> list[str]:
    """The tables of journals."""
    if "journal_hop" not in cases:
        return []
    measured = cases["journal_hop"].get("measured") or {}
    at = f" ({measured['date']}, commit {measured['commit']}, Python {measured['python']}, a machine that others used)" if measured else ""
    lines = ["", f"Runs kept in SQLite, by wall time{at}; a mark that is missed is shown as it is:", "",
             "| | pocketflex_nb | mark |", "|---|---:|---:|"]
    for name, words in KEPT.items():
        if name in cases:
            got, mark = told(cases[name])
            row = best(cases[name], "pocketflex_nb") or {}
            missed = ((row.get("verdict") or {}).get("mark") or {}).get("met") is False
            spent = row.get("extra", {}).get("processor time, s")
            also = "" if spent is None else f", {spent:.2f} s of processor time"
            lines.append(f"| {words} | {got}{also}{' (missed)' if missed else ''} | {mark} |")
    ours = best(cases["journal_hop"], "pocketflex_nb")
    lines += ["", "| a step that is kept before the next one begins | us | beside ours |", "|---|---:|---:|"]
    for row in sorted((row for row in cases["journal_hop"]["rows"] if "median" in row), key=lambda row: row["median"]):
        ratio = f"{row['median'] / ours['median']:.2f}x" if ours else "–"
        lines.append(f"| {row['system']}: {row['variant']} | {row['median']:,.0f} | {ratio} |")
    return lines


def main() -> None:
    results = json.loads((ROOT / "benchmarks/results.json").read_text())
    path = ROOT / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")


if __name__ == "__main__":
    main()
