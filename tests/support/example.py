"""The settings of `.env.example`, with their descriptions."""

from tests.support.paths import ROOT


def example(prefix: str) -> list[tuple[str, str, str]]:
    """(prose, variable, value) of each setting with a prefix, in order."""
    blocks = (ROOT / ".env.example").read_text().strip().split("\n\n")
    rows = []
    for block in blocks:
        prose, assignment = block.split("\n")
        assert prose.startswith("# ")
        name, equals, value = assignment.partition("=")
        assert equals
        rows.append((prose.removeprefix("# "), name, value))
    return [row for row in rows if row[1].startswith(prefix)]
