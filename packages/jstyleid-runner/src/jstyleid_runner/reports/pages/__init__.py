"""Web pages that load nothing: the gallery and the timeline of a run."""
