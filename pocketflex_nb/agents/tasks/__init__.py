"""One function beside others."""
