"""Tools: what a model may call, with name, description and JSON schema."""
