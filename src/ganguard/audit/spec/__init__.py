"""What a user writes, as frozen settings."""
