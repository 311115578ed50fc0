"""`raising_shell`: an IPython shell for tests that raises the errors of cells."""

from __future__ import annotations

from typing import Any

__all__ = ["raising_shell"]


def raising_shell() -> object:
    """An IPython shell whose `run_cell` raises what the cell raised, instead of printing it.

    Returns
    -------
    IPython.core.interactiveshell.InteractiveShell
        A new one, in place of the one there was.

    Notes
    -----
    It opens the user's IPython profile and takes the place of ``__main__``: for a process of tests, with ``IPYTHONDIR`` set to a
    folder of its own. There::

        shell = raising_shell()
        shell.run_cell("%load_ext pocketflex_nb")
        with pytest.raises(ZeroDivisionError):
            shell.run_cell("1 / 0")
    """
    from IPython.core.interactiveshell import InteractiveShell  # here: only who tests magics has it

    base: Any = InteractiveShell  # untyped

    class RaisingShell(base):  # type: ignore[misc]  # it is one
        """Raises what cells raise."""

        def run_cell(self, *args: object, **kwargs: object) -> object:
            result = super().run_cell(*args, **kwargs)
            result.raise_error()
            return result

        def showtraceback(self, *args: object, **kwargs: object) -> None:
            """Print nothing: the error is raised."""

    InteractiveShell.clear_instance()
    return RaisingShell.instance()
