"""Files on the disk: a run's input, its folder, its lock and its records."""
