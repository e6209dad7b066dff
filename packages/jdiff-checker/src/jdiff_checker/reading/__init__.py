"""Reading the upload, the split and the prompt lists, and judging whether they are complete."""
