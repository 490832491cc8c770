"""An app of the web processes with its own folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.config.settings import Settings
from tests.support.web import KEYS, Web


@pytest.fixture
def make_web(settings: Settings, tmp_path: Path) -> Callable[..., Web]:
    """Makes an app; each setting can be given."""

    def make(**changed: Any) -> Web:
        usual = {"jobs_dir": str(tmp_path / "jobs"), "api_keys": KEYS}
        return Web(msgspec.structs.replace(settings, **{**usual, **changed}))

    return make


@pytest.fixture
def web(make_web: Callable[..., Web]) -> Web:
    """The app with default settings."""
    return make_web()
