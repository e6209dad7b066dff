"""Web pages that need nothing but themselves: the pictures of a run, and who made them when."""
