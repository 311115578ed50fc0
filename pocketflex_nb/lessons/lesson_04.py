"""Lesson 04, flows from Mermaid text: exercises about the diagrams of a telegraph office."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import Checked, ExercisePoint, exercise, point, slip, tried, trouble, way


@exercise(
    "04.1", "Stamp it",
    hints=(
        "Which arrow says that a telegram fits? Your box belongs on that one.",
        "Cut the arrow in two: the first half keeps the label and ends at `stamp`, the second half goes from `stamp` to `send`.",
        "`cut -->|fits| ___ --> send`, in place of the last line.",
    ),
)
def _stamped(flow: object) -> Checked:
    yield from _is_flow(flow)
    run = tried(flow, {"module": "json"})
    yield from _ends_well(run)
    names, _ = way(run)
    yield point("stamp" in names, "The stamp is in the picture.", "Nobody stamps yet: `stamp` has no place in the picture.")
    yield slip("send" not in names, "It is stamped and never sent: an arrow has to leave `stamp`, too.")
    yield slip(run.store["stamps"] > 1, f"It was stamped {run.store['stamps']} times: the stamp stands in the loop. It belongs behind it.")
    yield slip(names.index("stamp") < names.index("cut"), "It is stamped before a word was cut. First it has to fit.")
    yield slip(("cut", "send") in _arrows(run), "Stamp and send set out together, both from `cut`: one after the other, please.")
    yield slip(names.index("stamp") > names.index("send"), "It is stamped when it is gone. First the stamp, then `send`.")
    yield from _still_cuts(run)
    yield point(("stamp", "send") in _arrows(run), "Cut, stamped, sent.", "`send` has to come right after `stamp`.")


@exercise(
    "04.2", "Sent and filed",
    hints=(
        "One arrow may lead to two boxes, and two boxes to one.",
        "`a --> b & c --> d` sends both ways from `a`, and waits for both at `d`. A label stands on the arrow as ever.",
        "`cut -->|fits| send & ___ --> ___`, in place of the last two lines.",
    ),
)
def _billed(flow: object) -> Checked:
    yield from _is_flow(flow)
    run = tried(flow, {"module": "json"})
    yield from _ends_well(run)
    names, arrows = way(run)[0], _arrows(run)
    absent = [name for name in ("send", "file", "bill") if name not in names]
    yield point(not absent, "It is sent, filed and billed.", f"The way never came to {' and '.join(f'`{name}`' for name in absent)}.")
    in_turn = ("send", "file") in arrows or ("file", "send") in arrows
    yield slip(in_turn, "Now one waits for the other. Let the arrow from `cut` lead to both at once.")
    yield from _still_cuts(run)
    yield point({("cut", "send"), ("cut", "file")} <= arrows, "Both set out at once.", "Both have to set out from `cut`, on `fits`.")
    yield slip(("cut", "bill") in arrows, "The bill sets out together with the others. It has to come after them.")
    before = sorted(source for source, target in arrows if target == "bill")
    yield slip(before in (["send"], ["file"]), f"The bill waits for `{''.join(before[:1])}` alone. Lead both arrows to it.")
    yield point(
        run.store["bills"] == [(run.store["telegram"], run.store["filed"])], "One bill, when both are done.",
        f"There were {len(run.store['bills'])} bills: the two ways have to meet at one `bill`.",
    )


@exercise(
    "04.3", "A pigeon for the worst case",
    hints=(
        "Of the three kinds of arrows, one is taken when a node fails.",
        "From `wire` lead two arrows: the one that is there, and a dotted one to the pigeon. And the pigeon is not the end.",
        "`wire -.-> ___ --> ___`, as one more line.",
    ),
)
def _pigeon(flow: object) -> Checked:
    yield from _is_flow(flow)
    storm = tried(flow, {"module": "json", "storm": True})
    names, _ = way(storm)
    solid = ("wire", "pigeon") in _arrows(storm)
    yield slip(solid, "A solid arrow is the way when all went well: now the pigeon flies on fair days. When a node fails: `-.->`.")
    yield slip(("wire", "note") in _arrows(storm, "error"), "When the wire fails you make a note of it, and nobody carries the telegram.")
    yield point(storm.error is None, "In a storm it gets through.", "In a storm the wire fails, and all ends. Which arrow is for that?")
    yield point("pigeon" in names, "The pigeon flies.", "In a storm the pigeon has to fly: lead the dotted arrow to it.")
    yield point(names[-1] == "note", "Then comes the note.", "After the pigeon nothing comes. Lead an arrow from it to `note`.")
    fair = tried(flow, {"module": "json", "calm": True})
    yield from _ends_well(fair)
    yield point(way(fair)[0] == ["fetch", "wire", "note"], "On a fair day it stays at home.", "And on a fair day it has to stay at home.")


@exercise(
    "04.4", "But not at once",
    hints=(
        "The pigeon's arrow you know from the exercise before. The tries are a setting.",
        "A setting is a line of the diagram that begins with `%% pf:`, and names the box, a dot, `retries`, and a number.",
        "`%% pf: ___.retries=___`, and the two arrows of exercise 4.3.",
    ),
)
def _patient(flow: object) -> Checked:
    yield from _is_flow(flow)
    fair = tried(flow, {"module": "json"})
    tries = _tries(fair)
    yield slip(tries == 2, "`retries` counts all tries, the first one too: three tries are `retries=3`.")
    yield slip(tries == 1, "The wire tries once. The setting is a line of the diagram, `%% pf: wire.retries=...`.")
    yield point(tries == 3, "The wire tries three times.", f"The wire tries {tries} times.")
    yield point(fair.store.get("sent by") == "wire", "The third try gets through.", "The third try works, but somebody else carried it.")
    storm = tried(flow, {"module": "json", "storm": True})
    yield point(
        storm.error is None and storm.store.get("sent by") == "pigeon", "In a storm the pigeon flies, after three tries.",
        "In a storm all three tries fail, and then? As in the exercise before.",
    )
    yield slip(_tries(storm) != 3, f"In a storm the wire tries {_tries(storm)} times: three are enough.")
    yield point(way(storm)[0][-1] == "note", "Then comes the note.", "After the pigeon nothing comes. Lead an arrow from it to `note`.")


def _tries(run: Run) -> int:
    """How often the wire was tried."""
    return 1 + len([event for event in run.events if event.kind == "node_retried"])


def _is_flow(flow: Any) -> Iterator[ExercisePoint]:
    yield slip(not isinstance(flow, Flow), "That is no flow: run the cell with the diagram first, then this one.")


def _still_cuts(run: Run) -> Iterator[ExercisePoint]:
    lost = ("cut", "cut") not in _arrows(run)
    yield slip(lost, "What is too long is cut once and goes out too long: the arrow `long` has to lead back to `cut`.")


def _ends_well(run: Run) -> Iterator[ExercisePoint]:
    yield slip(isinstance(run.error, TimeoutError), "It goes round and round: is there a way out of the loop?")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")


def _arrows(run: Run, kind: str = "action") -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in run.graph.edges if edge.kind == kind}
