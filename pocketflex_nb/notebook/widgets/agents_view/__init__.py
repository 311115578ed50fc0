"""agents_view .py .js .css: live tree and live sequence."""
