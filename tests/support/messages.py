"""What messages must state, whatever their sentences."""

import re

from werkzeug.test import TestResponse


def states(message: str, field: str, *facts: str) -> bool:
    """Returns whether a message is about a field, which it begins with, and states each fact."""
    name, separator, reason = message.partition(field)
    return name == "" and bool(separator) and all(fact in reason for fact in facts)


def mentions(text: str, *facts: str) -> bool:
    """Returns whether one line of a text states each fact, in any order."""
    return any(all(fact in line for fact in facts) for line in text.splitlines())


def stating(*facts: str) -> str:
    """Returns a pattern for `pytest.raises(match=…)`: a message that states each fact."""
    return "(?s)" + "".join(f"(?=.*{re.escape(fact)})" for fact in facts)


def failure(reply: TestResponse) -> str:
    """Returns why a request failed: the `body` of the envelope that all errors have."""
    envelope = reply.json
    assert envelope is not None
    assert envelope.keys() == {"body", "status"}
    assert envelope["status"] == "fail"
    reason = envelope["body"]
    assert isinstance(reason, str)
    return reason
