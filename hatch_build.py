"""What a wheel holds that lies elsewhere in the repository: the guide, and the models and images of the demo.

An editable installation takes both from where they lie, and so does a clone.
"""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the files of ``prune_audit/shipped.py`` to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have them included; the same bytes in every build."""
        if version == "editable":
            return
        root = Path(self.root)
        shipped = runpy.run_path(str(root / "prune_audit" / "shipped.py"))
        self._folder = tempfile.TemporaryDirectory()
        packed = Path(self._folder.name) / shipped["DEMO"]
        with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in shipped["demo"]():
                archive.writestr(ZipInfo(name), content, ZIP_DEFLATED)
        build_data["force_include"][str(packed)] = f"prune_audit/{shipped['DEMO']}"
        build_data["force_include"][str(root / "docs" / shipped["GUIDE"])] = f"prune_audit/{shipped['GUIDE']}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was packed."""
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()
