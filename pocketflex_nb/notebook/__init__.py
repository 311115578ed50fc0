"""How does it reach the screen? Magics, formatters, the bridge, widgets.

The rule of this room: it may import every other; a handler parses, calls, shows.
"""
