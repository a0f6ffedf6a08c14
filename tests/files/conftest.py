"""What the tests of this room share with those of data."""

from tests.data.conftest import draw

__all__ = ["draw"]
