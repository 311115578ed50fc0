"""Lesson 01, nodes and flows: exercises about nodes that read the sources of the standard library."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.nodes import BaseNode, Node
from pocketflex_nb.lessons.exercise import Checked, exercise, point, slip, tried, trouble, way

_SOURCE = '"""Two words."""\n\nimport sys\n\n\ndef greet(name):\n    return f"hello {name}, how are you?"\n'
_LONGEST = '    return f"hello {name}, how are you?"'
_LONG = "x = 1\n" * 3_000


@exercise(
    "01.1", "A node of your own",
    hints=(
        "Three steps, three questions. What do you need from the store? What do you make of it? Where does it go?",
        "`prep` returns `shared[\"source\"]`, and `exec` is called with just that: `max(..., key=len)` finds the longest of its lines.",
        "`def prep(self, shared): return ___`, `def exec(self, source): return max(source.splitlines(), key=___)`, and "
        "`def post(self, shared, prep_res, exec_res): shared[___] = exec_res`. Then make one: `longest = Longest()`.",
    ),
)
def _own_node(longest: object) -> Checked:
    yield slip(isinstance(longest, type), "`longest` is the class: a recipe. Make a node of it by calling it, `Longest()`.")
    yield point(isinstance(longest, BaseNode), "`longest` is a node.", f"`longest` is {_named(longest)}, not a node.")
    run = tried(longest, {"source": _SOURCE, "name": "test"})
    asked = "exec_res" if not isinstance(run.error, AttributeError | TypeError | KeyError | NameError) else ""
    yield slip(
        isinstance(run.error, NameError) and "shared" in str(run.error),
        "`exec` does not see the store, so there is no `shared` in it. Let `prep` return what it needs, and `post` write what it made.",
    )
    yield slip(isinstance(run.error, KeyError), f"There is no {run.error} in the store: the text of the module is under `\"source\"`.")
    yield slip(run.error is not None and not asked and "NoneType" in str(run.error), "`prep` gave `exec` nothing: it has to `return`.")
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    _, actions = way(run)
    yield slip(
        any(action not in (None, "default") for action in actions),
        "What `post` returns is the way out, an action, and not the result. Write the result to the store and return nothing.",
    )
    written = run.store.get("longest")
    yield slip("longest" not in run.store, "Nothing stands under `\"longest\"` in the store: `post` writes there what `exec` returned.")
    yield slip(written == len(_LONGEST), "That is how long the line is. We want the line itself: `max(lines, key=len)`.")
    yield slip(written == max(_SOURCE.splitlines()), "That is the last line by alphabet: tell `max` what to compare, `key=len`.")
    yield slip(written == max(_SOURCE.split(), key=len), "That is the longest word. `splitlines()` gives the lines.")
    yield point(written == _LONGEST, "It finds the longest line.", f"`longest` became `{written!r}`, and should be `{_LONGEST!r}`.")
    for place in (0, 150, 400):
        others = ["x = 1"] * 400
        others.insert(place, _LONGEST)
        found = tried(longest, {"source": "\n".join(others), "module": "test"}).store.get("longest")
        yield slip(found != _LONGEST, f"In a module of 401 lines whose longest is number {place + 1}, it became `{found!r}`.")


@exercise(
    "01.2", "Wire it in",
    hints=(
        "An arrow is `>>`. Which node comes before yours, and which after it?",
        "Your node needs the text, which `read` writes. So it stands between `read` and `judge`.",
        "`read >> ___ >> judge`; `judge - \"short\" >> ___`; `judge - \"long\" >> ___`; and the flow begins where it always did: "
        "`Flow(start=read)`.",
    ),
)
def _wired(flow: Any) -> Checked:
    yield slip(
        isinstance(flow, BaseNode) and not isinstance(flow, Flow),
        "`a >> b` gives back `b`, a node. A flow is made by `Flow(start=...)`, and knows where to begin.",
    )
    yield point(isinstance(flow, Flow), "`my_flow` is a flow.", f"`my_flow` is {_named(flow)}: make a `Flow(start=...)`.")
    first = flow.start_node
    yield slip(type(first).__name__ == "Longest", "It begins at your node, which has nothing to read yet: `Flow(start=read)`.")
    yield point(type(first).__name__ == "Read", "It begins at `read`.", f"It begins at {_named(first)}: the text has to be read first.")
    run = tried(flow, {"module": "textwrap"})
    yield point(run.error is None, "It runs.", "" if run.error is None else f"{trouble(run.error)}.")
    names, _ = way(run)
    yield point(
        "Longest" in names, "Your node took its turn.",
        f"The way went {' → '.join(names)}, and not through your node: let an arrow lead to `longest`.",
    )
    yield slip(names[-1] == "Longest", "The way ends at your node: an arrow has to leave it, too, to `judge`.")
    yield point(
        names[:3] == ["Read", "Longest", "Judge"], "It stands between reading and judging.",
        f"The way went {' → '.join(names)}; we want Read → Longest → Judge first.",
    )
    yield point("verdict" in run.store, "There is a verdict at the end.", "There is no verdict at the end: `judge` needs both its arrows.")


@exercise(
    "01.3", "A third way out",
    hints=(
        "Two things: `post` has to say a third word, and an arrow has to know it.",
        "In `post`: `return \"huge\"` when there are more than 2 000 lines. Outside: `my_judge - \"huge\" >> ...`.",
        "`if exec_res > 2_000: return ___` before the other two; then `my_judge - \"short\" >> short_story`, "
        "`my_judge - \"long\" >> novel`, `my_judge - ___ >> saga`, and the flow is `Flow(start=my_judge)`.",
    ),
)
def _third_way(flow: Any) -> Checked:
    yield point(isinstance(flow, Flow), "It is a flow.", f"That is {_named(flow)}: make a `Flow(start=my_judge)`.")
    ends = {}
    for kind, lines in (("short", 10), ("long", 600), ("huge", 3_000)):
        run = tried(flow, {"source": "x = 1\n" * lines, "module": "test"})
        yield point(run.error is None, "", "" if run.error is None else f"{trouble(run.error)}.")
        names, actions = way(run)
        ends[kind] = (run.store.get("verdict"), actions, names)
    _, actions, names = ends["huge"]
    yield slip(
        actions[0] == "long",
        "With 3 000 lines your `post` still says `\"long\"`. A huge one is long, too: ask for more than 2 000 first.",
    )
    yield slip(
        actions[0] == "huge" and len(names) == 1,
        "Your `post` says `\"huge\"`, and no arrow has that name, so the flow ends there: `my_judge - \"huge\" >> saga`.",
    )
    yield point(
        actions[0] == "huge", "3 000 lines are called huge.",
        f"With 3 000 lines `post` returned `{actions[0]!r}`, and not `'huge'`.",
    )
    yield point(names[-1] == "Saga", "`\"huge\"` leads to `saga`.", f"`\"huge\"` leads to {names[-1]}, and not to `saga`.")
    yield point(
        ends["short"][2][-1] == "ShortStory" and ends["long"][2][-1] == "Novel", "The two old ways still go where they went.",
        f"With 10 lines the way ends at {ends['short'][2][-1]}, with 600 at {ends['long'][2][-1]}: keep `\"short\"` and `\"long\"`.",
    )
    for lines, end in ((2_001, "Saga"), (2_000, "Novel"), (300, "Novel"), (299, "ShortStory")):
        names, _ = way(tried(flow, {"source": "x = 1\n" * lines, "module": "test"}))
        yield slip(names[-1] != end, f"A module of {lines} lines goes to {names[-1]}, and not to {end}: more than 2 000, fewer than 300.")


@exercise(
    "01.4", "When it fails",
    hints=(
        "A node may be told how often to try, and what to say when all tries have failed.",
        "Tries stand in the parentheses that make the node; the last word is a method, `exec_fallback(self, prep_res, exc)`.",
        "`def exec_fallback(self, module, exc): return ___`, an empty text, and `careful = CarefulRead(max_retries=___)`.",
    ),
)
def _fails(careful: Any) -> Checked:
    yield slip(isinstance(careful, type), "`careful` is the class. Make a node of it: `CarefulRead(...)`.")
    yield point(isinstance(careful, Node), "`careful` is a node.", f"`careful` is {_named(careful)}, not a node.")
    tries = careful.max_retries
    yield slip(tries == 2, "`max_retries` counts all tries, the first one too: three tries are 3.")
    yield point(tries == 3, "It tries three times.", f"It tries {tries} time{'s' * (tries != 1)}: `CarefulRead(max_retries=...)`.")
    run = tried(careful, {"module": "no_such_module"})
    yield slip(
        isinstance(run.error, TypeError) and "exec_fallback" in str(run.error),
        "`exec_fallback` is called with two things, what `prep` gave and the error: `def exec_fallback(self, prep_res, exc)`.",
    )
    yield point(
        run.error is None, "It gets over a module that does not exist.",
        "With a module that does not exist it still fails: what `exec_fallback` returns takes the place of `exec`'s result.",
    )
    yield slip(run.store.get("source") is None, "The text became `None`: `exec_fallback` has to return an empty text, `\"\"`.")
    text = run.store["source"]
    yield point(text == "", "What it cannot read is empty.", f"The text became `{text!r}`: an empty one, please.")
    kept = tried(careful, {"module": "textwrap"}).store.get("source", "")
    yield point("def wrap" in kept, "What it can read is read as before.", "And now `textwrap` is not read: leave `exec` as it is.")
    again = sum(event.kind == "node_retried" for event in run.events)
    yield slip(again != 2, "Three tries may be, and it tries once: an error that `exec` catches itself is no reason to try again.")


def _named(thing: object) -> str:
    return "nothing" if thing is None else f"a {type(thing).__name__}"
