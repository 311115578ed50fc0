"""`Command`: a subcommand with its table of options; `Call`: one line of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from pocketflex_nb.engine.runs.run import Run, runs
from pocketflex_nb.notebook.requests.names import find_run, runs_of
from pocketflex_nb.notebook.requests.option_line import Option, parse_options
from pocketflex_nb.notebook.requests.option_values import interpolated
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.views.text.safe_messages import speakable

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Call", "Command", "Table"]


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand.

    Attributes
    ----------
    name, usage, help : str
        As it is written, with its words, and what it does.
    do : callable
        Is given the `Call`; what it returns is the value of the magic.
    options : dict of str to Option
        Its options by name.
    """

    name: str
    usage: str
    help: str
    do: Callable[[Call], object]
    options: Mapping[str, Option] = field(default_factory=dict)

    def page(self) -> str:
        """Its help."""
        rest = "".join(f" [{f'{option.name} {option.takes}'.rstrip()}]" for option in self.options.values())
        rows = [(f"{option.name} {option.takes}".rstrip(), option.help) for option in self.options.values()]
        width = max((len(left) for left, _ in rows), default=0)
        lines = [f"    {left:<{width}}  {right}" for left, right in rows]
        return "\n".join([f"%pocketflex {self.usage}{rest}", f"    {self.help}", *lines])


class Call:
    """One line of ``%pocketflex``: the shell, the words after the subcommand, and its options.

    Attributes
    ----------
    words : list of str
        What is no option and no option's value, as written.
    """

    def __init__(self, shell: InteractiveShell, command: Command, words: Iterable[str]) -> None:
        self.shell, self.command = shell, command
        self.names: dict[str, object] = shell.user_ns
        self._line = parse_options(words, self.names, table=command.options, command=command.usage)
        self.words = self._line.words

    def has(self, option: str) -> bool:
        """Whether the option was given."""
        return self._line.has(option)

    def value(self, option: str) -> str | None:
        """The first value of the option, or None."""
        return next(iter(self._line.all(option)), None)

    def values(self, option: str) -> list[str]:
        """All values of the option."""
        return self._line.all(option)

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
    """Rows with the same keys, as text and as a table; columns that say nothing are left out. `note` stands below."""

    def __init__(self, rows: list[dict[str, object]], *, always: tuple[str, ...], note: str = "") -> None:
        self.note = note
        self.names = [name for name in rows[0] if name in always or any(row[name] for row in rows)]
        self.rows = [[speakable(str(row[name])) for name in self.names] for row in rows]

    def __repr__(self) -> str:
        widths = [max(len(cell) for cell in column) for column in zip(self.names, *self.rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in [self.names, *self.rows]]
        return "\n".join(lines + ([self.note] if self.note else []))

    def _repr_html_(self) -> str:
        def cells(tag: str, row: list[str]) -> str:
            return "".join(f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in row)

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        more = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table><thead><tr>{cells('th', self.names)}</tr></thead><tbody>{body}</tbody></table>{more}"
