"""What the gateway observes: extraction risk, signs of copying, and its own metrics."""
