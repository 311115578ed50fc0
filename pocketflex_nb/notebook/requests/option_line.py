"""Parses the line behind a magic into words, options and values; unknown options are answered with the nearest name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.requests.option_values import interpolated
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["RUN_FLAGS", "Option", "ParsedLine", "parse_options", "words_of"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its spelling, its argument (``""`` for none), its help, and whether it may be repeated."""

    name: str
    takes: str
    help: str
    many: bool = False
    later: bool = False


RUN_FLAGS = {
    option.name: option
    for option in (
        Option("--run", "", "run a Mermaid cell's flow at once"),
        Option("--no-run", "", "do not run what a Python cell gives"),
        Option("--as", "mermaid|python", "read the body as this"),
        Option("--seed", "KEY=EXPR[,KEY=EXPR ...] or @VAR", "starting store, copied", many=True),
        Option("--share", "", "one store for all runs"),
        Option("--each", "[KEY=]@LIST", "one run per item"),
        Option("-n", "N", "so many agents; their number is store['agent']"),
        Option("-j", "N", "so many at once"),
        Option("--name", "NAME", "name of the run"),
        Option("--bg", "", "return at once with a handle"),
        Option("--after", "RUN", "start when that run is over"),
        Option("--then", "'%pf ...'", "a magic to run at the end"),
        Option("--notify", "", "say in the cell when it is over"),
        Option("--timeout", "60s", "time for each whole run"),
        Option("--node-timeout", "20s", "time for each attempt of each node"),
        Option("--budget", "steps=200,tokens=50k,cost=1.5", "stop when it is spent"),
        Option("--on-error", "stop|others|pause", "what the other runs do when one fails (others)"),
        Option("--break", "NODE", "pause before that node", many=True),
        Option("--break-if", "EXPR", "pause before a node when this expression of `store` is true"),
        Option("-o", "VAR", "bind the Run, or the RunGroup"),
        Option("--into", "VAR", "bind a table of the events (pandas)"),
        Option("--view", "auto|graph|lanes|timeline|store|text|none", "what to show"),
        Option("--height", "500", "pixels at most"),
        Option("--quiet", "", "hide prints"),
        Option("--tee", "", "also print to the cell"),
        Option("--check", "", "look at the flow, run nothing"),
        Option("--dry", "", "print what would run, run nothing"),
        Option("--traceback", "", "show the full traceback of an error"),
        Option("--watch", "EXPR", "show this expression of `store` live, as a curve when it is a number", many=True),
        Option("--journal", "FILE", "keep the run on disk", later=True),
        Option("--store", "URL", "a store of a server", later=True),
        Option("--tape", "FILE", "record outside calls", later=True),
        Option("--replay", "FILE", "run from a tape", later=True),
        Option("--cache", "on|off|refresh", "node result cache", later=True),
        Option("--clock", "virtual", "virtual sleep", later=True),
        Option("--random-seed", "N", "seeded order", later=True),
    )
}


@dataclass(slots=True)
class ParsedLine:
    """The parsed line: positional words, and options by name."""

    words: list[str] = field(default_factory=list)
    given: dict[str, list[str]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self.given

    def one(self, name: str, default: str | None = None) -> str | None:
        """The option's last value."""
        values = self.given.get(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        """Every value of an option that may be given again."""
        return self.given.get(name, [])


def words_of(line: str) -> list[str]:
    """Split at blanks that stand outside of quotes and brackets; quotes stay."""
    words: list[str] = []
    word, depth, quote = "", 0, ""
    for sign in line:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(depth - 1, 0)
        elif sign.isspace() and not depth:
            if word:
                words.append(word)
            word = ""
            continue
        word += sign
    if quote:
        raise usage(f"a quotation that begins with {quote} is not closed: {line.strip()!r}")
    return [*words, word] if word else words


def parse_options(line: str, names: Mapping[str, Any] | None = None) -> ParsedLine:
    """Read the words of a magic's line; ``$name`` and ``{expr}`` in values are filled in from `names`.

    Raises
    ------
    UsageError
        For an unknown option, one without its value, or one that comes later.
    """
    options, words = ParsedLine(), words_of(line)
    last = ""
    while words:
        word = words.pop(0)
        if not re.match(r"--?[A-Za-z]", word):
            if last == "--seed" and re.match(r"\w+=", word):
                options.given["--seed"].append(word)
            else:
                options.words.append(word)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "=" if word[2:] else "", word[2:])
        option = RUN_FLAGS.get(name)
        if option is None:
            raise usage(f"unknown option {name!r}{nearest(name, RUN_FLAGS)}")
        if option.later:
            raise usage(f"{name} is not there yet: it comes with a later version")
        last = name
        _take(options, option, equals, value, words)
    if names is not None:
        for name, values in options.given.items():
            if name not in _RAW:
                options.given[name] = [interpolated(value, names, name) for value in values]
    return options


#: options whose values are expressions: these are filled in where they are evaluated
_RAW = ("--seed", "--each", "--watch", "--break-if", "--then")


def _take(options: ParsedLine, option: Option, equals: str, value: str, words: list[str]) -> None:
    if not option.takes:
        if equals:
            raise usage(f"{option.name} takes no value, got {value!r}")
        options.given[option.name] = []
        return
    if not equals:
        if not words or (words[0].startswith("--") and option.name != "--then"):
            raise usage(f"{option.name} needs a value: {option.name} {option.takes}")
        value = words.pop(0)
    if option.name in options.given and not option.many:
        raise usage(f"{option.name} is given twice")
    options.given.setdefault(option.name, []).append(_unquoted(value) if option.name not in ("--seed", "--each") else value)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


