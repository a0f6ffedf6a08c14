"""What a wheel holds that lies elsewhere in the repository: the guide, and the models and images of the demo; and where
its README leads.

An editable installation takes guide and demo from where they lie, and so does a clone. Who hosts the repository is not
known here: PRUNE_AUDIT_REPOSITORY says it, which the release workflow sets. Without it a package names no address, and
links of the README are as in the repository.
"""

from __future__ import annotations

import os
import re
import runpy
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class Published(MetadataHookInterface):
    """The README as an index shows it, and the addresses of the project."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the dynamic fields."""
        home = os.environ.get("PRUNE_AUDIT_REPOSITORY", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text("utf-8")
        if home:
            tag = f"v{metadata['version']}"
            text = re.sub(r"\]\((?![a-z]+:|#)", f"]({home}/blob/{tag}/", text)
            text = re.sub(r'src="(?![a-z]+:)', f'src="{home}/raw/{tag}/', text)
            metadata["urls"] = {
                "Repository": home,
                "Documentation": f"{home}/tree/{tag}/docs",
                "Changelog": f"{home}/blob/{tag}/CHANGELOG.md",
                "Issues": f"{home}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


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
