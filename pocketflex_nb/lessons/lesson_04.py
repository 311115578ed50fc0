"""Lesson 04, flows from Mermaid text: exercises about the diagrams of a telegraph office."""

from __future__ import annotations

from collections.abc import Iterator

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import Checked, ExercisePoint, exercise, point, slip, tried, trouble, way


@exercise(
    "04.1", "Stamp it",
    hints=(
        "The arrow labelled `fits` is taken when a telegram fits. Your box belongs on that arrow.",
        "Cut the arrow in two: the first half keeps the label and ends at `stamp`, the second half goes from `stamp` to `send`.",
        "`cut -->|fits| ___ --> send`, in place of the last line.",
    ),
)
def _stamped(flow: object) -> Checked:
    yield from _is_flow(flow)
    run = tried(flow, {"module": "json"})
    yield from _ends_well(run)
    names, _ = way(run)
    yield point("stamp" in names, "The stamp is in the diagram.", "Nothing is stamped yet: no arrow that is taken leads to `stamp`.")
    yield slip("send" not in names, "It is stamped and never sent: an arrow has to lead from `stamp` to `send`.")
    yield slip(run.store["stamps"] > 1, f"It was stamped {run.store['stamps']} times: `stamp` is in the loop, and belongs after it.")
    yield slip(names.index("stamp") < names.index("cut"), "It is stamped before a word was cut. It has to fit first.")
    yield slip(
        {("cut", "send"), ("cut", "stamp")} <= _arrows(run),
        "`stamp` and `send` run in parallel, both from `cut`: `send` has to come after `stamp`.",
    )
    yield slip(names.index("stamp") > names.index("send"), "It is stamped after it was sent. First `stamp`, then `send`.")
    yield from _still_cuts(run)
    yield point(("stamp", "send") in _arrows(run), "Cut, stamped, sent.", "`send` has to come right after `stamp`.")


@exercise(
    "04.2", "Sent and filed",
    hints=(
        "One arrow may lead to two boxes, and from two boxes to one.",
        "`a --> b & c --> d` runs `b` and `c` in parallel after `a`, and waits for both at `d`. The label is written on the arrow as "
        "usual.",
        "`cut -->|fits| send & ___ --> ___`, in place of the last two lines.",
    ),
)
def _billed(flow: object) -> Checked:
    yield from _is_flow(flow)
    run = tried(flow, {"module": "json"})
    yield from _ends_well(run)
    names, arrows = way(run)[0], _arrows(run)
    absent = [name for name in ("send", "file", "bill") if name not in names]
    yield point(not absent, "It is sent, filed and billed.", f"The run never came to {' and '.join(f'`{name}`' for name in absent)}.")
    in_turn = ("send", "file") in arrows or ("file", "send") in arrows
    yield slip(in_turn, "One waits for the other. Let the arrow from `cut` lead to both.")
    yield from _still_cuts(run)
    yield point({("cut", "send"), ("cut", "file")} <= arrows, "Both run in parallel.", "Both have to come directly after `cut`, on `fits`.")
    yield slip(("cut", "bill") in arrows, "`bill` runs in parallel with the others. It has to come after them.")
    before = sorted(source for source, target in arrows if target == "bill")
    yield slip(before in (["send"], ["file"]), f"`bill` waits for `{''.join(before[:1])}` only. Lead both arrows to it.")
    yield point(
        run.store["bills"] == [(run.store["telegram"], run.store["filed"])], "One bill, when both are done.",
        f"There were {len(run.store['bills'])} bills: the two branches have to meet at one `bill`.",
    )


@exercise(
    "04.3", "A pigeon for the worst case",
    hints=(
        "Of the three kinds of arrows, one is taken when a node fails.",
        "`wire` needs two arrows: the one that is there, and a dotted one to `pigeon`. After `pigeon` comes `note`.",
        "`wire -.-> ___ --> ___`, as one more line.",
    ),
)
def _pigeon(flow: object) -> Checked:
    yield from _is_flow(flow)
    storm = tried(flow, {"module": "json", "storm": True})
    names, _ = way(storm)
    solid = ("wire", "pigeon") in _arrows(storm)
    yield slip(solid, "A solid arrow is taken when the node succeeds. The arrow for a failed node is dotted, `-.->`.")
    yield slip(
        ("wire", "note") in _arrows(storm, "error"),
        "When the wire fails, `note` comes at once, and the telegram is not taken: lead the dotted arrow to `pigeon`.",
    )
    yield point(
        storm.error is None, "In a storm the run does not fail.",
        "In a storm the wire fails, and the run with it: `wire` needs an arrow for failures, `-.->`.",
    )
    yield point("pigeon" in names, "In a storm the pigeon is used.", "In a storm `pigeon` has to run: lead the dotted arrow to it.")
    yield point(names[-1] == "note", "Then comes the note.", "Nothing comes after `pigeon`. Lead an arrow from it to `note`.")
    yield slip(
        names != ["fetch", "wire", "pigeon", "note"],
        f"In a storm the run went {' → '.join(names)}: fetch → wire → pigeon → note is asked for.",
    )
    fair = tried(flow, {"module": "json", "calm": True})
    yield from _ends_well(fair)
    yield point(
        way(fair)[0] == ["fetch", "wire", "note"],
        "On a calm day the pigeon is not used.",
        f"On a calm day the run went {' → '.join(way(fair)[0])}, and the pigeon must not be used.",
    )


@exercise(
    "04.4", "Three attempts first",
    hints=(
        "The arrow to the pigeon is that of exercise 4.3. The number of attempts is a setting.",
        "A setting is a line of the diagram that begins with `%% pf:`, and names the box, a dot, `retries`, and a number.",
        "`%% pf: ___.retries=___`, and the two arrows of exercise 4.3.",
    ),
)
def _patient(flow: object) -> Checked:
    yield from _is_flow(flow)
    fair = tried(flow, {"module": "json"})
    tries = _tries(fair)
    yield slip(tries == 2, "`retries` counts all attempts, the first one included: three attempts are `retries=3`.")
    yield slip(tries == 1, "The wire makes one attempt. The setting is a line of the diagram, `%% pf: wire.retries=...`.")
    yield point(tries == 3, "The wire makes up to three attempts.", f"The wire makes {tries} attempts.")
    yield point(
        fair.store.get("sent by") == "wire",
        "The third attempt succeeds.",
        "The third attempt succeeds, but the pigeon took the telegram, too: its arrow has to be dotted.",
    )
    storm = tried(flow, {"module": "json", "storm": True})
    yield point(
        storm.error is None and storm.store.get("sent by") == "pigeon", "In a storm the pigeon is used after three attempts.",
        "In a storm all three attempts fail, and the pigeon has to take the telegram, as in exercise 4.3.",
    )
    yield slip(_tries(storm) != 3, f"In a storm the wire makes {_tries(storm)} attempts, and should make three.")
    yield point(way(storm)[0][-1] == "note", "Then comes the note.", "Nothing comes after `pigeon`. Lead an arrow from it to `note`.")


def _tries(run: Run) -> int:
    """How many attempts the wire made."""
    return 1 + len([event for event in run.events if event.kind == "node_retried" and event.node == "wire"])


def _is_flow(flow: object) -> Iterator[ExercisePoint]:
    yield slip(not isinstance(flow, Flow), "That is not a flow: run the cell with the diagram first, then this one.")


def _still_cuts(run: Run) -> Iterator[ExercisePoint]:
    lost = ("cut", "cut") not in _arrows(run)
    yield slip(lost, "A long telegram is cut once and is still too long: the arrow `long` has to lead back to `cut`.")


def _ends_well(run: Run) -> Iterator[ExercisePoint]:
    yield slip(isinstance(run.error, TimeoutError), "The run does not end: the diagram has a loop without an exit.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")


def _arrows(run: Run, kind: str = "action") -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in run.graph.edges if edge.kind == kind}
