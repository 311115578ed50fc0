"""Processes killed at random moments and around every write, over flows of every shape: `python -m tests stress -- -k journal`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.journal.kill_target import SHAPES
from tests.journal.kills import undisturbed, walked
from tests.journal.test_resume import check

pytestmark = [pytest.mark.stress, pytest.mark.timeout(3_600)]

#: kills at random moments, over all shapes and durabilities
KILLS = int(os.environ.get("POCKETFLEX_KILLS", "500"))


@pytest.mark.parametrize("durability", ["node", "power"])
@pytest.mark.parametrize("shape", SHAPES)
def test_journal_at_random_moments(shape: str, durability: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, kills, round_ = undisturbed(tmp_path / "whole", shape), 0, 0

    while kills < KILLS / len(SHAPES) / 2:
        folder = tmp_path / f"killed {round_}"
        folder.mkdir()
        outcome = walked(folder, shape, durability, kills=5, seed=round_)
        check(outcome, whole)
        kills, round_ = kills + outcome.kills, round_ + 1

    print(f"{shape}, {durability}: {kills} kills, no recorded call made again, no change lost")


@pytest.mark.parametrize("shape", SHAPES)
def test_journal_around_every_write(shape: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, point = undisturbed(tmp_path / "whole", shape), 0

    while True:
        point += 1
        folder = tmp_path / f"point {point}"
        folder.mkdir()
        outcome = walked(folder, shape, "node", points=[point])
        check(outcome, whole)
        if not outcome.kills:
            break

    assert point > 4
    print(f"{shape}: killed at each of {point - 1} points, no recorded call made again, no change lost")
