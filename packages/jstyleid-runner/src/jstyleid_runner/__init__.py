"""The `jstyleid` command: plans, runs and resumes style transfer jobs on top of `jstyleid_core`."""

__version__ = "0.1.0"
