"""``python -m pocketflex_nb serve module:flow``: flows as tools for MCP clients, from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pocketflex_nb.core.errors import PocketflexError, nearest

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketflex_nb", description="Multi-agent flows for notebooks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve flows as tools of the Model Context Protocol",
                                description="Serve flows over standard input and output, for a client that starts this command.")
    serve.add_argument("flows", nargs="+", metavar="[NAME=]MODULE:FLOW", help="a flow in a module, such as desk:research")
    serve.add_argument("--http", metavar="[HOST:]PORT", help="serve at this address instead, such as 8000")
    serve.add_argument("--name", default="pocketflex_nb", help="the server's name")
    asked = parser.parse_args(argv)
    sys.path.insert(0, os.getcwd())
    try:
        _serve(asked.flows, asked.http, asked.name)
    except (PocketflexError, ImportError, ValueError, OSError) as exc:
        sys.stderr.write(f"python -m pocketflex_nb serve: {exc}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(texts: Sequence[str], http: str | None, name: str) -> None:
    from pocketflex_nb.llm.mcp.serve_mcp import serve_mcp

    flows = dict(map(_found, texts))
    if http is None:
        serve_mcp(flows, "stdio", name=name)
        return
    host, _, port = http.rpartition(":")
    if not port.isdecimal():
        raise ValueError(f"--http {http}: a port such as 8000, or a host and a port such as 127.0.0.1:8000, is needed")
    server = serve_mcp(flows, "http", host=host or "127.0.0.1", port=int(port), name=name)
    if server is not None:
        sys.stderr.write(f"{server.url}: {', '.join(server.tools)} (Ctrl-C ends it)\n")
        server.wait()


def _found(text: str) -> tuple[str, Any]:
    """Name and flow of ``module:flow`` or ``name=module:flow``."""
    name, _, place = text.rpartition("=")
    module_name, _, variable = place.partition(":")
    if not module_name or not variable:
        raise ValueError(f"{text}: a module and a flow in it are needed, such as desk:research")
    module = import_module(module_name)
    if not hasattr(module, variable):
        known = [each for each, value in vars(module).items() if hasattr(value, "launch")]
        raise ValueError(f"{text}: the module {module_name} has no {variable!r}{nearest(variable, known)}")
    return name or variable, getattr(module, variable)


if __name__ == "__main__":
    sys.exit(main())
