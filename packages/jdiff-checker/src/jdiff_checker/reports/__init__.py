"""Shows a result: in the terminal, as a page, beside another result."""
