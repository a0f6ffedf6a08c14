"""What the tests of this room share with those of the rooms whose networks they take."""

from tests.models.conftest import conv_net, images, mlp, rewritten, run_script, script
from tests.pruning.conftest import _one_thread

__all__ = ["_one_thread", "conv_net", "images", "mlp", "rewritten", "run_script", "script"]
