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
        "Look at the raw lines above. Which of them carry text, what stands before the JSON, and which line says that it is over?",
        "Skip what does not begin with `data: `, cut those six characters off, stop at `[DONE]`, and `json.loads` the rest. The text is at "
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
        yield point(False, "", "A line was not JSON: comments and empty lines are to be skipped, and `[DONE]` is the end.")
        return
    except Exception as error:
        yield point(False, "", f"{trouble(error)}. The first delta has a role and no `content`.")
        return
    yield slip(not read, "No text came out: `yield` each piece.")
    yield slip(None in read, "There is a None among the pieces: some deltas have no text.")
    whole = any("choices" in str(piece) for piece in read)
    yield slip(whole, "Those are whole records. The text stands deeper: `choices`, 0, `delta`, `content`.")
    yield point(read == _PIECES, "Every piece of text, and nothing else.", f"The pieces were {read!r}, and should be {_PIECES!r}.")
    first, rest = _in_time(pieces, lines)
    yield slip(
        first >= lines.index("data: [DONE]"),
        "The first piece came when the whole stream was there: give each piece when its line comes, and keep no list of them.",
    )
    yield slip(rest, "Behind `[DONE]` it reads on. A provider may keep the line open, and it would wait there for ever: `return`.")


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
    "09.2", "A purse",
    hints=(
        "`launch` takes a budget. It is a dict: what is counted, and how much of it may be spent.",
        f"We count tokens, and the purse holds {_ALLOWED} of them.",
        f"`purse = {{\"___\": {_ALLOWED}}}`.",
    ),
)
def _purse(purse: Any) -> Checked:
    yield slip(isinstance(purse, int | float), "A number of what? A budget is a dict: `{\"what\": how many}`.")
    yield point(isinstance(purse, dict), "A dict.", f"`purse` is a {type(purse).__name__}, and not a dict.")
    yield slip("token" in purse, "There is nothing called `token`: the kind is `tokens`.")
    yield slip(purse.get("steps") or purse.get("seconds"), "That bounds steps or seconds. An answer may be long in either: count tokens.")
    yield point("tokens" in purse, "It counts tokens.", f"It counts {', '.join(map(str, purse)) or 'nothing'}, and not tokens.")
    yield slip(isinstance(purse["tokens"], str), "The number stands in quotation marks.")
    yield point(purse["tokens"] == _ALLOWED, f"{_ALLOWED} of them.", f"{purse['tokens']!r} of them, and there should be {_ALLOWED}.")


@exercise(
    "09.3", "Patience",
    hints=(
        "Which errors pass by themselves? Only those are worth another try; a wrong key stays wrong.",
        "`Retry(attempts, wait=..., backoff=..., on=...)`: `backoff` is the factor from one wait to the next.",
        "`patient = Retry(4, wait=0.1, backoff=___, on=___)`, where `on` names the busy provider's error.",
    ),
)
def _patience(patient: Any, busy: type[BaseException]) -> Checked:
    yield slip(isinstance(patient, int), "That is a number of tries. A `Retry(...)` also knows how long to wait, and for what.")
    yield point(isinstance(patient, Retry), "A `Retry`.", f"`patient` is a {type(patient).__name__}: make a `Retry(...)`.")
    yield point(patient.attempts == 4, "Four tries.", f"{patient.attempts} tries, and there should be 4, the first one included.")
    on = patient.on if isinstance(patient.on, tuple) else (patient.on,)
    anything = any(issubclass(ValueError, kind) for kind in on)
    yield slip(anything, "It tries again whatever happened; a mistake of yours would fail four times.")
    yield point(any(issubclass(busy, kind) for kind in on), f"On `{busy.__name__}` only.", f"`{busy.__name__}` is not tried again: `on=`.")
    yield slip(patient.wait <= 0, "It does not wait at all between the tries: a busy provider is called four times in one breath.")
    waits = [patient.delay(number) for number in range(3)]
    yield point(waits == sorted(set(waits)), "Each wait is longer than the one before.", "All waits are the same: `backoff=`.")
