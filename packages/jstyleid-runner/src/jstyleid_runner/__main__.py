"""`python -m jstyleid_runner` is the `jstyleid` command."""

from jstyleid_runner.cli import main

if __name__ == "__main__":
    main()
