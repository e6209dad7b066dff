"""The six metrics, each a few functions over features; one file a metric."""
