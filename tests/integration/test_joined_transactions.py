"""A certificate and a business row that are committed together, or not at all."""

from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import InvalidRequest, NotUniqueCertOwner, ReservationLost

CONFIG = ClientConfig(common_name="sensor", is_client_cert=True, key_algorithm="p-256")


class Base(DeclarativeBase):
    pass


class Device(Base):
    __tablename__ = "devices"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    serial_number: Mapped[str] = mapped_column(String(49))


class World:
    def __init__(self, folder: Path, db_url: str) -> None:
        self.folder = folder
        self.ca = CertLifecycleManager(LocalStorage(folder), db_handler=SyncDBHandler(db_url))
        self.ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        # An application's engine, as it comes: not one that the registry has configured.
        self.engine = create_engine(db_url)
        Base.metadata.create_all(self.engine)

    def devices(self) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(Device.serial_number)))

    def keys(self) -> list[Path]:
        return sorted(self.folder.glob("*/sensor.key"))

    def close(self) -> None:
        self.ca.close()
        self.engine.dispose()


@pytest.fixture
def world(tmp_path: Path, db_url: str):
    made = World(tmp_path / "pki", db_url)
    yield made
    made.close()


def test_both_rows_commit_together(world: World) -> None:
    with world.ca.prepare_certificate(CONFIG) as prepared:
        with Session(world.engine) as session, session.begin():
            session.add(Device(name="sensor", serial_number=str(prepared.serial_number)))
            prepared.join(session)
            assert world.keys() == []
        with pytest.raises(ReservationLost):
            _ = prepared.issued
    certificate, _, _ = prepared.issued
    assert world.devices() == [str(certificate.serial_number)]
    assert world.ca.verify_certificate(certificate)
    assert len(world.keys()) == 1


def test_neither_row_is_there_after_a_rollback(world: World) -> None:
    with pytest.raises(RuntimeError, match="business"):
        with world.ca.prepare_certificate(CONFIG) as prepared:
            with Session(world.engine) as session, session.begin():
                session.add(Device(name="sensor", serial_number=str(prepared.serial_number)))
                prepared.join(session)
                session.flush()
                raise RuntimeError("business")
    with pytest.raises(ReservationLost):
        _ = prepared.issued
    status = world.ca.get_certificate_status(prepared.serial_number)
    assert status is CertificateStatus.ABANDONED
    assert world.devices() == []
    assert world.keys() == []
    assert not list((world.folder / ".staging").iterdir())
    assert world.ca.issue_certificate(CONFIG)


def test_a_transaction_that_commits_before_a_later_error_has_issued(world: World) -> None:
    with pytest.raises(RuntimeError), world.ca.prepare_certificate(CONFIG) as prepared:
        with world.engine.begin() as connection:
            prepared.join(connection)
        raise RuntimeError
    certificate, _, _ = prepared.issued
    assert world.ca.verify_certificate(certificate)
    assert len(world.keys()) == 1


def test_a_reservation_that_was_closed_meanwhile_changes_nothing(world: World) -> None:
    with world.ca.prepare_certificate(CONFIG) as prepared:
        assert world.ca.revoke_certificate(prepared.serial_number)
        with Session(world.engine) as session, session.begin():
            session.add(Device(name="sensor", serial_number="0"))
            with pytest.raises(ReservationLost):
                prepared.join(session)
    assert world.devices() == ["0"]
    with pytest.raises(ReservationLost):
        _ = prepared.issued
    assert not world.keys()


def test_a_name_is_refused_before_the_transaction_begins(world: World) -> None:
    world.ca.issue_certificate(CONFIG)
    with pytest.raises(NotUniqueCertOwner):
        world.ca.prepare_certificate(CONFIG)


@pytest.mark.parametrize("commits", [True, False])
def test_a_revocation_joins(world: World, commits: bool) -> None:
    serial = world.ca.issue_certificate(CONFIG)[0].serial_number
    with Session(world.engine) as session:
        session.add(Device(name="sensor", serial_number=str(serial)))
        assert world.ca.revoke_certificate(serial, x509.ReasonFlags.key_compromise, within=session)
        session.commit() if commits else session.rollback()
    expected = CertificateStatus.REVOKED if commits else CertificateStatus.VALID
    assert world.ca.get_certificate_status(serial) is expected
    assert world.devices() == ([str(serial)] if commits else [])


def test_only_what_has_transactions_can_be_joined(world: World) -> None:
    with world.ca.prepare_certificate(CONFIG) as prepared, pytest.raises(InvalidRequest):
        prepared.join(object())
    ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    with ca.prepare_certificate(CONFIG) as prepared, pytest.raises(InvalidRequest):
        prepared.join(object())
