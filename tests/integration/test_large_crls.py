"""CRLs of many entries: what they cost in the database, in memory, and other threads."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from sqlalchemy import event

from bench.registries import filled_registry
from tests.regression.world import leaf
from tests.support import PostgreSQL
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    LocalStorage,
    ManualClock,
    PublicationURLs,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.db import crl_parts

MANY = 30_000


@pytest.mark.xdist_group("postgresql")
def test_postgresql_reads_entries_in_the_order_of_the_index(
    postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With statistics of an empty table, too: else it sorts what is left, for each part."""
    monkeypatch.setattr(crl_parts, "CRL_PART", MANY // 10)
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "string_agg" in statement:
            # By the same connection, with the settings of its transaction.
            with cursor.connection.cursor() as other:
                other.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(line for (line,) in other.fetchall()))

    url = postgresql.new_database()
    with filled_registry(tmp_path, 0, url) as (empty, _):
        engine = empty._handler._db.engine
        with engine.begin() as connection:
            for statement in (
                "ALTER TABLE revocations SET (autovacuum_enabled = off)",
                "ANALYZE revocations",
            ):
                connection.exec_driver_sql(statement)
    with filled_registry(tmp_path, MANY, url) as (ca, _):
        event.listen(ca._handler._db.engine, "before_cursor_execute", explain)
        assert ca.publish_crl().count == MANY
    assert len(plans) > 10
    assert all("Sort" not in plan for plan in plans), plans[1]


def test_sqlite_reads_and_forgets_by_indexes(tmp_path: Path) -> None:
    """It sorts for no part, and does not look at all that is owed for what is so no more."""
    plans: dict[str, set[str]] = {"SELECT": set(), "DELETE": set()}

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM revocations" in statement:
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement[:6]].update(row[3] for row in rows)

    url = f"sqlite:///{tmp_path}/registry.db"
    with filled_registry(tmp_path, 100, url) as (first, _):
        urls = PublicationURLs(
            crl=("http://a.test/{shard}",), delta=("http://a.test/{shard}/delta",), crl_shards=2
        )
        handler = SyncDBHandler(url)
        with CertLifecycleManager(first._services.storage, first.factory, handler, urls=urls) as ca:
            event.listen(handler._db.engine, "before_cursor_execute", explain)
            ca.publish_due()
            ca.publish_crl(is_delta=True)
            assert ca.publish_crl().count == 100
    assert not [step for step in plans["SELECT"] if "TEMP B-TREE" in step or "_owed" in step]
    assert {step.split(" INDEX ")[-1] for step in plans["DELETE"]} == {
        "ix_revocations_owed (issuer_id=? AND owed_until<?)",
        "ix_revocations_released (issuer_id=? AND crl_number<?)",
    }


def kept(ca: CertLifecycleManager) -> int:
    with ca._handler._db.engine.begin() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM revocations")).scalar_one()


def test_what_no_crl_owes_any_more_is_let_go(db_url: str, tmp_path: Path) -> None:
    clock = ManualClock()
    storage = LocalStorage(tmp_path / "pki")
    with CertLifecycleManager(storage, db_handler=SyncDBHandler(db_url), clock=clock) as ca:
        ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        short, held, on = (
            ca.issue_certificate(leaf(name, days_valid=days))[0].serial_number
            for name, days in (("short", 1), ("held", 90), ("on", 90))
        )
        for serial in (short, held, on):
            ca.revoke_certificate(serial, x509.ReasonFlags.certificate_hold)
        ca.publish_crl()
        clock.advance(timedelta(minutes=1))
        ca.release_certificate(held)
        clock.advance(timedelta(minutes=1))
        assert ca.publish_crl(is_delta=True).count == 1
        assert kept(ca) == 3
        clock.advance(timedelta(days=1))
        assert ca.publish_crl().count == 2
        assert kept(ca) == 1
        assert ca.publish_crl().count == 1
