"""What an audit found, as frozen records."""
