"""Modules that are joined into a widget's `_esm`: every mistake in an import is found here, not in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pocketflex_nb.notebook.widgets.base.js_bundle import WIDGETS, BundleError, bundle, check_modules, modules_of
from tests.environment import need

ENTRIES = sorted(path for path in WIDGETS.glob("*/*.js") if path.stem == path.parent.name)


def _written(folder: Path, **texts: str) -> Path:
    """Write modules by name; the path of `main`."""
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "main.js"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_a_widgets_modules_become_one_that_imports_nothing(entry: Path) -> None:
    check_modules(entry)
    text = bundle(entry)

    assert not re.search(r"^import\b|^export (?!default)", text, re.MULTILINE)
    assert len(re.findall(r"^export default \{", text, re.MULTILINE)) == 1
    assert [text.count(f"// {path.relative_to(WIDGETS).as_posix()}\n") for path in modules_of(entry)] == [1] * len(modules_of(entry))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_node_reads_what_a_widgets_modules_become(entry: Path, tmp_path: Path) -> None:
    need(shutil.which("node"), "Node", "apt-get install nodejs")
    joined = tmp_path / f"{entry.stem}.mjs"
    joined.write_text(bundle(entry), encoding="utf-8")

    done = subprocess.run(["node", "--check", joined], capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 0, done.stderr


def test_every_module_is_part_of_a_widget() -> None:
    used = {path for entry in ENTRIES for path in modules_of(entry)}

    assert {path.name for path in WIDGETS.rglob("*.js") if path not in used} == set()


def test_every_export_is_imported_by_a_widget_or_a_test() -> None:
    modules = {path: path.read_text(encoding="utf-8") for path in WIDGETS.rglob("*.js")}
    tests = [path.read_text(encoding="utf-8") for path in (Path(__file__).parents[3] / "js").glob("*.js")]
    lists = [names for text in [*modules.values(), *tests] for names in re.findall(r"^import [^{;]*\{([^}]*)\}", text, re.MULTILINE)]
    imported = {name.strip() for names in lists for name in names.split(",")}
    exported = {name for text in modules.values() for name in re.findall(r"^export (?:async )?\w+ (\w+)(?=[ (;=])", text, re.MULTILINE)}

    assert exported - imported - {"default"} == set()


def test_a_module_stands_once_after_those_that_it_imports(tmp_path: Path) -> None:
    main = _written(
        tmp_path,
        main='// @ts-check\nimport { a } from "./a.js";\nimport {\n  b,\n} from "./b.js";\n\nexport default { render: () => a(b) };\n',
        a='import { b } from "./b.js";\nexport function a(x) { return x + b; }\n',
        b="/** import { x } from nowhere; export default */\nexport const b = 1;\n",
    )

    text = bundle(main)

    assert [line for line in text.splitlines() if line.startswith("// ")] == ["// b.js", "// a.js", "// main.js"]
    assert "const b = 1;\n" in text and "\nfunction a(x)" in text
    assert text.rstrip().endswith("export default { render: () => a(b) };")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"main": 'import { mace } from "./a.js";\n', "a": "export function make() {}\n"},
         "main.js:1 imports 'mace', which a.js does not export; did you mean 'make'?"),
        ({"main": '\nimport { hidden } from "./a.js";\n', "a": "function hidden() {}\n"},
         "main.js:2 imports 'hidden', which a.js does not export; it exports nothing"),
        ({"main": 'import { a } from "./gone.js";\n'}, "main.js:1 imports gone.js, and there is no such file"),
        ({"main": 'import { a } from "./a.js";\nconst own = a;\n', "a": "\nlet own = 1;\nexport const a = own;\n"},
         "'own' stands at the top of a.js:2 and of main.js:2; give one of them another name"),
        ({"main": 'import { a } from "./a.js";\n', "a": 'import { b } from "./b.js";\nexport const a = 1;\n',
          "b": 'import { a } from "./a.js";\nexport const b = 1;\n'}, "modules import each other: a.js -> b.js -> a.js"),
        ({"main": 'import { a as b } from "./a.js";\n', "a": "export const a = 1;\n"}, "main.js:1 imports 'a as b'; a name keeps its name"),
        ({"main": 'import all from "./a.js";\n', "a": "export default 1;\n"}, "main.js:1 has 'import all from"),
        ({"main": 'import * as all from "./a.js";\n', "a": ""}, "main.js:1 has 'import * as all"),
        ({"main": 'import "./a.js";\n', "a": ""}, "main.js:1 has 'import"),
        ({"main": 'const a = await import("./a.js");\n', "a": ""}, "main.js:1 has 'import("),
        ({"main": 'import { a } from "./a.js";\n', "a": "export const a = 1;\nexport default a;\n"},
         "a.js:2 has 'export default a;'; only the module that the widget names has a default export"),
        ({"main": 'export { a } from "./a.js";\n', "a": "export const a = 1;\n"}, "main.js:1 has 'export { a }"),
        ({"main": "const { a } = window;\n"}, "main.js:1 takes a value apart at the top; declare one name a line"),
        ({"main": "export default 1;\nexport default 2;\n"}, "main.js has two default exports"),
    ],
)
def test_what_cannot_be_joined_is_refused_with_its_place(texts: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as refused:
        check_modules(_written(tmp_path, **texts))

    assert said in str(refused.value)
