"""Lesson 09, LLM agents: exercises about a tool, limiting what is spent, and asking a busy provider again."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.flow.retry_policy import Retry
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip
from pocketflex_nb.llm.tools.tool import Tool

#: blanks in a row, and an empty line
_TEXT, _WORDS = "The  moon\n\npulls the   sea", 5
#: enough to answer once, not enough to answer twice
_ALLOWED = 60


@exercise(
    "09.1", "A tool",
    hints=(
        "The tool `look_up` above shows the form: `@tool`, annotations, a docstring. The model sees nothing else of it.",
        "`text.split()` gives the words of a text, whatever is between them.",
        "`@tool`, then `def count_words(text: str) -> int:`, a docstring, and `return len(___)`.",
    ),
)
def _tool(count_words: Any) -> Checked:
    yield slip(
        callable(count_words) and not isinstance(count_words, Tool), "That is a function, and no tool yet: put `@tool` above its `def`.",
    )
    yield point(isinstance(count_words, Tool), "A tool.", f"`count_words` is a {type(count_words).__name__}, and not a tool.")
    name = count_words.name
    yield point(name == "count_words", "Its name is `count_words`.", f"The model would call it `{name}`: name it `count_words`.")
    yield point(count_words.description, "It says what it does.", "The model does not know what it does: give it a docstring.")
    fields = count_words.schema["properties"]
    yield point(
        list(fields) == ["text"], "It takes a `text`.", f"It takes {', '.join(fields) or 'nothing'}, and should take one `text`."
    )
    yield point(fields["text"].get("type") == "string", "Which is a `str`.", "The annotation of `text` has to be `str`.")
    counted = count_words(_TEXT)
    yield slip(counted is None, "It returns nothing: the model gets what it returns, not what it prints.")
    yield slip(counted == len(_TEXT), "That counts characters.")
    yield slip(counted in (6, 7), "Blanks in a row have no words between them: `split()` without an argument.")
    yield slip(isinstance(counted, str), "It returns a text: the number itself is enough.")
    yield slip(isinstance(counted, list), "It returns the words: their number is wanted.")
    told = f"words in a text of {_WORDS}."
    yield point(counted == _WORDS, f"It counts {_WORDS} {told}", f"It counts {counted!r} {told}")


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
