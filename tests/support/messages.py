"""What a message must state, whatever its sentence."""


def states(message: str, field: str, *facts: str) -> bool:
    """Returns whether a message is about a field, which it begins with, and states each fact."""
    name, separator, reason = message.partition(field)
    return name == "" and bool(separator) and all(fact in reason for fact in facts)
