"""No secret and no command to a terminal leaves by any way out: views' state, pages, files, tables, prints, questions, errors."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Store, ask, emit, linear
from pocketflex_nb.core import ports
from pocketflex_nb.notebook.reports.html_page import page, write_page
from pocketflex_nb.notebook.reports.otel import otlp_json
from pocketflex_nb.notebook.reports.text_view import TextView
from pocketflex_nb.notebook.shell import output_capture as lanes
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView
from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector
from pocketflex_nb.views.text.safe_messages import masked_tail, speakable
from tests.notebook.conftest import Shell

S = "Zq7hunter2Xtail"
ESC = "\x1b]0;owned\x07\x1b[2J\x9b"
_COMMANDS = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x07\x9b]")


@pytest.fixture
def streams() -> Iterator[None]:
    lanes.install_output_capture()
    yield
    lanes.remove_output_capture()


def _outputs(run: Any) -> dict[str, str]:
    """Everything that a view, a file or a terminal would show of `run`."""
    view = RunView(run)
    refresh_loop.close(view)
    view.refresh()
    inspector = StoreInspector(run.store)
    refresh_loop.close(inspector)
    return {
        "page": page([run]),
        "otel": otlp_json([run]),
        "text": TextView([run], None, is_kernel=False).text(),
        "frame": run.to_frame().to_string(),
        "view": json.dumps(view.get_state(), default=str) + json.dumps(view.still_bundle()),
        "inspector": json.dumps(inspector.get_state(), default=str) + json.dumps(inspector.still_bundle()) + inspector.plain(),
    }


def _launched(step: Any) -> Any:
    class Step(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            step(shared)

    run = linear(Step(), name="f").launch(Store({}))
    run.wait(20)
    lanes.finish_lines(run)
    return run


def _prints(*pieces: str) -> Any:
    return lambda shared: [print(piece, end="", flush=True) for piece in pieces]


STEPS = {
    "a container under a secret key": lambda shared: shared.update(conf={"password": {"value": S}, "credentials": ("u", S)}),
    "a header in a list": lambda shared: shared.update(headers=[("Authorization", f"Token {S}"), ["Cookie", S]]),
    "a command line": lambda shared: shared.update(argv=["psql", "--password", S]),
    "a streamed print": _prints("password=", S, "\n"),
    "a streamed key": _prints("sk-pro", "j-" + S, "abcdefgh\n"),
    "a long token": _prints("Authorization: Bearer " + "x" * 6_000 + S + "\n"),
    "a long value": _prints("api_key=" + "y" * 9_000 + S + "\n"),
    "a block of lines": _prints(f"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n{S}\n-----END RSA PRIVATE KEY-----\n"),
    "a PGP block": _prints("-----BEGIN PGP PRIVATE KEY BLOCK-----\n", f"{S}\n", "-----END PGP PRIVATE KEY BLOCK-----\n"),
    "a block of YAML": _prints("password: |\n", f"  {S}\n"),
    "tokens of a stream": lambda shared: [emit("token", piece) for piece in ("Authorization: Tok", "en ", S)],
    "a query string": _prints(f"GET https://x/?a=1&api_key={S}&b=2\n"),
    "a cut address": lambda shared: shared.update(url="x" * 90 + f" postgres://user:{S}@host/db"),
    "a log": lambda shared: emit("log", f"DB_PASS={S}"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_secret_is_masked_in_every_way_out(name: str, streams: None) -> None:
    run = _launched(STEPS[name])
    assert run.status == "done"

    leaks = [way for way, text in _outputs(run).items() if S in text or S[-8:] in text]

    assert leaks == []


def test_a_secret_in_an_error_is_masked_in_every_way_out() -> None:
    class Fails(Node):
        def exec(self, prep_res: Any) -> Any:
            raise ValueError(f"no access with password={S}{ESC}")

    run = Flow(Fails(), name="f").launch(Store({}))
    run.wait(20)

    told = _outputs(run)

    assert [way for way, text in told.items() if S in text] == []
    assert not _COMMANDS.search(told["text"])


def test_names_and_questions_command_no_terminal() -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:
            return await ask(f"{ESC} token={S}", ["yes", f"no {ESC}"])

    run = Flow(Asks(), name="f").launch({}, name="r" + ESC)
    until = time.monotonic() + 10
    while run.status != "asking" and time.monotonic() < until:
        time.sleep(0.01)

    told = TextView([run], "t" + ESC, is_kernel=False).text()
    run.answer("yes")
    run.wait(20)

    assert not _COMMANDS.search(told)
    assert S not in told


@pytest.mark.parametrize(
    "line",
    ["%pf runs", "%pf trace run", "%pf events run", "%pf trace run --df", "%pf store run", "%pf diagram flow --text", "%pf wait run"]
)
def test_commands_print_no_secret_and_no_command_to_a_terminal(shell: Shell, line: str) -> None:
    shell.run(
        "class Loud(Node):\n    def exec(self, p):\n        print('password=', end='', flush=True); print('" + S + "')\n"
        "    def post(self, s, p, e):\n        s['k'] = {'password': ['"
        + S
        + "']}; s['e'] = type('T', (), {'__repr__': lambda s: '\\x1b[2J'})()"
    )
    shell.run("loud = Loud(); loud.name = 'n\\x1b]0;t\\x07'; flow = Flow(loud, name='f\\x1b[2J')")
    shell.run("run = flow.launch(Store({}), name='run'); run.wait(20)")

    told = shell.run(line)

    assert S not in str(told)
    assert not _COMMANDS.search(str(told))


def test_an_error_in_a_cell_commands_no_terminal(shell: Shell) -> None:
    shell.run(
        f"class Bad(Node):\n    def exec(self, p): raise ValueError('password={S} ' + chr(27) + ']0;x' + chr(7))\n"
        "bad = Flow(Bad(), name='bad')"
    )

    with pytest.raises(ValueError, match="password") as caught:
        shell.run("%pf run bad --view none")

    lines = "\n".join(caught.value._render_traceback_())  # type: ignore[attr-defined]
    assert not _COMMANDS.search(lines)
    assert S not in lines.splitlines()[-2] + lines.splitlines()[-1]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_a_run_prints_into_the_cell_as_well_is_masked_and_commands_no_terminal() -> None:
    behind = _Terminal()
    lane = lanes.Lane(behind)

    class Prints(Node):
        def exec(self, prep_res: Any) -> None:
            for piece in ("password=", S, "\n", ESC, " done\n"):
                lane.write(piece)

    flow = Flow(Prints(), name="f")
    run = flow.launch({}, name="teed")
    lanes.mirrored_output.add(run.number)
    try:
        again = flow.launch({}, name="teed too")
        lanes.mirrored_output.add(again.number)
        run.wait(20)
        again.wait(20)
    finally:
        lanes.mirrored_output.clear()

    assert S not in behind.getvalue()
    assert not _COMMANDS.search(behind.getvalue())


def test_the_tail_of_a_text_is_masked_before_it_is_cut() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\n" + f"{'M' * 60}\n" * 200

    assert masked_tail(block, 400).count("M") == 0
    assert masked_tail("word " + "x" * 50_000, 400) == "x" * 400
    assert speakable(f"a\n{ESC}") == "a\n\\x1b]0;owned\\x07\\x1b[2J\\x9b"


def test_a_page_is_written_beside_and_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _launched(lambda shared: None)
    target = tmp_path / "run.html"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.html"
    link.symlink_to(target)

    write_page([run], link)

    assert target.read_text().startswith("<!doctype html>")
    assert target.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    monkeypatch.setattr("os.replace", _no_room)
    with pytest.raises(OSError, match="no room"):
        run.to_html(target)
    assert target.read_text().startswith("<!doctype html>"), "what stood there stays"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "run.html"]


def _no_room(*_: Any) -> None:
    raise OSError("no room")


def test_a_table_of_events_keeps_its_numbers() -> None:
    frame = ports.export([{"seq": 1, "tokens": 5, "text": f"token={S}"}], "frame")

    assert frame["seq"].sum() == 1
    assert S not in frame.to_string()


def test_an_inspector_counts_its_traffic_whatever_it_looks_into() -> None:
    for source in (Store({"a": 1}), {"a": 1}):
        view = StoreInspector(source)
        refresh_loop.close(view)
        source["b"] = 2
        view.refresh()
        view._credit = -1e6

        assert not view.has_budget(), "a debt is not forgiven"
        view._credit = 1.0
        source["c"] = 3
        assert view.refresh() is not None
        assert len(view.rows) == 3
        view.close()


def test_a_conversation_tells_no_secret_by_any_way_out() -> None:
    key = "sk-proj-abcdefghijklmnop1234567890ABCDEFGH"
    asked = [
        {"id": "1", "name": "login", "arguments": {"password": S}}, {"id": "2", "name": "login", "arguments": json.dumps({"api_key": S})},
    ]

    def step(shared: Any) -> None:
        emit("message", f"my password={S} {ESC}", role="user", name=f"token={S}")
        emit("message", f"key {key}", role="assistant", tool_calls=asked)
        emit("tool", id="1", name="login", arguments={"password": S}, result={"token": S, "note": key})
        emit("tool", id="2", name="login", error=PermissionError(f"password={S}"))
        for piece in ("password=", S[:5], S[5:]):
            emit("token", piece)
        shared["messages"] = [{"role": "user", "content": f"password={S}"}, ("assistant", key)]

    told = _outputs(_launched(step))

    for where, text in told.items():
        assert S not in text, where
        assert key not in text, where
    assert not any(_COMMANDS.search(told[where]) for where in ("text", "page", "view"))  # a table holds the data as it is
