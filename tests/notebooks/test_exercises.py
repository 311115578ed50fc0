"""Every exercise of every notebook, in the notebook itself: untouched it says "not yet", wrong answers get their hint, the solution passes.

A lesson's answers stand in ``answers/lesson_NN.py``: ``SOLUTIONS``, what to put into the cell tagged ``exercise-NN.M``; and ``WRONG``,
for each exercise at least ten plausible answers with a piece of the hint that they must get; and ``RIGHT``, other answers that pass.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from pocketflex_nb.lessons.exercise import EXERCISES, lessons
from tests.notebooks.notebook_files import notebooks, read

LESSONS = {path.stem[:2]: path for path in notebooks() if re.match(r"(?!00)\d\d_", path.stem)}
_CHECK = re.compile(r'check\("(\d\d\.\d+)"')


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.timeout(180)
def test_exercises_know_right_from_wrong(lesson: str, wheel_env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETFLEX_PROGRESS", str(tmp_path / "progress.json"))
    answers = import_module(f"tests.notebooks.answers.lesson_{lesson}")
    notebook, expected = _filled(read(LESSONS[lesson]), answers)

    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    told = [(wanted, _told(notebook.cells[index])) for index, wanted in expected.items()]
    missed = [
        f"wanted {wanted!r} of\n{notebook.cells[index - 1].source}\ngot:\n{text}"
        for (index, wanted), (_, text) in zip(expected.items(), told, strict=True) if not _is_as_expected(text, wanted)
    ]
    assert not missed, "\n".join(missed)
    assert f"{len(answers.SOLUTIONS)} of {len(answers.SOLUTIONS)} exercises solved" in _told(notebook.cells[-1])


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_has_its_cell_its_right_answers_and_ten_wrong_ones(lesson: str) -> None:
    lessons()
    answers = import_module(f"tests.notebooks.answers.lesson_{lesson}")
    own = {number for number in EXERCISES if number.startswith(f"{lesson}.")}

    cells = read(LESSONS[lesson]).cells

    assert {_exercise(cell) for cell in cells} - {None} == own
    assert {found.group(1) for cell in cells if (found := _CHECK.match(cell.source))} == own
    assert set(answers.SOLUTIONS) == set(answers.RIGHT) == set(answers.WRONG) == own
    assert {number: len(wrong) for number, wrong in answers.WRONG.items() if len(wrong) < 10} == {}


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_answer_is_given_away(lesson: str) -> None:
    lessons()
    answers = import_module(f"tests.notebooks.answers.lesson_{lesson}")
    notebook = "\n".join(cell.source + str(cell.get("outputs", "")) for cell in read(LESSONS[lesson]).cells)

    given = [number for number, solution in answers.SOLUTIONS.items() if solution.strip() in notebook]
    hinted = [number for number in answers.SOLUTIONS if any(hint in notebook for hint in EXERCISES[number].hints)]

    assert given == hinted == []


def _filled(notebook: nbformat.NotebookNode, answers: Any) -> tuple[nbformat.NotebookNode, dict[int, str]]:
    """The notebook with every wrong answer, then every right one, tried after each untouched exercise; and what to expect of which cell."""
    cells: list[Any] = []
    expected: dict[int, str] = {}
    number = None
    for cell in notebook.cells:
        cells.append(cell)
        number = _exercise(cell) or number
        if number is None or not _CHECK.match(cell.source):
            continue
        expected[len(cells) - 1] = "untouched"
        right = [*answers.RIGHT[number], answers.SOLUTIONS[number]]
        for code, hint in [*answers.WRONG[number], *((code, "solved") for code in right)]:
            cells += [nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell(cell.source)]
            expected[len(cells) - 1] = hint
        number = None
    cells.append(nbformat.v4.new_code_cell(f'progress("{next(iter(answers.SOLUTIONS))[:2]}")'))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata), expected


def _exercise(cell: Any) -> str | None:
    tags = [tag for tag in cell.metadata.get("tags", ()) if tag.startswith("exercise-")]
    return str(tags[0]).removeprefix("exercise-") if tags else None


def _told(cell: Any) -> str:
    return "\n".join(output.data["text/plain"] for output in cell.outputs if "data" in output)


def _is_as_expected(text: str, expected: str) -> bool:
    if expected == "untouched":
        return text.startswith(("☐", "→"))
    if expected == "solved":
        return text.startswith("✓")
    return text.startswith("→") and any(piece in text for piece in expected.split("|"))
