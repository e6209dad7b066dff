"""What a run reads and keeps on the disk: its input, its folder, its lock and its records."""
