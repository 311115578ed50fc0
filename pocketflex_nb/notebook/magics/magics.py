"""``%%pocketflex`` and ``%pocketflex``: thin handlers that parse and call; all that a magic does, a public function does too."""

from __future__ import annotations

import keyword
from typing import Any, cast

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from pocketflex_nb.core.errors import PocketflexError
from pocketflex_nb.notebook.cells.cell_run import CellRun
from pocketflex_nb.notebook.cells.cell_wait import CellWait
from pocketflex_nb.notebook.magics.commands.command_table import do
from pocketflex_nb.notebook.magics.commands.help import USAGE
from pocketflex_nb.notebook.requests.cell_body import PythonBody, is_mermaid_body, read_mermaid, read_python
from pocketflex_nb.notebook.requests.diagram_reload import follow_names
from pocketflex_nb.notebook.requests.names import entries_of, find_flow
from pocketflex_nb.notebook.requests.option_line import ParsedLine, parse_options, words_of
from pocketflex_nb.notebook.requests.option_values import evaluated
from pocketflex_nb.notebook.requests.run_options import RunOptions, read_run_options
from pocketflex_nb.notebook.shell.awaitable_magics import AWAITED
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, own_error, shortened, syntax_error, usage
from pocketflex_nb.notebook.shell.safe_print import print_safely

__all__ = ["PocketflexMagics"]


@magics_class
class PocketflexMagics(Magics):
    """The magics of pocketflex_nb."""

    shell: InteractiveShell

    @no_var_expand
    @line_cell_magic("pocketflex")  # type: ignore[arg-type]
    def pocketflex(self, line: str, cell: str | None = None) -> object:
        """Run flows, and query and control runs."""
        return self._told(line, cell)

    @no_var_expand
    @line_cell_magic("pf")  # type: ignore[arg-type]
    def pf(self, line: str, cell: str | None = None) -> object:
        """Short for ``pocketflex``."""
        return self._told(line, cell)

    cast(Any, pocketflex).__doc__ = cast(Any, pf).__doc__ = USAGE  # what ``%pocketflex?`` shows

    def _told(self, line: str, cell: str | None) -> object:
        """Run it; show our own errors in one or two lines."""
        awaited = AWAITED.get()
        token = AWAITED.set(False)  # a magic inside this body is called by the body, and not awaited
        try:
            result = self._line(line) if cell is None else self._cell(line, cell)
            return result.block() if isinstance(result, CellWait) and not awaited else result
        except PocketflexError as exc:
            raise shortened(exc) from None
        finally:
            AWAITED.reset(token)

    # the line --------------------------------------------------------------------------------------------------------
    def _line(self, line: str) -> object:
        words = words_of(line)
        if not words:
            print(USAGE)
            return do(self.shell, "runs", [])
        if words[0] == "run":
            return self._run(line.strip()[len("run") :])
        return do(self.shell, words[0], words[1:])

    def _run(self, text: str) -> CellRun:
        names = self.shell.user_ns
        line = parse_options(text, names)
        options = read_run_options(line, names)
        if not line.words:
            raise usage("which flow? %pocketflex run FLOW [options]")
        word = " ".join(line.words)
        value: object
        if word.isidentifier():
            value = names[word] if entries_of(names.get(word)) is not None else find_flow(word, names)
        else:
            value = evaluated(word, names, "run")
            if entries_of(value) is None:
                raise usage(f"{word!r} gives {type(value).__name__}, no flow and no list or dict of flows")
        return CellRun(self.shell, line, options, value)

    # the cell --------------------------------------------------------------------------------------------------------
    def _cell(self, text: str, body: str) -> CellRun | None:
        line = parse_options(text, self.shell.user_ns)
        options = read_run_options(line, self.shell.user_ns)
        if len(line.words) > 1:
            raise usage(f"one NAME at most, got {' '.join(line.words)!r}; options begin with -")
        name = line.words[0] if line.words else None
        if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            raise usage(f"{name!r} is no name that Python can bind")
        if is_mermaid_body(body, line.one("--as")):
            return self._mermaid(line, options, name, body)
        try:
            made = read_python(self.shell, text, body)
        except SyntaxError as exc:
            raise usage(syntax_error(exc)) from None
        if made.is_async:
            return CellRun(self.shell, line, options, body=made, name=name)
        return CellRun(self.shell, line, options, self._value(made), name=name)

    def _value(self, body: PythonBody) -> object:
        """What the body gives; what its own lines raise is shown without ours."""
        try:
            return body.run()
        except UsageError:
            raise
        except KeyboardInterrupt:
            raise Interrupted("Interrupted in the body, before anything was started.") from None
        except Exception as exc:
            raise own_error(self.shell, exc) from None

    def _mermaid(self, line: ParsedLine, options: RunOptions, name: str | None, body: str) -> CellRun | None:
        names = self.shell.user_ns
        flow, warnings = read_mermaid(body, names, name or "flow")
        for warning in warnings:
            print_safely(f"note: {warning}")
        if options.is_check:
            print_safely(f"{name or 'flow'}: nothing wrong")
            return None
        names[name or "_flow"] = flow
        follow_names(flow, names)
        if options.run or options.is_dry:
            return CellRun(self.shell, line, options, flow, is_checked=True)
        from IPython.display import display

        display(flow)
        return None
