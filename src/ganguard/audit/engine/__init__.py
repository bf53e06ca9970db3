"""Do the steps of a plan, each once."""
