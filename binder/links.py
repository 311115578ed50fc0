"""Write the README's Binder badge and links, one for each tutorial: `python binder/links.py`.

The repository stands in one place, `[tool.pocketflex_nb]` in pyproject.toml; the notebooks' titles stand in the notebooks.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- binder: written by binder/links.py -->", "<!-- /binder -->"


def binder_url(repository: str, ref: str, notebook: str) -> str:
    """Open one notebook of a GitHub repository, such as ``owner/name``, in JupyterLab on Binder."""
    return f"https://mybinder.org/v2/gh/{repository}/{ref}?urlpath=lab/tree/{notebook}"


def title(path: Path) -> str:
    """The first heading of a notebook."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ")


def links() -> str:
    """The badge, and a table of every tutorial with its two links."""
    place = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pocketflex_nb"]
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    urls = {path: binder_url(place["repository"], place["ref"], path.relative_to(ROOT).as_posix()) for path in paths}
    rows = [f"| [{title(path)}]({path.relative_to(ROOT).as_posix()}) | [open in Lab]({url}) |" for path, url in urls.items()]
    badge = f"[![Open the tour on Binder](https://mybinder.org/badge_logo.svg)]({urls[paths[0]]})"
    return "\n".join([badge, "", "| tutorial | on Binder |", "|---|---|", *rows])


def written(readme: str) -> str:
    """The README's text with the links between their two marks."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{links()}\n{END}{after}"


if __name__ == "__main__":
    README = ROOT / "README.md"
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
