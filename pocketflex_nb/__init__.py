"""Build and watch multi-agent flows in a Jupyter notebook."""
