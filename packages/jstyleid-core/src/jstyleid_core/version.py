"""The version of all packages of this project; their builds and pins take it from here."""

__version__ = "0.1.0"
