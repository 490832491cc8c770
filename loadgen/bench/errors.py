"""What can stop the benchmark."""


class CannotStart(Exception):
    """Something that a measurement needs is missing; the text names it."""


class WrongAnswers(Exception):
    """A target answers with other scores or statuses than it should."""
