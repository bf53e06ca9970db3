"""Checkpoints of other packages whose layout is plain: weights by name, and no code."""
