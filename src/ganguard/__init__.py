"""ganguard: how well can an image generator be copied by querying it, and what stops that at what price?"""

__version__ = "0.1.0"
