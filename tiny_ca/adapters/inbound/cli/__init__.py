"""The command line, `tiny-ca`: a small module for each group of commands."""

from tiny_ca.adapters.inbound.cli.main import main

__all__ = ["main"]
