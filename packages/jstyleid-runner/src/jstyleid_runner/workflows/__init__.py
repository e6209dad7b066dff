"""Workflows: the work of the commands, put together from the other packages."""
