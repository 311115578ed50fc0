"""The subcommands of ``%pocketflex``: one small function each."""

from __future__ import annotations

from typing import Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.magics.commands.command import Call, Command
from pocketflex_nb.notebook.magics.commands.flows import FLOW_COMMANDS
from pocketflex_nb.notebook.magics.commands.help import topic, topics
from pocketflex_nb.notebook.magics.commands.runs import RUN_COMMANDS
from pocketflex_nb.notebook.magics.commands.stores import STORE_COMMANDS
from pocketflex_nb.notebook.requests.option_values import whole_number
from pocketflex_nb.notebook.requests.run_options import CONFIG, VIEWS
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.kernel_loop import LOOPS, use_loop

__all__ = ["COMMANDS", "do"]

_LATER = {
    "fork": "it comes with the journal; %pocketflex run FLOW --seed @store starts anew from a store",
    "resume": "it comes with the journal; a paused run goes on by %pocketflex continue RUN",
    "test": "it comes with tapes", "export": "flow.to_mermaid() writes the picture; files of code come later",
}


def do(shell: Any, name: str, words: list[str]) -> Any:
    """Run a subcommand.

    Raises
    ------
    UsageError
        With the nearest name, or the mend.
    """
    command = COMMANDS.get(name)
    if command is not None:
        return command.do(Call(shell, command, words))
    if name in _LATER:
        raise usage(f"%pocketflex {name} is not there yet: {_LATER[name]}")
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
        if name not in CONFIG:
            raise usage(f"no setting {name!r}{nearest(name, CONFIG)}")
        if equals:
            CONFIG[name] = _setting(name, value)
    for name, value in CONFIG.items():
        print(f"{name} = {value}")
    print(f"loop = {'kernel' if engine_thread.is_borrowed else 'engine'}")


def _setting(name: str, value: str) -> Any:
    if name != "view":
        return whole_number(value, name)
    if value not in VIEWS:
        raise usage(f"view={value!r}{nearest(value, VIEWS)}")
    return value


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
    Command("config", "config [KEY=VALUE ...]", "Settings of this session: height, view, j (runs at once), loop.", _config,
            {"--loop": "engine|kernel"}),
    Command("doctor", "doctor", "Checks of the kernel, the front end, the widgets and the engine.", _doctor),
    Command("panel", "panel", "The engine's lag, runs, agents, mailboxes, zombies and memory, live.", _panel),
    Command("help", "help [TOPIC]", "This, or a page on options, mermaid or one subcommand.", _help),
]

#: every subcommand but ``run``, which takes the options of a cell
COMMANDS: dict[str, Command] = {
    command.name: command
    for command in sorted([*RUN_COMMANDS, *STORE_COMMANDS, *FLOW_COMMANDS, *_SESSION], key=lambda command: command.name)
}
