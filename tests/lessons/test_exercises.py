"""Exercises: what `check` says, help in three levels, and progress that outlives the kernel and no disk can break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from pocketflex_nb import Flow, Node
from pocketflex_nb.lessons import saved_progress as kept
from pocketflex_nb.lessons.exercise import EXERCISES, Checked, exercise, lessons, point, slip, tried
from pocketflex_nb.lessons.exercises import check, hint, progress
from tests.environment import ROOT

NUMBER = "97.1"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The progress file of this test alone, and an exercise that wants the number 42."""
    monkeypatch.setenv(kept.PLACE, str(tmp_path / "folder" / "progress.json"))
    EXERCISES.clear()
    for module in [name for name in sys.modules if name.startswith("pocketflex_nb.lessons.lesson_")]:
        del sys.modules[module]

    @exercise(NUMBER, "The answer", hints=("It is a number.", "It is even.", "`answer = 6 * ___`"))
    def look(answer: Any) -> Checked:
        yield point(answer.real == answer, "A number.", "That is no number.")
        yield slip(answer == 54, "That is nine times six.")
        yield point(answer == 42, "It is <42>.", f"It is `{answer}`, and not right.")

    yield tmp_path / "folder" / "progress.json"
    kept._memory.clear()
    kept._unwritten = False
    del EXERCISES[NUMBER]


def _shown(thing: Any) -> dict[str, str]:
    return DisplayFormatter().format(thing)[0]


def test_an_untouched_answer_is_not_yet_and_costs_no_try(file: Path) -> None:
    verdict = check(NUMBER, ...)

    assert not verdict
    assert str(verdict).splitlines()[0] == "☐ 97.1 The answer: not yet"
    assert not file.exists()


def test_a_right_answer_is_told_point_by_point_and_kept(file: Path) -> None:
    verdict = check(NUMBER, 42)

    assert verdict
    assert str(verdict).splitlines() == ["✓ 97.1 The answer: solved", "  ✓ A number.", "  ✓ It is <42>."]
    assert json.loads(file.read_text())["exercises"][NUMBER] == {"solved": True, "tries": 1, "hints": 0}


def test_a_wrong_answer_shows_what_is_right_and_one_hint() -> None:
    assert str(check(NUMBER, 54)).splitlines() == [
        "→ 97.1 The answer: not quite", "  ✓ A number.", "  → That is nine times six.", '  Stuck? hint("97.1")',
    ]


def test_an_answer_that_raises_is_one_more_thing_to_mend() -> None:
    assert "→ Your code raised AttributeError: 'str' object has no attribute 'real'." in str(check(NUMBER, "42"))


def test_a_solved_exercise_stays_solved_when_it_is_spoilt_again(file: Path) -> None:
    check(NUMBER, 42)

    assert not check(NUMBER, 7)

    assert kept.read()[NUMBER] == kept.Kept(solved=True, tries=2)


def test_no_answer_is_in_what_is_shown_before_three_hints_were_asked_for() -> None:
    told = [str(check(NUMBER, ...)), str(check(NUMBER, 7)), str(hint(NUMBER)), str(hint(NUMBER))]

    assert not any("answer = 6" in text for text in told)
    assert "hint 3 of 3" in str(hint(NUMBER))
    last = str(hint(NUMBER))
    assert "hint 3 of 3" in last
    assert last.splitlines()[1:] == ["  It is a number.", "  It is even.", "  answer = 6 * ___", "  That was the last hint."]


def test_a_card_is_html_with_its_text_escaped_and_code_marked() -> None:
    shown = _shown(check(NUMBER, 42))
    wrong = _shown(check(NUMBER, 7))

    assert "It is &lt;42&gt;." in shown["text/html"]
    assert shown["text/plain"].startswith("✓ 97.1")
    assert "<code>7</code>" in wrong["text/html"]
    assert "script" not in _shown(check(NUMBER, "<script>"))["text/html"].replace("&lt;script", "")


def test_an_unknown_number_names_the_nearest() -> None:
    with pytest.raises(LookupError, match=r"no exercise '97\.11'; did you mean '97\.1'\?"):
        check("97.11", 42)
    with pytest.raises(LookupError, match="no lesson '0'"):
        progress("0")


def test_progress_counts_what_is_solved_and_can_begin_anew() -> None:
    first = sorted(number for number in lessons() and EXERCISES if number.startswith("01."))
    kept.save(first[0], lambda known: kept.Kept(solved=True, tries=known.tries + 1))

    summed = str(progress("01"))
    anew = str(progress("01", reset=True))

    assert summed.splitlines()[0] == f"☐ 1 of {len(first)} exercises solved: lesson 01, Nodes and flows"
    assert summed.splitlines()[1] == f"  ✓ {first[0]} {EXERCISES[first[0]].title}"
    assert anew.startswith(f"☐ 0 of {len(first)}")


def test_every_lesson_has_a_title_and_exercises_with_three_different_hints() -> None:
    titles = lessons()

    for lesson in titles:
        own = [EXERCISES[number] for number in EXERCISES if number.startswith(f"{lesson}.")]
        assert 3 <= len(own) <= 5, f"lesson {lesson} has {len(own)} exercises"
        assert titles[lesson].strip()
        assert all(len({hint.strip() for hint in found.hints} - {""}) == 3 for found in own)


def test_progress_outlives_the_process(file: Path) -> None:
    code = "from pocketflex_nb.lessons.exercises import hint; print(hint('01.1').headline[-11:])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    told = [subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout for _ in range(2)]

    assert told == ["hint 1 of 3\n", "hint 2 of 3\n"]


def test_a_place_that_cannot_be_written_costs_only_the_memory_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv(kept.PLACE, str(tmp_path / "a file" / "progress.json"))

    assert check(NUMBER, 42)
    hint(NUMBER)

    assert kept.read()[NUMBER] == kept.Kept(solved=True, tries=1, hints=1)
    assert "No file can be written here" in str(progress("97" if "97" in lessons() else None))


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"exercises": {"97.1": 3}}', '{"exercises": []}', '{"exercises": {"97.1": {"tries": "x"}}}'],
)
def test_a_file_that_nobody_can_read_counts_as_none(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)

    assert check(NUMBER, 42)

    assert kept.read()[NUMBER] == kept.Kept(solved=True, tries=1)


def test_two_notebooks_keep_their_progress_in_one_file(file: Path) -> None:
    check(NUMBER, 42)
    file.write_text(json.dumps({"format": 1, "exercises": {"02.1": {"solved": True}, NUMBER: {"solved": True, "tries": 1}}}))

    hint(NUMBER)

    assert kept.read() == {"02.1": kept.Kept(solved=True), NUMBER: kept.Kept(solved=True, tries=1, hints=1)}


def test_an_exercise_needs_a_number_and_three_hints() -> None:
    with pytest.raises(ValueError, match="3 hints"):
        exercise("98.1", "Too little help", hints=("one",))     # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"like '01\.2'"):
        exercise("one", "No number", hints=("1", "2", "3"))


class _Ever(Node):
    async def exec(self, prep_res: object) -> None:
        import asyncio

        await asyncio.Event().wait()


def test_a_flow_that_never_ends_is_stopped_and_one_that_fails_does_not_raise() -> None:
    endless = tried(_Ever(), seconds=0.1)

    class Fails(Node):
        def exec(self, prep_res: object) -> None:
            raise ZeroDivisionError("seven by nothing")

    failed = tried(Flow(Fails()), {})
    assert endless.status == "failed"
    assert isinstance(endless.error, TimeoutError)
    assert isinstance(failed.error, ZeroDivisionError)
