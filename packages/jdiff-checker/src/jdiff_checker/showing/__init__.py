"""How a result is shown: in the terminal, as a page, beside another result."""
