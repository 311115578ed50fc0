"""The subcommands of ``%pocketflex``: one small function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.magics.commands.command import Call, Command
from pocketflex_nb.notebook.magics.commands.flows import FLOW_COMMANDS
from pocketflex_nb.notebook.magics.commands.help import topic, topics
from pocketflex_nb.notebook.magics.commands.runs import RUN_COMMANDS
from pocketflex_nb.notebook.magics.commands.stores import STORE_COMMANDS
from pocketflex_nb.notebook.requests.option_line import Option, option_table
from pocketflex_nb.notebook.requests.option_values import whole_number
from pocketflex_nb.notebook.requests.run_options import CONFIG, VIEWS
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.kernel_loop import LOOPS, use_loop

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["COMMANDS", "do"]

def do(shell: InteractiveShell, name: str, words: list[str]) -> object:
    """Run a subcommand.

    Raises
    ------
    UsageError
        With the nearest name, or the mend.
    """
    command = COMMANDS.get(name)
    if command is not None:
        return command.do(Call(shell, command, words))
    raise usage(f"no subcommand {name!r}{nearest(name, [*COMMANDS, 'run'])}; %pocketflex help lists them")


def _config(call: Call) -> None:
    loop = call.value("--loop")
    words = call.rest()
    for word in list(words):
        if word.startswith("loop="):
            words.remove(word)
            loop = word[len("loop=") :]
    if loop is not None:
        if loop not in LOOPS:
            raise usage(f"--loop {loop!r}{nearest(loop, LOOPS)}")
        use_loop(call.shell, loop)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        _set(name, value if equals else None)
    for setting, chosen in CONFIG.items():
        print(f"{setting} = {chosen}")
    print(f"loop = {'kernel' if engine_thread.is_adopted else 'engine'}")


def _set(name: str, value: str | None) -> None:
    """Set one setting; without a value only its name is checked."""
    if name not in CONFIG:
        raise usage(f"no setting {name!r}{nearest(name, CONFIG)}")
    if value is None:
        return
    if name == "view":
        if value not in VIEWS:
            raise usage(f"view={value!r}{nearest(value, VIEWS)}")
        CONFIG["view"] = value
    elif name == "height":
        CONFIG["height"] = whole_number(value, name)
    elif name == "cache":
        CONFIG["cache"] = value
    else:
        CONFIG["j"] = whole_number(value, name)


def _doctor(call: Call) -> None:
    from pocketflex_nb.notebook.magics.commands.doctor import report

    call.end()
    print(report(call.shell))


def _panel(call: Call) -> None:
    from IPython.display import display

    from pocketflex_nb.notebook.widgets.engine_panel.engine_panel import EnginePanel

    call.end()
    display(EnginePanel())


def _help(call: Call) -> None:
    name = call.word("the topic") if call.words else None
    call.end()
    if name in COMMANDS:
        print(COMMANDS[name].page())
    elif name == "run":
        print(f"%pocketflex run FLOW [options]\nRun a flow; also a list, a dict, or an expression that gives flows.\n\n{topic('options')}")
    elif name is None:
        print(topic(None))
    else:
        print(topic(name, [*topics(), *COMMANDS]))


_SESSION = [
    Command("config", "config [KEY=VALUE ...]", "Settings of this session: height, view, j (runs at once), cache (a file), loop.", _config,
            option_table(Option("--loop", "engine|kernel", "where runs walk: on the engine thread, or on the kernel's own loop"))),
    Command("doctor", "doctor", "Check the kernel, the front end, the widgets and the engine.", _doctor),
    Command("panel", "panel", "Runs, agents, mailboxes, lag and memory of this process, live.", _panel),
    Command("help", "help [TOPIC]", "The overview, or a page on options, mermaid, python or one subcommand.", _help),
]

#: every subcommand but ``run``, which takes the options of a cell
COMMANDS: dict[str, Command] = {
    command.name: command
    for command in sorted([*RUN_COMMANDS, *STORE_COMMANDS, *FLOW_COMMANDS, *_SESSION], key=lambda command: command.name)
}
