"""Pure functions from graphs and state to text: Mermaid, DOT, SVG, sequence diagrams, timelines, trees and diffs.

The rule of this room: pure functions of graph and state to text; nothing waits, nothing is written; graphviz stands in one file.
"""
