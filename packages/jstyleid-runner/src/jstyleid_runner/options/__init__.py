"""Options of the commands: what they are, where they come from, and the settings they mean."""
