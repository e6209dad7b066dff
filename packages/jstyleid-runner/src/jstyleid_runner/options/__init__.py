"""The options of the commands, their sources, and the settings that follow from them."""
