"""`python -m benchmarks.house [FOLDER]`: how the package is built, in figures: folders, annotations, functions, names.

What is counted: Python files below `pocketflex_nb/` as they stand in the working tree. Annotations are those of parameters, results and
attributes; one counts as `Any` when the name stands in it anywhere. A name has two meanings when two modules of different folders export
different definitions under it.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "pocketflex_nb"


def main(argv: list[str]) -> int:
    """Print the figures of the checkout in `argv`, or of this one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house", description="How the package is built, in figures.")
    parser.add_argument("folder", nargs="?", default=Path(__file__).resolve().parent.parent, type=Path, help="a checkout")
    root = parser.parse_args(argv).folder / PACKAGE
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))}
    for name, value in figures(root, trees):
        print(f"{name:44} {value}")
    return 0


def figures(root: Path, trees: dict[Path, ast.Module]) -> Iterator[tuple[str, str]]:
    """Name and value of each figure."""
    folders = Counter(path.parent.relative_to(root).as_posix() for path in trees if path.name != "__init__.py")
    yield "folders", str(len(folders))
    yield "fullest folders", ", ".join(f"{name} {number}" for name, number in folders.most_common(4))
    annotations = [note for tree in trees.values() for note in _annotations(tree)]
    loose = sum(_names_any(note) for note in annotations)
    yield "annotations with Any", f"{loose} of {len(annotations)}, {100 * loose / len(annotations):.1f} %"
    yield "annotations with Any by room", ", ".join(_loose_rooms(root, trees))
    functions = sorted(((_length(node), node.name, path) for path, tree in trees.items() for node in ast.walk(tree)
                        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)), key=lambda found: -found[0])
    lengths = [length for length, _, _ in functions]
    yield "functions: median, 90th percentile, longest", f"{lengths[len(lengths) // 2]}, {lengths[len(lengths) // 10]}, {lengths[0]} lines"
    yield "longest functions", ", ".join(f"{path.relative_to(root)}:{name} {length}" for length, name, path in functions[:3])
    most = max(((_branches(node), node.name) for tree in trees.values() for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)), key=lambda found: found[0])
    yield "most branches in a function", f"{most[0]} ({most[1]})"
    yield "files over 300 lines", str(sum(len(path.read_text(encoding="utf-8").splitlines()) > 300 for path in trees))
    yield "exported names with two or more meanings", _meanings(trees)
    yield "public names of Run", _public("Run", trees)
    yield "public names of Store", _public("Store", trees)


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield from (argument.annotation for argument in every if argument is not None and argument.annotation is not None)
            if node.returns is not None:
                yield node.returns
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation


def _loose_rooms(root: Path, trees: dict[Path, ast.Module]) -> Iterator[str]:
    rooms: dict[str, list[bool]] = defaultdict(list)
    for path, tree in trees.items():
        rooms[path.relative_to(root).parts[0]] += [_names_any(note) for note in _annotations(tree)]
    for room, found in sorted(rooms.items(), key=lambda entry: -sum(entry[1]) / max(1, len(entry[1]))):
        if found:
            yield f"{room} {100 * sum(found) / len(found):.1f} %"


def _names_any(note: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(note))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    is_documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    text = (first.end_lineno or 0) - first.lineno + 1 if is_documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - text


def _branches(node: ast.AST) -> int:
    kinds = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.BoolOp, ast.comprehension, ast.match_case)
    return 1 + sum(isinstance(child, kinds) for child in ast.walk(node))


def _meanings(trees: dict[Path, ast.Module]) -> str:
    places: dict[str, set[Path]] = defaultdict(set)
    for path, tree in trees.items():
        listed = {name for node in tree.body if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
                  for name in ast.literal_eval(node.value)}
        for node in tree.body:
            named = [node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else [
                target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
            for name in set(named) & listed:
                places[name].add(path)
    double = {name: len(where) for name, where in places.items() if len(where) > 1}
    return f"{len(double)} ({', '.join(sorted(double)[:12])})" if double else "0"


def _public(name: str, trees: dict[Path, ast.Module]) -> str:
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                methods = {child.name for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)}
                stored = {target.attr for child in ast.walk(node) if isinstance(child, ast.Assign) for group in child.targets
                          for target in ast.walk(group) if isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self"}
                return str(len({found for found in methods | stored if not found.startswith("_")}))
    return "-"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
