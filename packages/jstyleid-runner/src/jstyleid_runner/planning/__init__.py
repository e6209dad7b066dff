"""The plan of a run: its jobs, the provenance of pictures, and the pending work."""
