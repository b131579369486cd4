"""What every test shares: the anyio backend, and the markers that follow from a test's folder."""

from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder."""
    for item in items:
        for folder in ("integration", "e2e"):
            if folder in Path(item.path).parts:
                item.add_marker(getattr(pytest.mark, folder))
