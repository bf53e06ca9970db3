"""Pipelines of the library diffusers: denoising in steps, with or without noise on the way."""
