"""What keeps the dashboards from being drawn."""


class CannotLook(Exception):
    """The text says what is missing, or which program failed and how."""
