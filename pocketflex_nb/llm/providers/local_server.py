"""``python -m pocketflex_nb.llm.providers.local_server``: llama.cpp's server for one model file. The one file that imports xllamacpp.

It is a process of its own, since loading a model holds the interpreter for a second, and a model that does not fit into memory ends its
process. The first line of its input says what to serve, as JSON; one line of its output says where; it ends when its input does, and
so never outlives whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Serve what the first line of the standard input names, until that input ends."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    server = _server(settings)
    sys.stdout.write(json.dumps({"url": f"{server.listening_address}/v1"}) + "\n")
    sys.stdout.flush()
    while sys.stdin.read(4096):
        pass
    os._exit(0)  # a reply that is still being written is nobody's any more


def _server(settings: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel = settings["parallel"]
    params.n_ctx = settings["context"] * settings["parallel"]  # the server shares it out among the replies that it writes at once
    params.api_keys = [settings["key"]]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.verbosity, params.offline, params.ui, params.use_jinja = -1, True, False, True
    threads = settings["threads"] or max((os.cpu_count() or 2) - 1, 1)  # its threads spin while they wait for each other
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
