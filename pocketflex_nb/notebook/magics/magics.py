"""``%%pocketflex`` and ``%pocketflex``: thin handlers that parse and call; all that a magic does, a public function does too."""

from __future__ import annotations

import keyword
from typing import Any, cast

from IPython.core.error import UsageError
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
from pocketflex_nb.notebook.requests.run_request import checked
from pocketflex_nb.notebook.shell.awaitable_magics import AWAITED
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, own_error, shortened, syntax_error, usage
from pocketflex_nb.notebook.shell.safe_print import print_safely

__all__ = ["PocketflexMagics"]


@magics_class
class PocketflexMagics(Magics):
    """The magics of pocketflex_nb."""

    shell: Any

    @no_var_expand
    @line_cell_magic("pocketflex")  # type: ignore[arg-type]
    def pocketflex(self, line: str, cell: str | None = None) -> Any:
        """Run flows, and query and control runs."""
        return self._told(line, cell)

    @no_var_expand
    @line_cell_magic("pf")  # type: ignore[arg-type]
    def pf(self, line: str, cell: str | None = None) -> Any:
        """Short for ``pocketflex``."""
        return self._told(line, cell)

    cast(Any, pocketflex).__doc__ = cast(Any, pf).__doc__ = USAGE  # what ``%pocketflex?`` shows

    def _told(self, line: str, cell: str | None) -> Any:
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
    def _line(self, line: str) -> Any:
        words = words_of(line)
        if not words:
            print(USAGE)
            return do(self.shell, "runs", [])
        if words[0] == "run":
            return self._run(line.strip()[len("run") :])
        return do(self.shell, words[0], words[1:])

    def _run(self, line: str) -> Any:
        names = self.shell.user_ns
        options = parse_options(line, names)
        terms = read_run_options(options, names)
        if not options.words:
            raise usage("which flow? %pocketflex run FLOW [options]")
        word = " ".join(options.words)
        if word.isidentifier():
            value = names[word] if entries_of(names.get(word)) is not None else find_flow(word, names)
        else:
            value = evaluated(word, names, "run")
            if entries_of(value) is None:
                raise usage(f"{word!r} gives {type(value).__name__}, no flow and no list or dict of flows")
        return CellRun(self.shell, options, terms, value)

    # the cell --------------------------------------------------------------------------------------------------------
    def _cell(self, line: str, body: str) -> Any:
        options = parse_options(line, self.shell.user_ns)
        terms = read_run_options(options, self.shell.user_ns)
        if len(options.words) > 1:
            raise usage(f"one NAME at most, got {' '.join(options.words)!r}; options begin with -")
        name = options.words[0] if options.words else None
        if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            raise usage(f"{name!r} is no name that Python can bind")
        if is_mermaid_body(body, options.one("--as")):
            return self._mermaid(options, terms, name, body)
        try:
            made = read_python(self.shell, line, body)
        except SyntaxError as exc:
            raise usage(syntax_error(exc)) from None
        if made.is_async:
            return CellRun(self.shell, options, terms, body=made, name=name)
        return CellRun(self.shell, options, terms, self._value(made), name=name)

    def _value(self, body: PythonBody) -> Any:
        """What the body gives; what its own lines raise is shown without ours."""
        try:
            return body.run()
        except UsageError:
            raise
        except KeyboardInterrupt:
            raise Interrupted("Interrupted in the body, before anything was started.") from None
        except Exception as exc:
            raise own_error(self.shell, exc) from None

    def _mermaid(self, options: ParsedLine, terms: RunOptions, name: str | None, body: str) -> Any:
        flow = read_mermaid(body, self.shell.user_ns, name or "flow")
        for warning in checked(flow):
            print_safely(f"note: {warning}")
        if options.has("--check"):
            print_safely(f"{name or 'flow'}: nothing wrong")
            return None
        self.shell.user_ns[name or "_flow"] = flow
        follow_names(flow, self.shell.user_ns)
        if options.has("--run") or options.has("--dry"):
            return CellRun(self.shell, options, terms, flow)
        from IPython.display import display

        display(flow)
        return None

