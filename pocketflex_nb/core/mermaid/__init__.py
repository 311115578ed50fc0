"""Mermaid text becomes a flow, in one direction: scanner, parser, Diagram, builder."""
