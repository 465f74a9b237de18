"""What a caller passes, by registry or by malice: answers, work and typed errors."""

import time
import warnings
from collections import Counter
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.chains import NOW, Node, ca, dn, leaf, permit
from tests.unit.verifying import ICA, ROOT, SERVER, certificates, hosts, refused, validate
from tiny_ca.adapters.outbound.crypto import CryptographyPathValidator
from tiny_ca.domain.errors import RegistryError, ValidationCertError
from tiny_ca.domain.paths import Conformance, PathLimits, PathRequest
from tiny_ca.ports.path import PathMaterial


class TestOnRecord:
    """What the caller's own registry says, through the port."""

    TARGET = leaf(ICA)

    def test_all_but_the_root_have_to_be(self) -> None:
        asked: list[x509.Certificate] = []

        def lookup(certificate: x509.Certificate) -> bool:
            asked.append(certificate)
            return certificate != ROOT.certificate

        assert validate(self.TARGET, ICA, on_record=lookup)
        assert asked == certificates(self.TARGET, ICA, ROOT)
        for missing in (self.TARGET, ICA):
            refused(
                "does not know",
                self.TARGET,
                ICA,
                on_record=lambda one, missing=missing: one != missing.certificate,
            )

    @pytest.mark.parametrize("revoked", [TARGET, ICA, ROOT], ids=["leaf", "ICA", "root"])
    def test_a_revoked_one_is_refused(self, revoked: Node) -> None:
        def lookup(certificate: x509.Certificate) -> bool:
            if certificate == revoked.certificate:
                raise ValidationCertError("It is revoked.")
            return True

        refused("It is revoked", self.TARGET, ICA, on_record=lookup)

    def test_another_path_is_tried(self) -> None:
        renewed = ca("ICA", ROOT)

        def lookup(certificate: x509.Certificate) -> bool:
            if certificate == ICA.certificate:
                raise ValidationCertError("It is revoked.")
            return True

        path = validate(self.TARGET, ICA, renewed, on_record=lookup)
        assert path == certificates(self.TARGET, renewed, ROOT)

    def test_each_is_looked_up_once(self) -> None:
        roots = [ca("Root") for _ in range(3)]
        asked: list[x509.Certificate] = []

        def lookup(certificate: x509.Certificate) -> bool:
            asked.append(certificate)
            return certificate == self.TARGET.certificate

        refused("does not know 'CN=ICA'", self.TARGET, ICA, roots=roots, on_record=lookup)
        assert asked.count(self.TARGET.certificate) == 1

    def test_a_registry_that_fails_is_no_answer(self) -> None:
        def lookup(certificate: x509.Certificate) -> bool:
            raise RegistryError("The database is gone.")

        with pytest.raises(RegistryError):
            validate(self.TARGET, ICA, on_record=lookup)


class TestWorkIsBounded:
    def test_when_everybody_signs_everybody(self) -> None:
        cas = [ca(f"Dense {number}") for number in range(12)]
        crossed = [ca(f"Dense {i}", issuer) for i in range(12) for issuer in cas]
        start = time.process_time()
        refused("No path was found within", leaf(cas[0]), *crossed, max_intermediates=255)
        assert time.process_time() - start < 2

    def test_when_many_have_one_name(self) -> None:
        twins = [ca("ICA", ROOT, key=ec.generate_private_key(ec.SECP256R1())) for _ in range(200)]
        refused("within 128 signatures", leaf(ICA), *twins)
        # The issuer's key is named, so it is tried first.
        assert validate(leaf(ICA), *twins, ICA)

    @pytest.mark.parametrize("what", ["signatures", "steps", "paths"])
    def test_by_each_limit(self, what: str) -> None:
        limits = PathLimits(**{what: 0})
        refused(f"within 0 {what}", leaf(ICA), ICA, limits=limits)

    def test_by_the_comparisons_of_names(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName("a"), x509.DNSName("b"))])
        target = leaf(limited, "x.a", "y.b")
        # Two subtrees, and three names, the subject with them, against each.
        assert validate(target, limited, limits=PathLimits(comparisons=8))
        refused("comparisons", target, limited, limits=PathLimits(comparisons=7))


_TBS = {
    x509.Certificate: "tbs_certificate_bytes",
    x509.CertificateRevocationList: "tbs_certlist_bytes",
}


class TestHostileBytes:
    """A certificate or CRL with some octets changed is refused, by a typed error."""

    REQUESTS = tuple(
        PathRequest(NOW, SERVER.dotted_string, hosts("a.example"), conformance=conformance)
        for conformance in Conformance
    )

    def test_what_can_still_be_loaded_is_refused(self) -> None:
        limits = permit(x509.DNSName("example"), x509.RFC822Name("b.example"))
        names = "a.example", x509.RFC822Name("a@b.example"), x509.DirectoryName(dn("CN=a"))
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier("http://a.example/")], None, None, None
        )
        middle = ca("Middle", ROOT, path_length=0, extensions=[limits])
        target = leaf(
            middle,
            *names,
            purposes=[SERVER],
            name="a.example",
            extensions=[(x509.CRLDistributionPoints([point]), False)],
        )
        signed = [target.certificate, middle.certificate, ROOT.crl(), middle.crl()]
        ders = [one.public_bytes(Encoding.DER) for one in signed]
        contents = {getattr(one, _TBS[type(one)]) for one in signed}
        outcomes = Counter(self._outcome(ders, contents, Random(seed)) for seed in range(1500))
        assert set(outcomes) <= {"not loaded", "refused", "unchanged"}
        assert outcomes["refused"] > 300

    def _outcome(self, ders: list[bytes], contents: set[bytes], random: Random) -> str:
        changed, which = list(ders), random.randrange(len(ders))
        octets = bytearray(ders[which])
        for _ in range(random.choice((1, 1, 2, 4))):
            octets[random.randrange(len(octets))] = random.choice((0, 3, 0x1E, 0x30, 0x82, 0xFF))
        changed[which] = bytes(octets)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                certificates = [x509.load_der_x509_certificate(der) for der in changed[:2]]
                crls = [x509.load_der_x509_crl(der) for der in changed[2:]]
        except Exception:  # noqa: BLE001
            return "not loaded"
        material = PathMaterial([ROOT.certificate], certificates[1:], crls)
        try:
            CryptographyPathValidator().validate(
                certificates[0], random.choice(self.REQUESTS), material
            )
        except ValidationCertError:
            return "refused"
        # The wrapping of a signature can be changed, by its unused bits; not what is signed.
        signed = {getattr(one, _TBS[type(one)]) for one in (*certificates, *crls)}
        return "unchanged" if signed == contents else "accepted"
