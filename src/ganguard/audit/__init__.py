"""The audit: a spec becomes a plan of steps, the steps run, their results become a report."""
