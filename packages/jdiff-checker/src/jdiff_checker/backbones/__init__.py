"""The networks behind the metrics, each loaded from the weights folder; one file a network."""
