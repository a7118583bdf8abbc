"""A machine's file system in a folder, for the tests of what is read from it."""

from pathlib import Path

import pytest
from madebyhand import Put

from cablecar.helper.imports import Foreign


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file below the test's root."""

    def write(path: str, content: str | bytes) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path)
