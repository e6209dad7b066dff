"""`python -m jdiff_checker`, the same as `jdiff-check`."""

from jdiff_checker.cli import main

main()
