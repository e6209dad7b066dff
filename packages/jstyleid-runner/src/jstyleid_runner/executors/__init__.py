"""Executors: they run tasks in processes of this machine or on a Ray cluster."""
