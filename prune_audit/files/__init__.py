"""Bytes and tables on disk, read once for everyone."""
