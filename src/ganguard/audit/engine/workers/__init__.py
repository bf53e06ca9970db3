"""The places where steps run."""
