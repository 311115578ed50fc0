"""What is it? Nodes, flows, graph, checks, store, events, state, errors, ports.

The rule of this room: standard library only, nothing waits, nothing touches disk or network. Whatever runs, waits, draws or
keeps lives in another room and reaches in through :mod:`pocketflex_nb.core.ports`.
"""
