"""Errors of a registry, other than refused models."""

from model.errors import ScoringError


class RegistryError(ScoringError):
    """Root of these errors."""


class Refused(RegistryError):
    """The command can't be done: no such version, a version that exists already, a bad name."""


class RowsRefused(Refused):
    """A file of rows that is not a table, or has no row to compare versions on."""


class Damaged(RegistryError):
    """What is stored is not what was written: a wrong hash, a missing or unreadable file."""


class Unavailable(RegistryError):
    """The registry can't be reached, read or written now."""


class Conflict(RegistryError):
    """The aliases were changed meanwhile."""
