"""How does it look as text? Mermaid, DOT, SVG, sequence, timeline, tree, diff.

The rule of this room: pure functions of graph and state to text; nothing waits, nothing is written; graphviz stands in one file.
"""
