"""An agent with tools, as a flow of visible nodes."""
