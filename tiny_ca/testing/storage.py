"""The contract of `ports.storage.Storage`."""

# ruff: noqa: S101

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.errors import FileAlreadyExists, StorageError
from tiny_ca.domain.records import CRLStamp, Location
from tiny_ca.ports.storage import Artefacts, Storage
from tiny_ca.testing.samples import HOUR, NOW, SampleCA, at_once, leaf_plan, sample_key

__all__ = ["StorageContract", "sample_artefacts", "sample_crl"]

HERE = Location("uuid-1", "leaf", "some/folder")


def sample_artefacts(serial_number: int = 1) -> Artefacts:
    """Make a certificate with its key and request."""
    plan, key = leaf_plan(serial_number), sample_key(serial_number)
    certificate = SampleCA().issuer.sign_certificate(plan, key.public_key())
    return Artefacts(certificate, key, CryptographyBackend().sign_request(plan.subject, key))


def sample_crl(number: int = 1) -> x509.CertificateRevocationList:
    """Make an empty CRL."""
    return SampleCA().issuer.sign_crl(CRLStamp(number, NOW, NOW + HOUR), [])


def staged(storage: Storage) -> list[str]:
    """Give the uuids of the leftovers."""
    return sorted(leftover.uuid for leftover in storage.leftovers())


class StorageContract:
    """Proves a storage.

    Subclass it as `class TestMyStorage(StorageContract)` and provide a fixture *storage* that
    gives an empty one, open to threads, that writes PEM.
    """

    passphrase: ClassVar[bytes | None] = None
    """What opens the private keys that it keeps."""

    def crl_at(self, storage: Storage, path: Path) -> x509.CertificateRevocationList | None:
        """Read a CRL that was swapped in at *path*; override this if it is in no file."""
        return x509.load_pem_x509_crl(path.read_bytes()) if path.exists() else None

    def holds(self, storage: Storage, location: Location, artefacts: Artefacts) -> bool:
        """Whether *artefacts* are what can be read at *location*."""
        pem = storage.read(location, ".pem")
        return x509.load_pem_x509_certificate(pem) == artefacts.certificate

    def is_nothing_at(self, storage: Storage, location: Location) -> bool:
        """Whether *location* is vacant, unreadable and not found."""
        storage.check_vacant(location)
        with pytest.raises(StorageError):
            storage.read(location, ".pem")
        return storage.find_folder(location.uuid) is None

    def put(self, storage: Storage, location: Location, serial_number: int = 1) -> Artefacts:
        """Stage and publish."""
        artefacts = sample_artefacts(serial_number)
        storage.stage(location, artefacts)
        storage.publish(location)
        return artefacts

    def test_is_a_storage(self, storage: Storage) -> None:
        """It has every method of the port."""
        assert isinstance(storage, Storage)

    def test_an_empty_storage_has_nothing(self, storage: Storage) -> None:
        """Every place is vacant, nothing is left over."""
        assert self.is_nothing_at(storage, HERE)
        assert staged(storage) == []

    def test_what_is_staged_is_invisible(self, storage: Storage) -> None:
        """Its place is vacant still, and it can be neither read nor found."""
        storage.stage(HERE, sample_artefacts())
        assert self.is_nothing_at(storage, HERE)

    def test_publish_makes_it_visible(self, storage: Storage) -> None:
        """Under paths by extension, whole, and no longer as a leftover."""
        artefacts = sample_artefacts()
        storage.stage(HERE, artefacts)
        paths = storage.publish(HERE)
        assert {path.name for path in paths.values()} == {"leaf.pem", "leaf.key", "leaf.csr"}
        assert all(path.suffix == extension for extension, path in paths.items())
        assert self.holds(storage, HERE, artefacts)
        key = load_pem_private_key(storage.read(HERE, ".key"), self.passphrase)
        assert key.public_key() == artefacts.certificate.public_key()
        assert x509.load_pem_x509_csr(storage.read(HERE, ".csr")) == artefacts.csr
        assert staged(storage) == []

    def test_a_certificate_alone(self, storage: Storage) -> None:
        """What was not made is not there."""
        storage.stage(HERE, Artefacts(sample_artefacts().certificate))
        assert set(storage.publish(HERE)) == {".pem"}
        for extension in (".key", ".csr"):
            with pytest.raises(StorageError):
                storage.read(HERE, extension)

    def test_publishing_twice_changes_nothing(self, storage: Storage) -> None:
        """The same paths, the same files."""
        artefacts = sample_artefacts()
        storage.stage(HERE, artefacts)
        paths = storage.publish(HERE)
        assert storage.publish(HERE) == paths
        assert self.holds(storage, HERE, artefacts)

    def test_publishing_at_once(self, storage: Storage) -> None:
        """Whoever recovers and whoever issues get the same paths, and the files stay whole."""
        for serial in range(1, 11):
            location = Location(f"uuid-{serial}", "leaf", "some/folder")
            artefacts = sample_artefacts(serial)
            storage.stage(location, artefacts)
            outcomes = at_once(8, lambda _, here=location: storage.publish(here))  # type: ignore[misc]
            assert outcomes == [storage.publish(location)] * 8
            assert len(storage.publish(location)) == 3
            assert self.holds(storage, location, artefacts)
        assert staged(storage) == []

    def test_publish_replaces_a_folder(self, storage: Storage) -> None:
        """All of it: no file of the old one stays; until then it is what can be read."""
        old, new = self.put(storage, HERE), Artefacts(sample_artefacts(2).certificate)
        for _ in range(2):
            storage.stage(HERE, new)
            assert self.holds(storage, HERE, old)
            assert set(storage.publish(HERE)) == {".pem"}
            assert self.holds(storage, HERE, new)
            assert staged(storage) == []
            old, new = new, Artefacts(sample_artefacts(3).certificate)
        with pytest.raises(StorageError):
            storage.read(HERE, ".key")

    def test_publish_needs_something_staged(self, storage: Storage) -> None:
        """Or published: `StorageError`."""
        with pytest.raises(StorageError):
            storage.publish(HERE)

    def test_a_published_place_is_taken(self, storage: Storage) -> None:
        """Another folder, or uuid, is not."""
        self.put(storage, HERE)
        with pytest.raises(FileAlreadyExists):
            storage.check_vacant(HERE)
        storage.check_vacant(Location("uuid-1", "leaf"))
        storage.check_vacant(Location("uuid-1", "leaf", "some"))
        storage.check_vacant(Location("uuid-2", "leaf", "some/folder"))

    def test_a_uuid_is_staged_once(self, storage: Storage) -> None:
        """Wherever it is to go; what is staged stays."""
        artefacts = sample_artefacts()
        storage.stage(HERE, artefacts)
        for location in (HERE, Location("uuid-1", "other", "another/folder")):
            with pytest.raises(FileAlreadyExists):
                storage.stage(location, sample_artefacts(2))
        storage.publish(HERE)
        assert self.holds(storage, HERE, artefacts)

    def test_discard(self, storage: Storage) -> None:
        """What was staged is gone, its uuid free; what is published stays; twice is no error."""
        published = self.put(storage, HERE)
        storage.stage(HERE, sample_artefacts(2))
        storage.stage(Location("uuid-2", "leaf"), sample_artefacts(2))
        storage.discard("uuid-1")
        storage.discard("uuid-1")
        storage.discard("never staged")
        assert self.holds(storage, HERE, published)
        assert staged(storage) == ["uuid-2"]
        storage.discard("uuid-2")
        with pytest.raises(StorageError):
            storage.publish(Location("uuid-2", "leaf"))
        self.put(storage, Location("uuid-2", "leaf"))

    def test_leftovers(self, storage: Storage) -> None:
        """Every staged folder, with when it was staged."""
        before = datetime.now(UTC) - timedelta(seconds=10)
        for uuid in ("uuid-1", "uuid-2", "uuid-3"):
            storage.stage(Location(uuid, "leaf", uuid), sample_artefacts())
        storage.publish(Location("uuid-2", "leaf", "uuid-2"))
        assert staged(storage) == ["uuid-1", "uuid-3"]
        moments = [leftover.staged_at for leftover in storage.leftovers()]
        assert all(before <= moment <= before + timedelta(minutes=1) for moment in moments)

    def test_leftovers_can_be_dealt_with_as_they_come(self, storage: Storage) -> None:
        """Each is given, though the one before is gone by then."""
        for serial in range(5):
            storage.stage(Location(f"uuid-{serial}", "leaf"), sample_artefacts())
        for leftover in storage.leftovers():
            storage.discard(leftover.uuid)
        assert staged(storage) == []

    def test_delete(self, storage: Storage) -> None:
        """One published folder; none is no error; what is staged stays."""
        other = Location("uuid-2", "leaf", "some/folder")
        kept = self.put(storage, other, 2)
        self.put(storage, HERE)
        storage.stage(HERE, sample_artefacts(3))
        storage.delete(HERE)
        storage.delete(HERE)
        storage.delete(Location("never", "there", "at/all"))
        assert self.is_nothing_at(storage, HERE)
        assert self.holds(storage, other, kept)
        assert staged(storage) == ["uuid-1"]

    def test_find_folder(self, storage: Storage) -> None:
        """Of what is published: relative to the base, and `None` for the base itself."""
        self.put(storage, Location("uuid-1", "leaf", "one"))
        self.put(storage, Location("uuid-2", "leaf", "one/two/three"))
        self.put(storage, Location("uuid-3", "leaf"))
        found = [storage.find_folder(f"uuid-{n}") for n in (1, 2, 3, 4)]
        assert found == ["one", "one/two/three", None, None]
        for pattern in ("*", "uuid-?", "uuid-[12]"):
            assert storage.find_folder(pattern) is None

    def test_read_needs_a_file(self, storage: Storage) -> None:
        """Of this uuid, name, folder and extension: `StorageError`."""
        self.put(storage, HERE)
        for location in (
            Location("uuid-2", "leaf", "some/folder"),
            Location("uuid-1", "fleal", "some/folder"),
            Location("uuid-1", "leaf", "some"),
        ):
            with pytest.raises(StorageError):
                storage.read(location, ".pem")
        with pytest.raises(StorageError):
            storage.read(HERE, ".txt")

    def test_a_crl_is_visible_once_swapped(self, storage: Storage) -> None:
        """In place of the former one, which can be read until then."""
        crls = sample_crl(1), sample_crl(2)
        path = storage.stage_crl(crls[0], "crl").swap()
        assert path.name == "crl.pem"
        assert self.crl_at(storage, path) == crls[0]
        second = storage.stage_crl(crls[1], "crl")
        assert self.crl_at(storage, path) == crls[0]
        assert second.swap() == path
        assert self.crl_at(storage, path) == crls[1]

    def test_a_crl_that_is_not_wanted(self, storage: Storage) -> None:
        """Leaves nothing; what was swapped in is not discarded any more."""
        crls = [sample_crl(n) for n in range(3)]
        first, second, third = (storage.stage_crl(crl, "crl") for crl in crls)
        second.discard()
        second.discard()
        path = first.swap()
        first.discard()
        third.discard()
        assert self.crl_at(storage, path) == crls[0]
        assert staged(storage) == []
