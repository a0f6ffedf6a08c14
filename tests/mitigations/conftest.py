"""What the tests of this room share with those of pruning methods."""

from tests.pruning.conftest import _one_thread

__all__ = ["_one_thread"]
