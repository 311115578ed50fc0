"""`Command`: parses a subcommand's line into words, and flags with their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.engine.runs.run import Run, runs
from pocketflex_nb.notebook.requests.names import find_run, runs_of
from pocketflex_nb.notebook.requests.option_values import interpolated
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.views.text.safe_messages import speakable

__all__ = ["Call", "Command", "Table"]


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand.

    Attributes
    ----------
    name, usage, help : str
        As it is written, with its words, and what it does.
    do : callable
        Is given the `Call`.
    flags : dict of str to str
        Its flags; each with what follows it, ``""`` for nothing. Two words stand for one value or two.
    """

    name: str
    usage: str
    help: str
    do: Callable[[Call], Any]
    flags: dict[str, str] = field(default_factory=dict)

    def page(self) -> str:
        """Its help."""
        rest = "".join(f" [{name}{f' {takes}' if takes else ''}]" for name, takes in self.flags.items())
        return f"%pocketflex {self.usage}{rest}\n    {self.help}"


class Call:
    """One line of ``%pocketflex``: the shell, the words after the subcommand, and its flags.

    Attributes
    ----------
    words : list of str
        What is no flag and no flag's value, as written.
    flags : dict of str to list of str
        Each flag that was given, with its values.
    """

    def __init__(self, shell: Any, command: Command, words: list[str]) -> None:
        self.shell, self.command, self.names = shell, command, shell.user_ns
        self.words: list[str] = []
        self.flags: dict[str, list[str]] = {}
        left = list(words)
        while left:
            word = left.pop(0)
            if word.startswith("--"):
                self._flag(word, left)
            else:
                self.words.append(word)

    def _flag(self, word: str, left: list[str]) -> None:
        name, equals, value = word.partition("=")
        known = self.command.flags
        if name not in known:
            raise usage(f"unknown option {name!r} of %pocketflex {self.command.name}{nearest(name, known)}")
        wanted = known[name].split()
        if equals and not wanted:
            raise usage(f"{name} takes no value, got {value!r}")
        given = [value] if equals else []
        while left and len(given) < len(wanted) and not left[0].startswith("--"):
            if given and not (given[0].isdigit() and left[0].isdigit()):
                break  # of two values the second may be left out
            given.append(left.pop(0))
        if wanted and not given:
            raise usage(f"{name} needs a value: %pocketflex {self.command.usage} {name} {known[name]}")
        self.flags[name] = [interpolated(text.strip("\"'"), self.names, name) for text in given]

    def has(self, flag: str) -> bool:
        """Whether the flag was given."""
        return flag in self.flags

    def value(self, flag: str) -> str | None:
        """The flag's first value, or None."""
        return self.flags[flag][0] if flag in self.flags else None

    def word(self, what: str) -> str:
        """The next word, with ``$name`` and ``{expr}`` filled in."""
        if not self.words:
            raise usage(f"{what} is missing: %pocketflex {self.command.usage}")
        return interpolated(self.words.pop(0), self.names, what)

    def rest(self) -> list[str]:
        """The words that are left, as written."""
        words, self.words = self.words, []
        return words

    def end(self) -> None:
        """Raise for words that are left over."""
        if self.words:
            raise usage(f"{' '.join(self.words)!r} is too much: %pocketflex {self.command.usage}")

    def one_run(self) -> Run:
        """The run that the next word names; of a group only when it is one."""
        name = self.word("the run's name")
        found = runs_of(find_run(name, self.names))
        if len(found) != 1:
            raise usage(f"{name!r} is several runs: name one of them, such as {found[0].name!r}")
        return found[0]

    def some_runs(self) -> list[Run]:
        """The runs that the words name; ``all`` for every live one."""
        if not self.words:
            raise usage(f"which run? %pocketflex {self.command.usage}")
        found: list[Run] = []
        while self.words:
            name = self.word("the run's name")
            found += runs(live=True) if name == "all" else runs_of(find_run(name, self.names))
        return found


class Table:
    """Rows with the same keys, as text and as a table; columns that say nothing are left out."""

    def __init__(self, rows: list[dict[str, Any]], *, always: tuple[str, ...], older: int = 0) -> None:
        self.older = older
        self.names = [name for name in rows[0] if name in always or any(row[name] for row in rows)]
        self.rows = [[speakable(str(row[name])) for name in self.names] for row in rows]

    def __repr__(self) -> str:
        widths = [max(len(cell) for cell in column) for column in zip(self.names, *self.rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in [self.names, *self.rows]]
        return "\n".join(lines + ([f"and {self.older} older: %pocketflex runs --all"] if self.older > 0 else []))

    def _repr_html_(self) -> str:
        def cells(tag: str, row: list[str]) -> str:
            return "".join(f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in row)

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        more = f"<p>and {self.older} older: <code>%pocketflex runs --all</code></p>" if self.older > 0 else ""
        return f"<table><thead><tr>{cells('th', self.names)}</tr></thead><tbody>{body}</tbody></table>{more}"
