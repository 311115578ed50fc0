"""The recipe of two notebooks that meet in a store and a queue, run by two kernels at the same time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nbformat
import pytest

from pocketflex_nb import open_queue, open_store
from tests.environment import ROOT
from tests.kernel.kernels import Kernel, Ran


def cells(name: str) -> list[str]:
    """The code of a recipe's notebook."""
    notebook = nbformat.read(ROOT / "notebooks" / "recipes" / f"two_kernels_{name}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def walk(kernel: Kernel, code: list[str]) -> list[Ran]:
    """Run the cells in order."""
    ran = []
    for cell in code:
        ran.append(kernel.run(cell, timeout=90))
        assert ran[-1].status == "ok", ran[-1].errors
    return ran


@pytest.mark.timeout(240)
def test_two_kernels_share_a_queue_and_a_store_and_every_message_is_handled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ours, theirs = Kernel(), Kernel()
    try:
        *before, desk, show, _ = cells("b")
        walk(theirs, before)
        waiting = theirs.start(desk)
        theirs.wait_for_text(waiting, "desk b is open", timeout=60)
        ran = walk(ours, cells("a"))
        ended = theirs.finish(waiting, timeout=90)
        assert ended.status == "ok", ended.errors
        shown = theirs.run(show)
        assert shown.status == "ok", shown.errors
    finally:
        ours.close()
        theirs.close()

    told = "".join(part.text for part in ran)
    assert "24 messages, each handled once, by 2 kernels" in told
    url = f"sqlite:///{tmp_path}/pocketflex-two-kernels.db"
    with open_store(url) as team, open_queue(url) as work:
        kept = [key for key in team if key.startswith("words/")]
        by = Counter(team.who(key).kernel for key in kept)
        assert len(kept) == 24
        assert sorted(by.values()) == sorted([counted(told), counted(ended.text)]), "each says what the store says"
        assert all(team[key.replace("words/", "handled/")] == 1 for key in kept)
        stats = work.stats_sync()
        assert (stats.ready, stats.delayed, stats.held, stats.dead) == (0, 0, 0, 1)


def counted(text: str) -> int:
    """How many messages a kernel says that it has handled."""
    line = next(line for line in text.splitlines() if "messages were handled in this kernel" in line)
    return int(line.split()[0])
