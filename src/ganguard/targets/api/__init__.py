"""Image APIs that are not ours: what is asked, how often, and what the answers hold."""
