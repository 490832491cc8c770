"""What can stop a load test before it says anything."""


class BadFile(Exception):
    """A file of numbers can't be used; the text names the file and the place in it."""
