"""The weights of the metrics: the published files, their folder, and their download."""
