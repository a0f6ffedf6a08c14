"""Plugins for prune-audit from a package of their own."""
