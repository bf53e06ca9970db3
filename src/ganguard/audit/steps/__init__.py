"""The functions that do the work of each kind of step."""
