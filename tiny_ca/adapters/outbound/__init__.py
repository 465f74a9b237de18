"""Implementations of the ports; no family of them imports another."""
