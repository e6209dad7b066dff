"""Workflows: what the commands do, put together from the other packages."""
