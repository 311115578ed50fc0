"""run_history .py .js .css: the runs that journals keep, over all kernels, with filters and what can be done with many of them."""
