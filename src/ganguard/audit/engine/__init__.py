"""Run the steps of a plan, each once."""
