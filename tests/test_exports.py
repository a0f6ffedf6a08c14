"""The public names: sorted, importable, lazy, and none of them a submodule's."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.metadata import version

import pytest

import prune_audit


def test_every_name_is_there_and_none_hides_a_submodule() -> None:
    assert prune_audit.__all__ == sorted(prune_audit.__all__)
    assert dir(prune_audit) == prune_audit.__all__
    for name in prune_audit.__all__:
        assert getattr(prune_audit, name) is not None
    submodules = {module.name for module in pkgutil.iter_modules(prune_audit.__path__)}
    assert submodules.isdisjoint(prune_audit.__all__)


def test_the_version_is_the_packages() -> None:
    assert prune_audit.__version__ == version("prune-audit")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        prune_audit.nonsense  # noqa: B018  (asking is the test)


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, prune_audit; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
