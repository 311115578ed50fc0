"""engine_panel .py .js .css: the whole process, with stop-all."""
