"""The errors that end a measurement."""


class CannotStart(Exception):
    """Something that a measurement needs is missing or does not start; the text names it."""


class BadFile(Exception):
    """A file can't be read or written, or holds an invalid value; the text names the place."""


class WrongAnswers(Exception):
    """A target returns other scores or statuses than it must."""
