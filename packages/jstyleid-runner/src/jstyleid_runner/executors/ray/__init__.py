"""The executor on a Ray cluster; `ray` is an optional dependency."""
