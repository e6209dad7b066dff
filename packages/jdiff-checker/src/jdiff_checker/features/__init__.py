"""From image files to features: devices, networks, extraction in one pass, and a cache."""
