"""The spec that a user writes, as frozen settings."""
