"""One module a command: reading its options, and what it prints."""
