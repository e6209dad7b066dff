"""Fuzzers of everything that reads a file or a text of a user; `python -m fuzz --help`.

A reader gets inputs that are nearly right, or wrong in every way. It may take one, or refuse it
with an error that is meant for users. All else is a finding: another exception, an end of the
process, a wait, a warning on the terminal, memory beyond sense, a file that was changed.

`readers/` lists the readers and their first inputs, `mutations` makes inputs of those, `running`
runs them, `corpus` keeps what was found. The same number of the same seed is always the same input.
"""
