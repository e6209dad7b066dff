"""The plan of a run: its jobs, what is left of them, and the tasks that do it."""
