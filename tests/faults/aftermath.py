"""What has to hold after each operation, whether it was killed, failed or succeeded."""

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509

from tests.faults.pki import REQUESTS, ROOT, SUB, Folder, crl_number, csr, leaf
from tiny_ca import CertLifecycleManager
from tiny_ca.domain.errors import NotUniqueCertOwner

__all__ = ["OLD", "Aftermath", "settle"]

OLD = "old.internal"
NEW = "new.internal"


@dataclass(frozen=True)
class Aftermath:
    """A folder after an operation, recovered, and the manager that has done so."""

    prepared: Folder
    folder: Folder
    manager: CertLifecycleManager
    reply: dict[str, Any]
    """What the operation returned; empty if it was killed before."""

    @property
    def old(self) -> int:
        return self.prepared.serial_of(OLD)

    @property
    def new(self) -> int | None:
        """The serial number that the operation reserved, if it came that far."""
        assert len(self.all_new) <= 1
        return next(iter(self.all_new), None)

    @property
    def all_new(self) -> set[int]:
        return self.folder.statuses().keys() - self.prepared.statuses().keys()

    def status(self, serial: int | None) -> str | None:
        return None if serial is None else self.folder.statuses()[serial]

    def bootstrap(self) -> None:
        """The root is there, whole, or another one can be made."""
        try:
            self.manager.create_self_signed_ca(ROOT)
        except NotUniqueCertOwner:
            self.manager.open_ca()
        else:
            assert "serial" not in self.reply
        factory = self.manager.factory
        assert factory is not None
        if "serial" in self.reply:
            assert factory.certificate.serial_number == self.reply["serial"]
        self.manager.issue_certificate(leaf(NEW))

    def issue(self) -> None:
        """What the caller has is there, and who tries again gets the name."""
        status = self.status(self.new)
        assert status in {None, "abandoned", "valid"}
        if "serial" in self.reply:
            assert (self.new, status) == (self.reply["serial"], "valid")
        self.manager.open_ca()
        self.manager.issue_certificate(leaf(NEW), is_overwrite=status == "valid")

    def rotate(self) -> None:
        """Exactly one of the two is valid, with its files: the new one, if the caller has it."""
        statuses = (self.status(self.old), self.status(self.new))
        assert statuses in {("valid", None), ("valid", "abandoned"), ("revoked", "valid")}
        if "serial" in self.reply:
            assert (self.new, statuses[1]) == (self.reply["serial"], "valid")
        survivor = self.old if statuses[0] == "valid" else self.new
        assert survivor in self.folder.published()
        self.manager.open_ca()
        self.manager.rotate_certificate(survivor, leaf(OLD))

    overwrite = supersede = rotate

    def renew(self) -> None:
        """The old one stays valid; the new one is there, whole, or was never handed out."""
        statuses = (self.status(self.old), self.status(self.new))
        assert statuses in {("valid", None), ("valid", "abandoned"), ("valid", "valid")}
        if "serial" in self.reply:
            assert (self.new, statuses[1]) == (self.reply["serial"], "valid")
        self.manager.open_ca()
        survivor = self.new if statuses[1] == "valid" else self.old
        assert survivor is not None
        self.manager.renew_certificate(survivor)

    def request(self) -> None:
        """As of an issue; the key is somebody else's."""
        status = self._status_of_all_new(1, [self.reply[key] for key in self.reply])
        self.manager.open_ca()
        self.manager.sign_csr(csr(REQUESTS[0]), "client", is_overwrite=status == "valid")

    def requests(self) -> None:
        """All of them are valid, or none is; then they can be asked for again."""
        status = self._status_of_all_new(len(REQUESTS), self.reply.get("serials", []))
        self.manager.open_ca()
        again = [csr(name) for name in REQUESTS]
        if status == "valid":
            with pytest.raises(NotUniqueCertOwner):
                self.manager.sign_many_csrs(again, "client")
        else:
            self.manager.sign_many_csrs(again, "client")

    def intermediate(self) -> None:
        """It is a CA that signs, or its name is free."""
        status = self._status_of_all_new(1, [self.reply[key] for key in self.reply])
        self.manager.open_ca(ROOT.common_name)
        if status == "valid":
            self.manager.under(SUB.common_name).issue_certificate(leaf(NEW))
        self.manager.issue_intermediate_ca(SUB, is_overwrite=status == "valid")

    def _status_of_all_new(self, count: int, serials: list[int]) -> str | None:
        statuses = self.folder.statuses()
        found = {statuses[serial] for serial in self.all_new}
        assert len(self.all_new) in {0, count}
        assert found in (set(), {"abandoned"}, {"valid"})
        if serials:
            assert (self.all_new, found) == (set(serials), {"valid"})
        return next(iter(found), None)

    def revoke(self) -> None:
        """It is revoked, or it is not; if the caller was told so, it is."""
        status = self.status(self.old)
        assert status in {"valid", "revoked"}
        assert status == "revoked" or "is_revoked" not in self.reply
        assert self.manager.revoke_certificate(self.old)
        assert self.status(self.old) == "revoked"

    def crl(self) -> None:
        """`crl.pem` is a CRL of ours, the old one or the new one; the next number is higher."""
        self.manager.open_ca()
        factory = self.manager.factory
        assert factory is not None
        found = crl_number(self._current(factory.certificate))
        signed = [
            crl_number(x509.load_der_x509_crl(path.read_bytes()))
            for path in self.folder.path.glob("witness/*.crl")
        ]
        assert found in {1, *signed}
        if "number" in self.reply:
            assert found == self.reply["number"]
        assert crl_number(self.manager.generate_crl()) > max(found, *signed, 1)
        self._current(factory.certificate)

    def any(self) -> None:
        """Whatever was done: the CA goes on."""
        self.manager.open_ca()
        self.manager.issue_certificate(leaf("last.internal"))

    def _current(self, ca: x509.Certificate) -> x509.CertificateRevocationList:
        crl = self.folder.crl()
        assert crl.is_signature_valid(ca.public_key())
        assert {entry.serial_number for entry in crl} == {
            self.prepared.serial_of("revoked.internal")
        }
        return crl


def settle(prepared: Folder, folder: Folder, operation: str, reply: dict[str, Any]) -> None:
    """Come as the next process, check everything, and do the operation again."""
    with folder.manager() as manager:
        folder.check(manager)
        getattr(Aftermath(prepared, folder, manager, reply), operation)()
        folder.check_settled()
