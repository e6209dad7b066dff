"""The commands, one module each: their options and their output."""
