"""The contract of `ports.storage.Storage`."""

# ruff: noqa: S101

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.crl import CRLPlan
from tiny_ca.domain.errors import FileAlreadyExists, StorageError
from tiny_ca.domain.records import CRLEntry, CRLStamp, Location
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.storage import Artefacts, Storage
from tiny_ca.testing.samples import (
    HOUR,
    NOW,
    SampleCA,
    at_once,
    leaf_plan,
    sample_key,
    signed_crl,
)

__all__ = ["StorageContract", "sample_artefacts", "sample_crl", "writing"]

HERE = Location("uuid-1", "leaf", "some/folder")


def sample_artefacts(serial_number: int = 1) -> Artefacts:
    """Make a certificate with its key and request."""
    plan, key = leaf_plan(serial_number), sample_key(serial_number)
    certificate = SampleCA().issuer.sign_certificate(plan, key.public_key())
    return Artefacts(certificate, key, CryptographyBackend().sign_request(plan.subject, key))


def sample_crl(number: int = 1, entries: int = 0) -> bytes:
    """Make a CRL, DER."""
    listed = [CRLEntry(n, NOW, CRLReason.SUPERSEDED) for n in range(1, entries + 1)]
    plan = CRLPlan(CRLStamp(number, NOW, NOW + HOUR))
    return signed_crl(SampleCA().issuer, plan, listed).public_bytes(Encoding.DER)


def writing(data: bytes) -> Callable[[BinaryIO], object]:
    """Give what writes *data*, not in one go."""

    def write(file: BinaryIO) -> None:
        file.seek(10)
        file.write(data[10:])
        file.seek(0)
        file.write(data[:10])
        file.seek(5)
        assert file.read(3) == data[5:8]

    return write


def staged(storage: Storage) -> list[str]:
    """Give the uuids of the leftovers."""
    return sorted(leftover.uuid for leftover in storage.leftovers())


class StorageContract:
    """Proves a storage.

    Subclass it as `class TestMyStorage(StorageContract)` and provide a fixture *storage* that
    gives an empty one, open to threads, that writes PEM.
    """

    def crl_at(self, storage: Storage, path: Path) -> x509.CertificateRevocationList | None:
        """Read a CRL that was swapped in at *path*, from the file if it is in one."""
        if path.exists():
            return x509.load_pem_x509_crl(path.read_bytes())
        der = storage.read_crl(path.stem)
        return None if der is None else x509.load_der_x509_crl(bytes(der))

    def holds(self, storage: Storage, location: Location, artefacts: Artefacts) -> bool:
        """Whether *artefacts* are what can be read at *location*."""
        return storage.load(location).certificate == artefacts.certificate

    def is_nothing_at(self, storage: Storage, location: Location) -> bool:
        """Whether *location* is vacant, unreadable and not found."""
        storage.check_vacant(location)
        with pytest.raises(StorageError):
            storage.load(location)
        return storage.find_folder(location.uuid) is None

    def put(self, storage: Storage, location: Location, serial_number: int = 1) -> Artefacts:
        """Stage and publish, in place of what is there."""
        artefacts = sample_artefacts(serial_number)
        storage.stage(location, artefacts, replaces=True)
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
        loaded = storage.load(HERE)
        assert loaded.private_key is not None
        assert loaded.private_key.public_key() == artefacts.certificate.public_key()
        assert loaded.csr == artefacts.csr
        assert loaded.paths == paths
        assert staged(storage) == []

    def test_a_certificate_alone(self, storage: Storage) -> None:
        """What was not made is not there."""
        storage.stage(HERE, Artefacts(sample_artefacts().certificate))
        assert set(storage.publish(HERE)) == {".pem"}
        loaded = storage.load(HERE)
        assert (loaded.private_key, loaded.csr) == (None, None)

    def test_publishing_twice_changes_nothing(self, storage: Storage) -> None:
        """The same paths, the same files."""
        artefacts = sample_artefacts()
        storage.stage(HERE, artefacts)
        paths = storage.publish(HERE)
        assert storage.publish(HERE) == paths
        assert self.holds(storage, HERE, artefacts)

    @pytest.mark.parametrize("is_overwrite", [False, True])
    def test_publishing_at_once(self, storage: Storage, is_overwrite: bool) -> None:
        """Whoever recovers and whoever issues get the same paths, and the files stay whole."""
        for serial in range(1, 11):
            location = Location(f"uuid-{serial}", "leaf", "some/folder")
            if is_overwrite:
                self.put(storage, location, serial + 10)
            artefacts = sample_artefacts(serial)
            storage.stage(location, artefacts, replaces=is_overwrite)
            outcomes = at_once(8, lambda _, here=location: storage.publish(here))  # type: ignore[misc]
            assert outcomes == [storage.publish(location)] * 8
            assert len(storage.publish(location)) == 3
            assert self.holds(storage, location, artefacts)
        assert staged(storage) == []

    def test_publish_replaces_a_folder(self, storage: Storage) -> None:
        """All of it: no file of the old one stays; until then it is what can be read."""
        old, new = self.put(storage, HERE), Artefacts(sample_artefacts(2).certificate)
        for _ in range(2):
            storage.stage(HERE, new, replaces=True)
            assert self.holds(storage, HERE, old)
            assert set(storage.publish(HERE)) == {".pem"}
            assert self.holds(storage, HERE, new)
            assert staged(storage) == []
            old, new = new, Artefacts(sample_artefacts(3).certificate)
        assert storage.load(HERE).private_key is None

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

    def test_staging_takes_no_published_place(self, storage: Storage) -> None:
        """Unless it replaces what is there; nothing is left over."""
        published = self.put(storage, HERE)
        with pytest.raises(FileAlreadyExists):
            storage.stage(HERE, sample_artefacts(2))
        assert staged(storage) == []
        assert self.holds(storage, HERE, published)

    def test_one_of_many_threads_stages(self, storage: Storage) -> None:
        """Eight stage a uuid at once: what one of them wrote is published, whole."""
        choices = [sample_artefacts(n + 1) for n in range(8)]
        outcomes = at_once(8, lambda i: storage.stage(HERE, choices[i]))
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert {type(error) for error in refused} == {FileAlreadyExists}
        assert len(refused) == 7
        storage.publish(HERE)
        assert self.holds(storage, HERE, choices[outcomes.index(None)])

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
        storage.stage(HERE, sample_artefacts(2), replaces=True)
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
        """Every staged folder, with when it was staged and what certificate is in it."""
        before = datetime.now(UTC) - timedelta(seconds=10)
        for number in (1, 2, 3):
            uuid = f"uuid-{number}"
            storage.stage(Location(uuid, "leaf", uuid), sample_artefacts(number))
        storage.publish(Location("uuid-2", "leaf", "uuid-2"))
        assert staged(storage) == ["uuid-1", "uuid-3"]
        assert {leftover.serial_number for leftover in storage.leftovers()} == {1, 3}
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
        storage.stage(HERE, sample_artefacts(3), replaces=True)
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

    def test_load(self, storage: Storage) -> None:
        """What was published, as objects; `None` for what was not made."""
        artefacts = self.put(storage, HERE)
        loaded = storage.load(HERE)
        assert (loaded.certificate, loaded.csr) == (artefacts.certificate, artefacts.csr)
        assert loaded.private_key is not None
        assert loaded.private_key.public_key() == artefacts.certificate.public_key()
        alone = Location("uuid-2", "leaf")
        storage.stage(alone, Artefacts(artefacts.certificate))
        storage.publish(alone)
        assert storage.load(alone) == Artefacts(artefacts.certificate)

    def test_load_needs_a_certificate(self, storage: Storage) -> None:
        """That is published: `StorageError`."""
        storage.stage(HERE, sample_artefacts())
        with pytest.raises(StorageError):
            storage.load(HERE)
        storage.publish(HERE)
        with pytest.raises(StorageError):
            storage.load(Location("uuid-1", "fleal", "some/folder"))

    def assert_published(self, storage: Storage, path: Path, crl: bytes) -> None:
        """Check that a CRL is there, both ways."""
        assert storage.read_crl("crl") == crl
        assert self.crl_at(storage, path) == x509.load_der_x509_crl(crl)

    # Around the ends of lines and blocks of PEM.
    @pytest.mark.parametrize("entries", [0, 1, 2, 3, 4, 5, 1300, 5000])
    def test_a_crl_is_visible_once_swapped(self, storage: Storage, entries: int) -> None:
        """In place of the former one, which can be read until then, and by its readers after."""
        crls = sample_crl(1, entries), sample_crl(2)
        assert storage.read_crl("crl") is None
        first = storage.stage_crl(writing(crls[0]), "crl")
        assert storage.read_crl("crl") is None
        assert first.read() == crls[0]
        path = first.swap()
        assert path.name == "crl.pem"
        self.assert_published(storage, path, crls[0])
        former = storage.read_crl("crl")
        second = storage.stage_crl(writing(crls[1]), "crl")
        self.assert_published(storage, path, crls[0])
        assert second.read() == crls[1]
        assert second.swap() == path
        self.assert_published(storage, path, crls[1])
        assert former == crls[0]
        assert storage.read_crl("crl-0-of-2") is None
        assert staged(storage) == []

    def test_a_crl_that_is_not_wanted(self, storage: Storage) -> None:
        """Leaves nothing; what was swapped in is not discarded any more."""
        crls = [sample_crl(n) for n in range(3)]
        first, second, third = (storage.stage_crl(writing(crl), "crl") for crl in crls)
        second.discard()
        second.discard()
        path = first.swap()
        first.discard()
        third.discard()
        self.assert_published(storage, path, crls[0])
        assert staged(storage) == []

    def test_a_crl_that_can_not_be_written(self, storage: Storage) -> None:
        """What writing it raises is raised, and nothing of it is left."""
        error = ValueError("no signature today")

        def write(file: BinaryIO) -> NoReturn:
            file.write(b"half")
            raise error

        with pytest.raises(ValueError, match="no signature today") as caught:
            storage.stage_crl(write, "crl")
        assert caught.value is error
        assert staged(storage) == []
        assert storage.read_crl("crl") is None
