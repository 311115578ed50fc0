"""The widgets' ES modules, read by `tsc --strict` and Biome, and run by `node --test`.

The tools are npm packages, pinned in `package.json` beside this file and installed outside the repository, once for each version of that
file. They work on a copy of the modules and tests: Node finds the packages there, and nothing is written here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pocketflex_nb.notebook.widgets.base.js_bundle import WIDGETS
from tests.environment import ROOT
from tests.node_packages import node_packages

HERE = Path(__file__).resolve().parent
TESTS = sorted(path.name for path in HERE.glob("*.test.js"))


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder `node_modules` with the pinned packages."""
    return node_packages()


@pytest.fixture
def copied(packages: Path, tmp_path: Path) -> Path:
    """A folder with the modules, these tests and the packages, laid out as in the repository."""
    for source in (WIDGETS, HERE):
        shutil.copytree(source, tmp_path / source.relative_to(ROOT), ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.json"))
    for name in ("package.json", "tsconfig.json", "biome.json"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages, target_is_directory=True)
    return tmp_path


def _ends_well(copied: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_the_types_are_strict(copied: Path) -> None:
    _ends_well(copied, "node", "node_modules/typescript/bin/tsc")


@pytest.mark.timeout(300)
def test_the_linter_finds_nothing(copied: Path) -> None:
    _ends_well(copied, "node", "node_modules/@biomejs/biome/bin/biome", "lint", "--error-on-warnings", "pocketflex_nb", "tests")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TESTS)
def test_the_modules_do_what_their_tests_say(name: str, copied: Path) -> None:
    _ends_well(copied, "node", "--test", f"tests/js/{name}")


def test_an_error_of_type_or_lint_is_found(copied: Path) -> None:
    """The two tools read the modules at all."""
    wrong = copied / "pocketflex_nb/notebook/widgets/base/js/wrong.js"
    wrong.write_text('import { make } from "./dom.js";\nexport let wrong = make("no such tag");\n', encoding="utf-8")

    with pytest.raises(AssertionError, match=r"wrong\.js"):
        test_the_types_are_strict(copied)
    with pytest.raises(AssertionError, match=r"wrong\.js"):
        test_the_linter_finds_nothing(copied)
