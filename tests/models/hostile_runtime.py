"""The runtime of `tests.models.hostile`: imported by a server, it makes its workers find that format."""

from __future__ import annotations

from prune_audit import plugins
from tests.models import hostile

plugins.load = hostile.find
