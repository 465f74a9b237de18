"""Alembic's migrations of the registry, run by `tiny_ca.adapters.outbound.db.migrate`."""
