"""Scenario S72: agents in an executed notebook that is exported, and read with neither a kernel nor a network."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbconvert import HTMLExporter

#: what nbconvert's template itself asks for, for formulas and for widgets of others; the pictures do without
NBCONVERTS_OWN = ("require.js", "jquery", "MathJax", "mermaid")

TREE = """
%load_ext pocketflex_nb
from pocketflex_nb import Agent, Supervisor, child, trace

class Desk(Agent):
    def init(self, kind):
        self.kind, self.orders = kind, []
    async def handle_call(self, message, caller):
        self.orders.append(message)
        return f"{self.kind}: {message}"
    async def handle_cast(self, message):
        raise ValueError(f"{message} fell down")

team = await Supervisor([child(Desk, "tea", id="tea"), child(Desk, "scones", id="scones")], name="kitchen").start()
"""
TALK = """
with trace() as talk:
    tea = team["tea"]
    print(await tea.call("a cup"))
    tea.cast("the pot")
    for _ in range(200):
        if team.children()[0].restarts: break
        await asyncio.sleep(0.01)
talk
"""


class Loaded(HTMLParser):
    """What a page asks others for, and the words that it shows, those of pictures within it too."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._silent += tag in ("script", "style")
        for name, value in attrs:
            if name == "src" and value and value.startswith("data:image/svg+xml;base64,"):
                self.words.append(words(base64.b64decode(value.split(",", 1)[1]).decode()))
        if tag in ("script", "img", "iframe", "object", "embed") or (tag == "link" and ("rel", "stylesheet") in attrs):
            self.asked += [value for name, value in attrs if name in ("src", "href", "data") and value and "://" in value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


def words(text: str) -> str:
    """The words of HTML or SVG."""
    return " ".join(re.sub(r"<(style|script)[\s\S]*?</\1>|<[^>]+>", " ", text).split())


def shown(bundle: Any) -> str:
    """The words of a still picture: SVG, or HTML with one inside."""
    return words("".join(bundle.get("image/svg+xml", "")) + " " + "".join(bundle.get("text/html", "")))


def test_s72_the_tree_and_the_sequence_diagram_are_in_the_exported_page(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(code) for code in (TREE, "import asyncio" + TALK, "team", "await team.ref.stop()")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    notebook.metadata.pop("widgets", None)  # as where no widget manager is

    # the two pictures stand in the saved file itself
    talk, tree = ([output["data"] for output in cell.outputs if "data" in output] for cell in notebook.cells[1:3])
    assert any("kitchen/tea" in shown(bundle) and "a cup" in shown(bundle) for bundle in talk), talk
    assert any(all(word in shown(bundle) for word in ("kitchen", "tea", "scones")) for bundle in tree), tree

    exporter = HTMLExporter()
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = ""
    page, _ = exporter.from_notebook_node(notebook)
    read = Loaded()
    read.feed(page)
    told = " ".join(" ".join(read.words).split())
    assert "tea: a cup" in told
    assert told.count("kitchen/tea") and told.count("scones") and "fell down" in told, told[-2_000:]
    assert [url for url in read.asked if not any(name in url for name in NBCONVERTS_OWN)] == []
