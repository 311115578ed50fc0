"""Lesson 07, asking a person: exercises about steps that ask an editor, whom the checks replace by code that answers at once."""

from __future__ import annotations

from time import monotonic
from typing import Any

from pocketflex_nb.core.errors import CannotAsk
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.function_nodes import node
from pocketflex_nb.core.flow.nodes import Node
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.lessons.exercise import CHECK_TIMEOUT, Checked, exercise, point, slip, tried, trouble

_SENTENCE = "Text wrapping and filling."
_NOT_A_STEP = "That has to be the function, as it was: it takes the store."


@exercise(
    "07.1", "Ask before printing",
    hints=(
        "The editor's answer is the action, so the choices are the names of the arrows.",
        "`ask` takes the question and then a list of choices. What a step returns is its action.",
        "`return ask(shared[\"sentence\"], [___, ___])`, with the names that stand on the two arrows.",
    ),
)
def _gate(gate: object) -> Checked:
    yield slip(not callable(gate), _NOT_A_STEP)
    run, refused = _with_a_person(_sorted(gate), "print")
    yield slip(isinstance(run.error, CannotAsk), "`ask` was called where nobody can answer.")
    asked = _questions(run)
    yield slip(
        run.error is None and not asked,
        "The editor was never asked. (In an `async def`, `ask` needs `await`.)",
    )
    yield point(asked, "It asks.", "" if run.error is None else f"{trouble(run.error)}.")
    yield slip(asked[0]["schema"] is not None, "A form has fields to fill in. Two buttons are enough here: give `ask` the choices.")
    yield slip(
        asked[0]["timeout"] is not None, "After the `timeout` the run goes on without an answer. Here it has to wait for the editor: no "
        "`timeout`."
    )
    yield slip(_headless(gate), "With a `default` the run goes on without an answer when nobody can be asked: no `default` here.")
    yield slip(asked[0]["choices"] is None, "Any text is accepted as an answer, `\"perhaps\"` too: give `ask` the choices.")
    choices = set(asked[0]["choices"])
    yield point(
        not refused and choices == {"print", "drop"}, "Two buttons, print and drop.",
        f"The buttons are {', '.join(map(repr, asked[0]['choices']))}, and the arrows are named `print` and `drop`.",
    )
    yield point(
        _SENTENCE in asked[0]["question"], "The editor sees the sentence.",
        "The question does not show the sentence, `shared[\"sentence\"]`.",
    )
    yield slip(run.store.get("went") is None and run.error is None, "No arrow is taken: return the answer.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    dropped, _ = _with_a_person(_sorted(gate), "drop")
    yield point(
        (run.store["went"], dropped.store.get("went")) == ("press", "basket"), "The answer selects the arrow.",
        f"Answered print, it went to the {run.store.get('went')}; answered drop, to the {dropped.store.get('went')}. Return the answer "
        "itself.",
    )


@exercise(
    "07.2", "A form with two fields",
    hints=(
        "One `ask` can show a form with two fields.",
        "A `schema` is a dict from the name of a field to its type. The answer is a dict with the same keys.",
        "`shared[\"credit\"] = ask(\"Who wrote it?\", schema={\"name\": ___, \"year\": ___})`.",
    ),
)
def _credit(sign: Any) -> Checked:
    yield slip(not callable(sign), _NOT_A_STEP)
    run, refused = _with_a_person(Flow(node(sign)), {"name": "Greg Ward", "year": "1999"})
    asked = _questions(run)
    yield slip(run.error is not None and not refused, "" if run.error is None else f"{trouble(run.error)}.")
    yield point(asked, "It asks.", "Nobody was asked. (In an `async def`, `ask` needs `await`.)")
    form = asked[0]["schema"]
    yield slip(len(asked) > 1, "Those are two questions, one after the other. One form has both fields.")
    yield slip(form is None, "That is a free text, which you would have to split yourself: `schema=` makes it a form.")
    yield point(
        set(form) == {"name", "year"}, "A form with a name and a year.",
        f"The fields are {', '.join(map(repr, form))}, and should be `name` and `year`.",
    )
    yield slip(refused, f"The form refused a name and a year: {refused}.")
    credit = run.store.get("credit")
    yield slip(credit is None, "The answer is not kept: write it to `shared[\"credit\"]`.")
    yield slip(
        credit == {"name": "Greg Ward", "year": "1999"},
        "The year is a text, `'1999'`, as it was typed: declare it as an `int` in the form.",
    )
    yield point(
        credit == {"name": "Greg Ward", "year": 1999}, "Kept, and the year is a number.",
        f"`credit` is {credit!r}, and should be the answer, a dict with a `name` and a `year`.",
    )
    other, _ = _with_a_person(Flow(node(sign)), {"name": "Ada", "year": "1843"})
    yield slip(
        other.store.get("credit") != {"name": "Ada", "year": 1843},
        f"Answered Ada and 1843, `credit` became {other.store.get('credit')!r}: keep the answer.",
    )


@exercise(
    "07.3", "A default after a timeout",
    hints=(
        "Two options are missing: the answer to use when nobody answers, and how long to wait.",
        "Both are options of `ask`. Both are needed: a question without a `timeout` waits without limit.",
        "`ask(shared[\"sentence\"], [\"print\", \"drop\"], default=___, timeout=___)`.",
    ),
)
def _night(night: object) -> Checked:
    yield slip(not callable(night), _NOT_A_STEP)
    awake, _ = _with_a_person(_sorted(night), "print")
    asked = _questions(awake)
    yield point(asked, "It asks.", "The editor was never asked." if awake.error is None else f"{trouble(awake.error)}.")
    limit = asked[0]["timeout"]
    yield slip(limit is None, "Without an answer it waits without limit: give `ask` a `timeout`, in seconds.")
    yield slip(limit > 0.5, f"It waits {limit:g} seconds, and should wait half a second at most.")
    yield slip(limit < 0.25, f"In {limit:g} seconds nobody can answer: wait half a second.")
    yield slip(
        set(asked[0]["choices"] or ()) != {"print", "drop"},
        "Any other answer is accepted as well, or one of the two is not: keep the two choices, `print` and `drop`.",
    )
    yield slip(_SENTENCE not in asked[0]["question"], "The question does not show the sentence, `shared[\"sentence\"]`.")
    asleep = tried(_sorted(night), {"sentence": _SENTENCE})
    yield slip(isinstance(asleep.error, TimeoutError), "After the timeout it fails: give `ask` the answer to use then, `default`.")
    yield point(asleep.error is None, "It goes on without an answer.", "" if asleep.error is None else f"{trouble(asleep.error)}.")
    yield slip(asleep.store.get("went") == "press", "Without an answer it was printed, and has to be dropped.")
    yield point(
        asleep.store.get("went") == "basket", "What nobody approved is dropped.",
        "Without an answer it takes no arrow at all: the default has to be one of the two actions.",
    )
    yield point(
        awake.store.get("went") == "press", "An answer in time is used.", "Answered print, it was not printed: return the answer.",
    )
    dropped, _ = _with_a_person(_sorted(night), "drop")
    yield slip(dropped.store.get("went") != "basket", "Answered drop, it was not dropped: return the answer.")


class _Went(Node):
    """Keeps where the sentence went."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["went"] = self.where


def _sorted(step: Any) -> Flow:
    """The answer's step before a press and a basket."""
    first = node(step)
    first - "print" >> _Went("press")
    first - "drop" >> _Went("basket")
    return Flow(first)


def _headless(step: object) -> bool:
    """Whether the step goes on where nobody can answer."""
    try:
        _sorted(step).run({"sentence": _SENTENCE})
    except Exception:  # that it refuses is right
        return False
    return True


def _with_a_person(flow: Flow, answer: object) -> tuple[Any, str]:
    """The ended run of a flow whose every question gets `answer`, and why that was refused (empty: it was not)."""
    run: Run = flow.launch({"sentence": _SENTENCE}, show=False, timeout=CHECK_TIMEOUT)
    deadline, refused = monotonic() + CHECK_TIMEOUT, ""
    while not run.done() and not refused and monotonic() < deadline:
        try:
            if run.status == "asking":
                run.answer(answer)
        except LookupError:     # it has just been closed
            pass
        except ValueError as error:
            refused = str(error)
        run.wait(0.005)
    if not run.done():
        run.cancel()
        run.wait(CHECK_TIMEOUT)
    return run, refused


def _questions(run: Run) -> list[Any]:
    return [event for event in run.events if event.kind == "asked"]
