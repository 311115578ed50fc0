"""%%pocketflex and %pocketflex."""
