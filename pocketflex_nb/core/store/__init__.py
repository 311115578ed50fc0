"""The shared dict that knows who wrote what, when, and what it held before."""
