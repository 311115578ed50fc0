"""Where is it kept, when several kernels, processes or machines share it? Stores and queues behind a URL.

The room's rule: it knows :mod:`pocketflex_nb.core` alone. Each server's client is imported in one file for the store and one for
the queue, inside functions, so that only who uses a server needs its extra. Values are written by
:mod:`pocketflex_nb.core.values` and never unpickled. URLs are read, and secrets masked, in :mod:`pocketflex_nb.resources.urls`.
"""

from __future__ import annotations
