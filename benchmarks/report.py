"""What do the raw repetitions say? Medians, ratios to the limit of the same run, and whether the marks are met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.kit import ENTRIES, Case

__all__ = ["markdown", "summary", "verdicts"]

Raw = Mapping[str, Any]


def summary(cases: Mapping[str, Case], raw: Iterable[Raw]) -> dict[str, Any]:
    """Case to its rows; each row has the medians over the repetitions of one entry."""
    by_key: dict[tuple[str, str, str], list[Raw]] = {}
    for record in raw:
        by_key.setdefault((record["case"], record["system"], record["variant"]), []).append(record)
    told = {}
    for name, case in cases.items():
        rows = [_row(case, key, records) for key, records in by_key.items() if key[0] == name]
        rows.sort(key=lambda row: (row["order"], row["system"], row["variant"]))
        if rows:
            _compare(case, rows)
            told[name] = {"title": case.title, "unit": case.unit, "doc": case.doc, "rows": rows}
    return told


def _row(case: Case, key: tuple[str, str, str], records: list[Raw]) -> dict[str, Any]:
    found = ENTRIES[key]
    good = [record for record in records if "error" not in record]
    row: dict[str, Any] = {"system": key[1], "variant": key[2], "note": found.note, "order": found.order, "limit": found.limit,
                           "marked": found.marked, "reps": len(good)}
    if not good:
        return row | {"error": records[-1]["error"]}
    values = [case.value(record) for record in good]
    row["by_pass"] = {name: statistics.median(case.value(r) for r in good if r.get("pass", "") == name)
                      for name in {r.get("pass", "") for r in good}}
    row |= {"n": good[0]["n"], "median": statistics.median(values), "min": min(values), "max": max(values)}
    if case.cpu:
        row["cpu"] = statistics.median(case.cpu(record) for record in good)
    row["extra"] = {}
    for label, read, _ in case.extra:
        read_values = [value for record in good if (value := read(record)) is not None]
        if read_values:
            row["extra"][label] = statistics.median(read_values)
    return row


def _compare(case: Case, rows: list[dict[str, Any]]) -> None:
    limit = next((row for row in rows if row["limit"] and "median" in row), None)
    for row in rows:
        if "median" not in row:
            continue
        if limit is not None:
            ratios = [value / limit["by_pass"][name] for name, value in row["by_pass"].items() if name in limit["by_pass"]]
            if ratios:
                row["ratio"] = statistics.median(ratios)
            if limit.get("cpu") and "cpu" in row:
                row["ratio_cpu"] = row["cpu"] / limit["cpu"]
        if row["marked"]:
            row["verdict"] = _verdict(case, row)


def _verdict(case: Case, row: Mapping[str, Any]) -> dict[str, Any]:
    got = row.get("ratio") if case.by_ratio else row["median"]
    parts: dict[str, Any] = {}
    if case.mark is not None and got is not None:
        parts["mark"] = {"allowed": case.mark, "got": got, "unit": "x" if case.by_ratio else case.unit, "met": got <= case.mark}
    memory = next((value for label, value in row["extra"].items() if "KiB" in label), None)
    if case.memory_mark is not None and memory is not None:
        parts["memory"] = {"allowed": case.memory_mark, "got": memory, "unit": "KiB", "met": memory <= case.memory_mark}
    return parts


def verdicts(told: Mapping[str, Any]) -> list[str]:
    """One line per mark of ours."""
    lines = []
    for name, case in told.items():
        for row in case["rows"]:
            for what, part in row.get("verdict", {}).items():
                met, got, allowed = "meets " if part["met"] else "MISSES", short(part["got"]), short(part["allowed"])
                lines.append(f"{met} {name} ({row['variant']}): {what} {got} of {allowed} {part['unit']}")
    return lines


def short(x: float | None) -> str:
    """A number with three digits that count."""
    if x is None:
        return "–"
    size = abs(x)
    return f"{x:,.0f}" if size >= 100 else f"{x:.1f}" if size >= 10 else f"{x:.2f}" if size >= 1 else f"{x:.3f}"


def markdown(told: Mapping[str, Any], cases: Mapping[str, Case]) -> str:
    """A section and a table per case."""
    return "\n".join(line for name, case in told.items() for line in _section(cases[name], case))


def _section(case: Case, told: Mapping[str, Any]) -> list[str]:
    labels = [label for label, _, _ in case.extra]
    forms = {label: form for label, _, form in case.extra}
    limited = any(row["limit"] for row in told["rows"])
    head = ["system", "variant", told["unit"], "min–max"]
    head += ["CPU"] if case.cpu else []
    head += ["x limit"] if limited else []
    head += ["x limit (CPU)"] if limited and case.cpu else []
    head += [*labels, "reps"]
    mark = ""
    if case.mark is not None:
        mark = f" Mark: {short(case.mark)}{'x' if case.by_ratio else ' ' + case.unit}"
        mark += f", {short(case.memory_mark)} KiB." if case.memory_mark is not None else "."
    lines = [f"### {case.title}", "", f"{case.doc}{mark}", ""]
    lines += ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    for row in told["rows"]:
        name = f"**{row['system']}**" if row["marked"] else row["system"]
        variant = row["variant"] + (" *(limit)*" if row["limit"] else "")
        if "median" not in row:
            lines.append(f"| {name} | {variant} | failed: {row['error'][:80]} |" + " |" * (len(head) - 3))
            continue
        cells = [name, variant, short(row["median"]), f"{short(row['min'])}–{short(row['max'])}"]
        cells += [short(row.get("cpu"))] if case.cpu else []
        cells += [short(row.get("ratio"))] if limited else []
        cells += [short(row.get("ratio_cpu"))] if limited and case.cpu else []
        cells += [forms[label].format(row["extra"][label]) if label in row["extra"] else "–" for label in labels]
        cells += [str(row["reps"])]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]
