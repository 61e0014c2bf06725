"""What can go wrong in a benchmark.

BenchmarkError
    Missing        a program, file or package is not there
    NotStarted     a server did not come up
    Unserved       a server cannot answer for these data: its row is left out, with the reason
    Wrong          an answer differs from the data: never a result
"""


class BenchmarkError(Exception):
    """A benchmark cannot go on."""


class Missing(BenchmarkError):
    """A program, file or package is not there."""


class NotStarted(BenchmarkError):
    """A server did not come up; the message ends with the last lines it wrote."""


class Unserved(BenchmarkError):
    """A server cannot answer for these data."""


class Wrong(BenchmarkError):
    """An answer differs from the data."""
