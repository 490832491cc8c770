"""What the tests of the service share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can get into; pytest's own they can't."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def no_explainer_is_left() -> Iterator[None]:
    """The app of a test is dropped, and its explainer's process ends with the connection."""
    before = set(psutil.Process().children())
    yield
    for child in set(psutil.Process().children()) - before:
        child.kill()
