"""Lesson 09, LLM agents: exercises about streaming from a provider, limiting what is spent, and retrying with pauses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, trouble

_PIECES = ["Bees", " dance", ".\n", "data: is a word, too"]
#: enough to answer once, not enough to answer twice
_ALLOWED = 60


@exercise(
    "09.1", "Read the stream",
    hints=(
        "See the raw lines above: lines with text begin with `data: ` and JSON follows, and the last one is `data: [DONE]`.",
        "Skip lines that do not begin with `data: `, remove these six characters, stop at `[DONE]`, and `json.loads` the rest. The text "
        "is at "
        "`choices`, 0, `delta`, `content`; some deltas have none.",
        "`delta = json.loads(line[6:])[\"choices\"][0][\"delta\"]`, then `if delta.get(___): yield delta[___]`.",
    ),
)
def _read_stream(pieces: Any) -> Checked:
    yield point(callable(pieces), "A function.", "`pieces` has to be the function, as it was.")
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": text} for text in _PIECES), {"content": None}]
    lines = [f"data: {json.dumps({'choices': [{'delta': delta}]})}" for delta in deltas]
    lines = [": keep-alive", "", *[part for line in lines for part in (line, "")], "data: [DONE]", ""]
    try:
        read: Any = list(pieces(iter(lines)) or ())
    except json.JSONDecodeError:
        yield point(
            False,
            "",
            "What was parsed is not JSON: skip comments and empty lines, remove the first six characters, `data: `, and stop at `[DONE]`.",
        )
        return
    except Exception as error:
        yield point(False, "", f"{trouble(error)}. The first delta has a `role` and no `content`.")
        return
    yield slip(not read, "No text came out: `yield` each piece.")
    yield slip(None in read, "There is a None among the pieces: some deltas have no text.")
    whole = any("choices" in str(piece) for piece in read)
    yield slip(whole, "Those are whole records. The text is inside: `choices`, 0, `delta`, `content`.")
    yield slip(
        read != _PIECES and all(isinstance(piece, str) for piece in read) and "".join(read) == "".join(_PIECES),
        "The text is right, but not in its pieces: yield the text of each line as it is.",
    )
    yield point(read == _PIECES, "Every piece of text, and nothing else.", f"The pieces were {read!r}, and should be {_PIECES!r}.")
    first, rest = _in_time(pieces, lines)
    yield slip(
        first >= lines.index("data: [DONE]"),
        "The first piece came only after the whole stream was read: yield each piece when its line arrives.",
    )
    yield slip(rest, "It reads on after `[DONE]`. A provider may keep the connection open, and it would wait without end: `return`.")


def _in_time(pieces: Any, lines: list[str]) -> tuple[int, bool]:
    """How many lines were read when the first piece came, and whether any was read behind the last piece's `[DONE]`."""
    taken = 0

    def come() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += 1
            yield line

    source = iter(pieces(come()))
    next(source)
    first = taken
    for _ in source:
        pass
    return first, taken > lines.index("data: [DONE]") + 1


@exercise(
    "09.2", "A budget",
    hints=(
        "`launch` takes a budget: a dict from what is counted to how much of it may be spent.",
        f"Tokens are counted, and {_ALLOWED} of them may be spent.",
        f"`purse = {{\"___\": {_ALLOWED}}}`.",
    ),
)
def _purse(purse: Any) -> Checked:
    yield slip(isinstance(purse, int | float), "That is a number without its unit. A budget is a dict: `{\"what\": how many}`.")
    yield point(isinstance(purse, dict), "A dict.", f"`purse` is a {type(purse).__name__}, and not a dict.")
    yield slip("token" in purse, "There is no kind `token`: it is `tokens`.")
    yield slip(
        purse.get("steps") or purse.get("seconds"), "That limits steps or seconds, and an answer may be long in either: count tokens only.",
    )
    yield point("tokens" in purse, "It counts tokens.", f"It counts {', '.join(map(str, purse)) or 'nothing'}, and not tokens.")
    yield slip(isinstance(purse["tokens"], str), "The number is a text: remove the quotation marks.")
    yield point(purse["tokens"] == _ALLOWED, f"{_ALLOWED} of them.", f"{purse['tokens']!r} of them, and there should be {_ALLOWED}.")


@exercise(
    "09.3", "A retry policy",
    hints=(
        "Only temporary errors are worth a retry, such as a busy provider; an invalid key stays invalid.",
        "`Retry(attempts, wait=..., backoff=..., on=...)`: `backoff` is the factor from one wait to the next.",
        "`patient = Retry(4, wait=0.1, backoff=___, on=___)`, where `on` names the busy provider's error.",
    ),
)
def _patience(patient: Any, busy: type[BaseException]) -> Checked:
    yield slip(isinstance(patient, int), "That is only a number of attempts. A `Retry(...)` also has the wait, and the errors to retry.")
    yield point(isinstance(patient, Retry), "A `Retry`.", f"`patient` is a {type(patient).__name__}: make a `Retry(...)`.")
    yield point(patient.attempts == 4, "Four attempts.", f"{patient.attempts} attempts, and there should be 4, the first one included.")
    on = patient.on if isinstance(patient.on, tuple) else (patient.on,)
    anything = any(issubclass(ValueError, kind) for kind in on)
    yield slip(anything, "It retries every error; an error in your code would fail four times: `on=`.")
    others = ", ".join(kind.__name__ for kind in on if not issubclass(kind, busy))
    yield slip(
        others and any(issubclass(busy, kind) for kind in on),
        f"It retries `{others}`, too, which an invalid key may raise: `{busy.__name__}` is the only error to retry.",
    )
    yield point(busy in on, f"On `{busy.__name__}` only.", f"`{busy.__name__}` is not retried: `on=`.")
    yield slip(patient.wait <= 0, "It does not wait between the attempts, so a busy provider is called four times at once: `wait=`.")
    waits = [patient.delay(number) for number in range(3)]
    yield slip(waits[0] > waits[-1], "Each wait is shorter than the one before: `backoff=` has to be more than 1.")
    yield point(waits == sorted(set(waits)), "Each wait is longer than the one before.", "All waits are the same: `backoff=`.")
