"""The Model Context Protocol: tools of servers for a `tool_agent`, and flows as tools for everybody's clients."""
