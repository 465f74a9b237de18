"""Backups as tar files."""

from tiny_ca.adapters.outbound.archive.tar import TarArchives

__all__ = ["TarArchives"]
