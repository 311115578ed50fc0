"""Runs as OTLP JSON for OpenTelemetry viewers: a trace per run, a span per visit."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable

from pocketflex_nb.core.events import Event
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.views.text.redaction import redacted

__all__ = ["otlp_json"]


def otlp_json(runs: Iterable[ViewedRun]) -> str:
    """The runs as one ``ExportTraceServiceRequest`` in OTLP's JSON form; ids are made of names, so equal runs give equal files.

    References
    ----------
    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    version = sys.modules["pocketflex_nb"].__version__
    scope = {"scope": {"name": "pocketflex_nb", "version": version}, "spans": [span for run in runs for span in _spans(run)]}
    resource = {"attributes": [_attribute("service.name", "pocketflex_nb")]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}, indent=1)


def _spans(run: ViewedRun) -> list[dict[str, object]]:
    events = run.events
    if not events:
        return []
    trace, root = _id(run.name, 32), _id(f"{run.name}/", 16)
    spans = [_span(trace, root, "", run.name, events[0], events[0].ns, events[-1], run.status == "failed", {"status": run.status})]
    for event in events:
        if event.kind in ("node_finished", "node_failed"):
            facts = {"address": event.address, **{k: event.get(k) for k in ("action", "error") if event.get(k)}}
            failed = event.kind == "node_failed"
            start = int(event.get("start", event.ns))
            spans.append(_span(trace, _id(f"{run.name}/{event.seq}", 16), root, event.node, event, start, event, failed, facts))
    return spans


def _span(
    trace: str, span: str, parent: str, name: str, begun: Event, start: int, ended: Event, failed: bool, facts: dict[str, object]
) -> dict[str, object]:
    first = int(begun.time * 1e9) - (begun.ns - start)
    return {
        "traceId": trace, "spanId": span, "parentSpanId": parent, "name": redacted(name), "kind": 1,
        "startTimeUnixNano": str(first), "endTimeUnixNano": str(int(ended.time * 1e9)),
        "attributes": [_attribute(f"pocketflex.{key}", value) for key, value in facts.items()],
        "status": {"code": 2, "message": redacted(str(facts.get("error") or ""))} if failed else {"code": 1},
    }


def _attribute(key: str, value: object) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": redacted(str(value))}}


def _id(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
