"""The commands, one module each: options, and printed output."""
