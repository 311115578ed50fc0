"""The words agents and supervisors exchange."""
