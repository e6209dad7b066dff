"""The six metrics: a module has the network, if there is one, and the formula over its features."""
