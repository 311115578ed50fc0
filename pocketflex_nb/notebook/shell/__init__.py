"""What is changed in IPython."""
