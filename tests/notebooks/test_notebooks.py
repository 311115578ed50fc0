"""Every notebook: in git without its outputs, and running top to bottom, offline, from the installed wheel."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.notebooks.notebook_files import is_strict, notebooks, read

#: what a Python kernel tells of itself, and Lab writes into a notebook
LANGUAGE_INFO = {"codemirror_mode", "file_extension", "mimetype", "name", "nbconvert_exporter", "pygments_lexer", "version"}
EVERY = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)


@EVERY
def test_outputs_are_stripped_unless_they_are_compared(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]

    kept = [index for index, cell in enumerate(cells) if cell.outputs or cell.execution_count]

    how = f"jupyter nbconvert --clear-output --inplace {path}"
    assert is_strict(path) or kept == [], f"cells with outputs: {kept}; strip them by: {how}"


@EVERY
def test_no_machine_stands_in_the_metadata(path: Path) -> None:
    notebook = read(path)

    assert "widgets" not in notebook.metadata, "saved widget state holds every script once per view"
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata.language_info) == LANGUAGE_INFO, "Lab would add what is missing, and the notebook would open modified"
    assert path.stat().st_size < 400_000


@EVERY
@pytest.mark.timeout(60)
def test_a_notebook_runs_within_a_minute_and_can_be_read_without_a_kernel(path: Path, wheel_env: Path, tmp_path: Path) -> None:
    notebook = read(path)

    _client(notebook, tmp_path).execute()

    errors = [output for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "error"]
    assert errors == []
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert notebook.cells[0].source.splitlines()[0].lstrip("# ") in page


@pytest.mark.timeout(60)
def test_the_kernel_imports_the_wheel_and_reaches_no_other_machine(wheel_env: Path, tmp_path: Path) -> None:
    where = "import socket, pocketflex_nb; print(pocketflex_nb.__file__)"
    inside = "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('inside')"
    outside = ("try:\n    socket.create_connection(('192.0.2.1', 9), timeout=1)\n"
               "except OSError as error:\n    print('refused:', error)")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in (where, inside, outside)])

    _client(notebook, tmp_path).execute()

    printed = [cell.outputs[0].text for cell in notebook.cells]
    assert Path(printed[0].strip()).is_relative_to(wheel_env)
    assert printed[1] == "inside\n"
    assert printed[2] == "refused: notebooks run offline: 192.0.2.1\n"


def _client(notebook: nbformat.NotebookNode, folder: Path) -> nbclient.NotebookClient:
    return nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
