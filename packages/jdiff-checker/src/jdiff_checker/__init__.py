"""Scores of style-transfer results on torch; nothing is implemented yet (see README.md)."""

__version__ = "0.1.0"
