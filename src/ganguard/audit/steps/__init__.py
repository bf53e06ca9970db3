"""The work of each kind of step, one file a kind."""
