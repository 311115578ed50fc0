"""JupyterLab in a real browser, as a person's hands and eyes: open, run, interrupt, look.

Everything goes through Lab's own commands (``window.jupyterapp``), not its menus. A `Lab` is a page; what it does, it does to the
notebook opened last. `ClassicPage` is the same for Notebook 7.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Locator, Page, expect

from tests.ui.server import LabServer

__all__ = ["ClassicPage", "Lab"]

#: what the front end itself complains about, whatever notebook is open (the last one is Notebook 7.6 loading its settings)
_NOISE = re.compile(
    r"favicon\.ico|ResizeObserver loop|restore the debugger state|\(reading 'schema'\)\n.*notebook_core"
    # Lab's theme manager takes out the old theme's style twice when themes change quickly; nothing but Lab's core is in the stack
    r"|^NotFoundError: Failed to execute 'removeChild' on 'Node'[^\n]*\n\s*at [^\n]*/jlab_core[^\n]*$"
)

_OPEN = """async path => {
    const panel = await window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    window.jupyterapp.shell.activateById(panel.id);
}"""
_CLOSE = """async () => {
    for (const panel of [...window.jupyterapp.shell.widgets('main')].filter(w => w.sessionContext)) {
        await panel.sessionContext.shutdown();
        await panel.context.save();
        panel.dispose();                // close() would ask whether to save, if an output came in between
    }
}"""
# resolves when all cells have replied; whoever wants to look meanwhile does not wait for it
_START = """name => {
    window.pfxRan = undefined;
    const done = went => { window.pfxRan = went === true; };
    window.jupyterapp.commands.execute(name).then(done, () => done(false));
}"""
# the kernel's status alone is not enough: it says idle after any message, one of the debugger's too, while a cell runs
_IS_IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget, kernel = panel?.sessionContext?.session?.kernel;
    const prompts = [...(panel?.node.querySelectorAll('.jp-InputPrompt') ?? [])];
    return !!kernel && kernel.status === 'idle' && kernel.connectionStatus === 'connected'
        && !prompts.some(prompt => prompt.textContent.includes('*'));
}"""


class Screen:
    """A page of a Jupyter front end: what Lab and Notebook 7 have in common."""

    panel_selector = ".jp-Notebook"

    def __init__(self, server: LabServer, page: Page, shots: Path) -> None:
        self.server, self.page, self._shots = server, page, shots
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self._written = 0
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._complained(error.stack or str(error)))
        page.on("request", self._asked)

    # --- notebooks ---------------------------------------------------------------------------------------------------

    def write(self, cells: Iterable[str | nbformat.NotebookNode], *, name: str = "scratch") -> str:
        """Write a notebook into the server's folder and return its path there. A str becomes a code cell."""
        made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})
        self._written += 1
        path = f"{name}-{self._written}.ipynb"
        nbformat.write(notebook, self.server.root / path)
        return path

    def copy(self, notebook: Path) -> str:
        """Copy a notebook of the project into the server's folder and return its path there."""
        shutil.copy(notebook, self.server.root / notebook.name)
        return notebook.name

    def saved(self, path: str) -> nbformat.NotebookNode:
        """The notebook as it stands on disk."""
        return nbformat.read(self.server.root / path, as_version=4)

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def panel(self) -> Locator:
        """The open notebook."""
        return self.page.locator(self.panel_selector)

    def cell(self, index: int) -> Locator:
        """A cell, counted from 0, whatever its type."""
        return self.panel.locator(".jp-Cell").nth(index)

    def outputs(self, index: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def screenshot(self, name: str, *, of: Locator | None = None) -> Path:
        """Take a picture of the page, or of one element, into ``$POCKETFLEX_SHOTS`` (else the test's folder)."""
        folder = Path(os.environ.get("POCKETFLEX_SHOTS") or self._shots)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        (of or self.page).screenshot(path=path)
        return path

    def expect_quiet(self) -> None:
        """Fail if the page has complained to its console, or has asked anything of another machine."""
        complaints, outside = self.complaints[:], self.outside[:]
        self.forget()
        assert not complaints, "the browser's console: " + "\n".join(complaints)
        assert not outside, "asked of another machine: " + ", ".join(outside)

    def forget(self) -> None:
        """Forget the complaints so far; for a test that provokes them."""
        self.complaints.clear()
        self.outside.clear()

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Evaluate JavaScript in the page."""
        return self.page.evaluate(script, argument)

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Execute one of Lab's commands and wait for it."""
        return self.evaluate("([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)",
                             [name, arguments or {}])

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self._complained(f"{message.text}\n({message.location.get('url', '')})")

    def _complained(self, text: str) -> None:
        if not _NOISE.search(text):
            self.complaints.append(text)

    def _asked(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname != "127.0.0.1":
            self.outside.append(request.url)


class Lab(Screen):
    """JupyterLab, one page for all tests: opening a notebook by command takes a tenth of loading the page."""

    panel_selector = ".jp-NotebookPanel:not(.lm-mod-hidden)"

    def start(self) -> None:
        """Load Lab afresh, with no notebook open."""
        self.page.goto(f"{self.server.base}/lab?token={self.server.token}&reset")
        self._wait_restored()

    def open(self, path: str) -> None:
        """Open a notebook of the server's folder, with its kernel ready."""
        self.evaluate(_OPEN, path)

    def reload(self, path: str) -> None:
        """Load the page again and go back to the notebook; its kernel goes on."""
        self.start()
        self.open(path)

    def close_all(self) -> None:
        """Close every notebook and end its kernel."""
        self.evaluate(_CLOSE)

    def run_all(self, *, wait: bool = True, timeout: float = 60) -> bool | None:
        """Run all cells. Waits, and says whether all went well; with ``wait=False`` returns at once, see `ran`."""
        return self._run("notebook:run-all-cells", wait=wait, timeout=timeout)

    def run_cell(self, index: int, *, wait: bool = True, timeout: float = 60) -> bool | None:
        """Run one cell; as `run_all`."""
        self.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", index)
        return self._run("notebook:run-cell", wait=wait, timeout=timeout)

    def ran(self, timeout: float = 60) -> bool:
        """Wait for what `run_all` or `run_cell` started, up to `timeout` seconds; whether all went well."""
        self.page.wait_for_function("() => window.pfxRan !== undefined", timeout=timeout * 1000)
        return bool(self.evaluate("() => window.pfxRan"))

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the kernel is idle."""
        self.page.wait_for_function(_IS_IDLE, timeout=timeout * 1000)

    def is_idle(self) -> bool:
        """Whether the kernel is idle now."""
        return bool(self.evaluate(_IS_IDLE))

    def interrupt(self) -> None:
        """Press the stop button of the notebook's toolbar."""
        self.panel.locator("[data-jp-item-name=interrupt] >> css=button, jp-button").first.click()

    def save(self) -> None:
        """Save the notebook."""
        self.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def theme(self, name: str) -> None:
        """Change to the ``"dark"`` or the ``"light"`` theme."""
        is_light = {"light": "true", "dark": "false"}[name]
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name.title()}"})
        self.page.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")     # body never counts as visible

    def _run(self, command: str, *, wait: bool, timeout: float) -> bool | None:
        self.evaluate(_START, command)
        return self.ran(timeout) if wait else None

    def _wait_restored(self) -> None:
        self.page.wait_for_function("() => !!window.jupyterapp", timeout=60_000)
        self.evaluate("() => window.jupyterapp.restored.then(() => null)")


class ClassicPage(Screen):
    """Notebook 7: a page for each notebook."""

    def open(self, path: str) -> None:
        """Open a notebook of the server's folder, with its kernel ready."""
        self.page.goto(f"{self.server.base}/notebooks/{path}?token={self.server.token}")
        self.page.wait_for_function("() => !!window.jupyterapp", timeout=60_000)
        self.page.wait_for_function(_IS_IDLE, timeout=60_000)

    def run_all(self, *, timeout: float = 60) -> None:
        """Run all cells and wait until the kernel is idle again."""
        self.evaluate(_START, "notebook:run-all-cells")
        self.page.wait_for_function("() => window.pfxRan !== undefined", timeout=timeout * 1000)

    def close(self) -> None:
        """End the notebook's kernel and leave its page."""
        self.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.goto("about:blank")


expect.set_options(timeout=20_000)
