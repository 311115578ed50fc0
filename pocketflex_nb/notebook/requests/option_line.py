"""Parses the line behind a magic, or behind one of its subcommands, into words, options and values, by a table of the options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.requests.option_values import interpolated, split_outside
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["RUN_FLAGS", "Option", "ParsedLine", "Reading", "option_table", "parse_options", "words_of"]


class Reading(Enum):
    """How the value of an option is read from the line."""

    TEXT = auto()        # quotes around it are removed, `$name` and `{expr}` are filled in
    EXPRESSION = auto()  # quotes around it are removed; it is evaluated later
    SOURCE = auto()      # as written; it is evaluated later


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a line.

    Attributes
    ----------
    name : str
        Its spelling, with its dashes.
    takes : str
        What follows it; ``""`` for nothing.
    help : str
        What it does.
    many : bool
        Whether it may be given more than once.
    reading : Reading
        How its value is read.
    continues : bool
        Whether the words ``KEY=EXPR`` behind its value belong to it.
    takes_two : bool
        Whether a second value may follow, where both are numbers.
    alone : str
        Its value where none follows; ``""``: one must follow.
    """

    name: str
    takes: str
    help: str
    many: bool = False
    reading: Reading = Reading.TEXT
    continues: bool = False
    takes_two: bool = False
    alone: str = ""


def option_table(*options: Option) -> dict[str, Option]:
    """Options by name, in the order given."""
    return {option.name: option for option in options}


#: the options of a cell and of ``%pocketflex run``
RUN_FLAGS = option_table(
    Option("--run", "", "run the flow of a Mermaid cell at once"),
    Option("--no-run", "", "do not run what a Python cell returns"),
    Option("--as", "mermaid|python", "read the body as Mermaid or as Python"),
    Option(
        "--seed", "KEY=EXPR[,KEY=EXPR ...] or @VAR", "initial store; values are copied", many=True, reading=Reading.SOURCE, continues=True
    ),
    Option("--share", "", "one store for all runs"),
    Option("--each", "[KEY=]@LIST", "one run per item of a list", reading=Reading.SOURCE),
    Option("-n", "N", "number of runs; each has its index in store['agent']"),
    Option("-j", "N", "number of runs at the same time"),
    Option("--name", "NAME", "name of the run"),
    Option("--bg", "", "return at once with a handle"),
    Option("--after", "RUN", "start when that run is over"),
    Option("--then", "'%pf ...'", "magic to run at the end", reading=Reading.EXPRESSION),
    Option("--notify", "", "print a line when it is over"),
    Option("--journal", "FILE", "keep what each node does; %pocketflex resume FILE goes on after a crash"),
    Option("--durability", "node|power|batch", "with --journal: what a kept node survives (default: node, the end of the kernel)"),
    Option("--tape", "FILE", "record the run, for --replay: the same as --journal"),
    Option("--replay", "FILE[#RUN]", "take what each exec gave from a recorded run, and call what is not there"),
    Option("--strict-tape", "", "with --replay: what the tape lacks is an error"),
    Option(
        "--cache", "on|off|refresh|FILE", "reuse results of unchanged nodes; a FILE and refresh may both be given", many=True,
        alone="on",
    ),
    Option("--timeout", "60s", "time limit of each run"),
    Option("--node-timeout", "20s", "time limit of each attempt of each node"),
    Option("--budget", "steps=200,tokens=50k,cost=1.5", "stop when it is spent"),
    Option("--on-error", "stop|others|pause", "what happens to the other runs when one fails (default: others)"),
    Option("--break", "NODE", "pause before this node", many=True),
    Option("--break-if", "EXPR", "pause before a node when this expression of `store` is true", reading=Reading.EXPRESSION),
    Option("-o", "VAR", "bind the Run or RunGroup to this variable"),
    Option("--into", "VAR", "bind a table of the events to this variable (pandas)"),
    Option("--view", "auto|graph|lanes|timeline|store|text|none", "what to show"),
    Option("--height", "500", "maximum height in pixels"),
    Option("--quiet", "", "hide prints"),
    Option("--tee", "", "print to the cell, too"),
    Option("--check", "", "check the flow without running it"),
    Option("--dry", "", "print what would run, without running it"),
    Option("--traceback", "", "show the full traceback of an error"),
    Option(
        "--watch", "EXPR", "show this expression of `store` live, as a curve when it is a number", many=True, reading=Reading.EXPRESSION
    ),
)


@dataclass(slots=True)
class ParsedLine:
    """A line that was read: its words, and the values of each option that was given."""

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
        """Every value of an option that may be given more than once."""
        return self.given.get(name, [])


def words_of(line: str) -> list[str]:
    """Split `line` at blanks that stand outside of quotes and brackets; quotes stay."""
    words, quote = split_outside(line, str.isspace)
    if quote:
        raise usage(f"the quotation that begins with {quote} is not closed: {line.strip()!r}")
    return [word for word in words if word]


def parse_options(
    line: str | Iterable[str], names: Mapping[str, object] | None = None, *, table: Mapping[str, Option] = RUN_FLAGS, command: str = ""
) -> ParsedLine:
    """Read a line into its words and options.

    Parameters
    ----------
    line : str or iterable of str
        The line, or its words.
    names : mapping of str to object, optional
        The notebook's names, for ``$name`` and ``{expr}`` in values; None: they stay as they are.
    table : mapping of str to Option
        The options that the line may have.
    command : str
        The usage of the subcommand that the line belongs to, for errors.

    Raises
    ------
    UsageError
        For an unknown option, one without its value, or one that is given twice.
    """
    words = words_of(line) if isinstance(line, str) else list(line)
    shape = re.compile(r"--?[A-Za-z]" if any(not name.startswith("--") for name in table) else r"--")
    parsed, last = ParsedLine(), ""
    while words:
        word = words.pop(0)
        if shape.match(word):
            last = _take(parsed, word, words, table, command)
        elif last and table[last].continues and re.match(r"\w+=", word):
            parsed.given[last].append(word)
        else:
            parsed.words.append(word)
    for name, values in parsed.given.items() if names is not None else ():
        if table[name].reading is Reading.TEXT:
            parsed.given[name] = [interpolated(value, names or {}, name) for value in values]
    return parsed


def _take(parsed: ParsedLine, word: str, words: list[str], table: Mapping[str, Option], command: str) -> str:
    """Take one option, and its values from the words behind it; returns its name."""
    name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "=" if word[2:] else "", word[2:])
    option = table.get(name)
    if option is None:
        raise usage(f"unknown option {name!r}{f' of %pocketflex {command.split()[0]}' if command else ''}{nearest(name, table)}")
    if not option.takes:
        if equals:
            raise usage(f"{name} takes no value, got {value!r}")
        parsed.given[name] = []
        return name
    if not equals:
        if (not words or words[0].startswith("-")) and option.alone:
            words.insert(0, option.alone)
        if not words or words[0].startswith("--"):
            raise usage(f"{name} needs a value: {f'%pocketflex {command} ' if command else ''}{name} {option.takes}")
        value = words.pop(0)
    if name in parsed.given and not option.many:
        raise usage(f"{name} is given twice")
    values = parsed.given.setdefault(name, [])
    values.append(value if option.reading is Reading.SOURCE else _unquoted(value))
    if option.takes_two and value.isdigit() and words and words[0].isdigit():
        values.append(words.pop(0))
    return name


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
