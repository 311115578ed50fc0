"""`--journal` keeps the runs of a cell, and `%pf resume` goes on with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflex_nb.journal.journal import Journal
from tests.notebook.conftest import Shell

FLOW = """
from pocketflex_nb import END, Flow, Node
is_down = True
class Count(Node):
    def post(self, shared, prep_res, exec_res):
        if shared["n"] == 2 and is_down:
            raise ConnectionError("down")
        shared["n"] += 1
        return "again" if shared["n"] < 4 else "enough"
count = Count()
count - "again" >> count
count - "enough" >> END
counting = Flow(count, name="counting")
"""


def test_a_cell_s_run_is_kept_and_resumed(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    shell.run(FLOW)
    with pytest.raises(ConnectionError):
        shell.run(f"%pocketflex run counting --seed n=0 --journal {file} --name night")
    shell.run("is_down = False")

    shell.run(f"again = %pocketflex resume {file} night")
    run = shell.names["again"].wait(10)

    assert (run.status, run.store["n"]) == ("done", 4)
    assert Journal(file).history("night").status == "done"
    shell.run(f"%pocketflex resume {file}")
    assert "nothing to resume" in shell.said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%pocketflex resume", "file is missing"),
        ("%pocketflex resume nowhere.sqlite", "there is no journal"),
        ("%pocketflex run counting --seed n=0 --durability power", "needs --journal"),
        ("%pocketflex run counting --seed n=0 --journal x.sqlite --durability powr", "power"),
    ],
)
def test_what_cannot_be_resumed_or_kept_is_told(
    line: str, told: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(FLOW)

    assert told in shell.refuse(line)
    assert list(tmp_path.iterdir()) == []
