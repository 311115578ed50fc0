"""What is shown in a cell: one folder a widget, and what every widget needs."""
