"""The files of weights that metrics need: which ones, where they lie, how they get there."""
