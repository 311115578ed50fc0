"""``%%pocketflex`` and ``%pocketflex``: a handler parses, calls, shows. Everything a magic does, a public function does too."""

from __future__ import annotations

import keyword
from typing import Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from pocketflex_nb.core.errors import CheckError, DiagramError, PocketflexError, nearest
from pocketflex_nb.notebook.await_cell import AWAITED
from pocketflex_nb.notebook.body import is_mermaid, read_mermaid, run_python
from pocketflex_nb.notebook.cell import CellRun
from pocketflex_nb.notebook.commands import COMMANDS, Call
from pocketflex_nb.notebook.help import USAGE
from pocketflex_nb.notebook.options import Options, parse, value_of, words_of
from pocketflex_nb.notebook.short import own_error, syntax_error, usage
from pocketflex_nb.notebook.starting import checked, entries_of, find_flow, fresh, plan_text

__all__ = ["PocketflexMagics"]

_cells = 0


@magics_class
class PocketflexMagics(Magics):
    """The magics of pocketflex_nb."""

    shell: Any

    @no_var_expand
    @line_cell_magic("pocketflex")  # type: ignore[arg-type]
    def pocketflex(self, line: str, cell: str | None = None) -> Any:
        """Run flows, and ask about runs."""
        return self._told(line, cell)

    @no_var_expand
    @line_cell_magic("pf")  # type: ignore[arg-type]
    def pf(self, line: str, cell: str | None = None) -> Any:
        """Short for ``pocketflex``."""
        return self._told(line, cell)

    cast(Any, pocketflex).__doc__ = cast(Any, pf).__doc__ = USAGE  # what ``%pocketflex?`` shows

    def _told(self, line: str, cell: str | None) -> Any:
        """Do it; our own errors as one or two lines."""
        try:
            result = self._line(line) if cell is None else self._cell(line, cell)
            if isinstance(result, CellRun) and not AWAITED.get():
                return result.block()
            return result
        except (DiagramError, CheckError) as exc:
            raise usage(str(exc)) from None
        except SyntaxError as exc:
            raise usage(syntax_error(exc)) from None
        except PocketflexError as exc:
            raise usage(f"{type(exc).__name__}: {exc}") from None

    # the line --------------------------------------------------------------------------------------------------------
    def _line(self, line: str) -> Any:
        words = words_of(line)
        if not words:
            print(USAGE)
            return COMMANDS["runs"](Call(self.shell, []))
        name, rest = words[0], words[1:]
        if name == "run":
            return self._run(line.split(None, 1)[1] if rest else "")
        if name not in COMMANDS:
            raise usage(f"no subcommand {name!r}{nearest(name, [*COMMANDS, 'run'])}; %pocketflex help lists them")
        return COMMANDS[name](Call(self.shell, rest))

    def _run(self, line: str) -> Any:
        options = parse(line)
        if not options.words:
            raise usage("which flow? %pocketflex run FLOW [options]")
        words, names = options.words, self.shell.user_ns
        if len(words) == 1 and (words[0].isidentifier()) and entries_of(names.get(words[0])) is None:
            value: Any = find_flow(words[0], names)
        elif len(words) == 1 and words[0].isidentifier():
            value = names[words[0]]
        else:
            value = value_of(" ".join(words), names, "run")
            if entries_of(value) is None:
                raise usage(f"{' '.join(words)!r} gives {type(value).__name__}, no flow and no list or dict of flows")
        return self._ready(options, value)

    # the cell --------------------------------------------------------------------------------------------------------
    def _cell(self, line: str, body: str) -> Any:
        global _cells
        options = parse(line)
        if len(options.words) > 1:
            raise usage(f"one NAME at most, got {' '.join(options.words)!r}; options begin with -")
        name = options.words[0] if options.words else "_flow"
        if not name.isidentifier() or keyword.iskeyword(name):
            raise usage(f"{name!r} is no name that Python can bind")
        if is_mermaid(body, options.one("--as")):
            return self._mermaid(options, name, body)
        _cells += 1
        try:
            value, coroutine = run_python(body, self.shell.user_ns, _cells)
        except (SyntaxError, UsageError, PocketflexError):
            raise
        except Exception as exc:  # the user's own line raised: shown without ours
            raise own_error(self.shell, exc) from None
        if coroutine is None:
            return self._ready(options, value)
        return CellRun(self.shell, options, coroutine=coroutine)

    def _mermaid(self, options: Options, name: str, body: str) -> Any:
        flow = read_mermaid(body, self.shell.user_ns, name if name != "_flow" else "flow")
        self.shell.user_ns[name] = flow
        for warning in checked(flow):
            print(f"note: {warning}")
        if options.has("--run") or options.has("--dry"):
            return self._ready(options, flow)
        if options.has("--check"):
            print(f"{name}: nothing wrong")
            return None
        from IPython.display import display

        display(flow)
        return None

    def _ready(self, options: Options, value: Any) -> Any:
        """What is to run, or what is only to be looked at."""
        entries = entries_of(value)
        names = self.shell.user_ns
        if entries is not None and (options.has("--check") or options.has("--dry") or options.has("--no-run")):
            for label, flow, _ in entries:
                for warning in checked(fresh(flow, names)):
                    print(f"note: {warning}")
                if options.has("--check"):
                    print(f"{label or getattr(flow, 'name', None) or type(flow).__name__}: nothing wrong")
            if options.has("--dry"):
                print(plan_text(entries, options, names))
            return None
        return CellRun(self.shell, options, value)
