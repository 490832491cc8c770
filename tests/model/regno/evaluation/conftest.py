"""What the tests of evaluations share."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.evaluating import Measured, run


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Measured:
    """Evaluates and returns the report, without drawing a page."""

    def measured(path: Path, *options: object) -> dict[str, Any]:
        capsys.readouterr()
        assert run(path, "--json", *options) == 0
        content: dict[str, Any] = json.loads(capsys.readouterr().out)
        return content

    return measured
