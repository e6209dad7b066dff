"""Seconds of a command from its start to its end; prints one number."""

import subprocess
import sys
import time


def main() -> None:
    """Run ``jstyleid`` with the given arguments."""
    start = time.perf_counter()
    subprocess.run(["jstyleid", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
