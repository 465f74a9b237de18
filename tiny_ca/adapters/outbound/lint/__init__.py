"""Linters by other people."""

from tiny_ca.adapters.outbound.lint.pkilint import PkilintLinter

__all__ = ["PkilintLinter"]
