"""The nouns of the toolkit: nodes, flows, graphs, checks, stores, events, state, errors and ports.

The rule of this room: standard library only, nothing waits, nothing touches disk or network. Whatever runs, waits, draws or stores is
in another room and is called through :mod:`pocketflex_nb.core.ports`.
"""
