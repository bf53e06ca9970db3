"""Code that is not ours: it runs behind a guard, and what it makes is looked at before anything is bought."""
