"""RFC 6960 §4.1, RFC 9654: whatever is sent, there is a response, and soon."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus
from hypothesis import given
from hypothesis import strategies as st

from tests.ocsp_client import ask, cert_id, read, request_of
from tests.property.strategies import utc_moments
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.adapters.outbound.crypto import OCSPBackend, der, ocsp_request
from tiny_ca.domain.errors import MalformedDER
from tiny_ca.domain.ocsp import (
    MAX_CERT_IDS,
    MAX_REQUEST,
    CertState,
    CertStatus,
    ResponseTimes,
    answer,
)
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason

CA = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry(), clock=ManualClock())
CA.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
CERT, _, _ = CA.issue_certificate(ClientConfig(common_name="a", key_algorithm="p-256"))
assert CA.factory is not None
ROOT = CA.factory.certificate
RESPONDER = CA.ocsp_responder()
REQUEST = ask(CERT, ROOT)
ID = cert_id(REQUEST)
NONCE = der.object_identifier("1.3.6.1.5.5.7.48.1.2")
# An INTEGER without octets, where everything else is as it should be.
EMPTY_SERIAL = request_of(
    der.sequence(
        der.sequence(der.object_identifier("1.3.14.3.2.26"), der.null()),
        der.octet_string(bytes(20)),
        der.octet_string(bytes(20)),
        der.tlv(der.INTEGER, b""),
    )
)
# Numbers that Python refuses to write in decimal.
LONG_OID = der.tlv(der.OID, b"\x2a" + b"\xff" * 3000 + b"\x7f")
LONG_EXTENSION = der.sequence(LONG_OID, der.octet_string(b""))
MALFORMED, SUCCESSFUL = OCSPResponseStatus.MALFORMED_REQUEST, OCSPResponseStatus.SUCCESSFUL
read_request = OCSPBackend().read_request


def status_of(request: bytes) -> OCSPResponseStatus:
    """Ask, and give how that went; an answer is the certificate's."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        response = read(RESPONDER.respond(request))
        times.append(time.process_time() - begin)
        if times[-1] < 1:
            return response.response_status
    # Not a pause of the garbage collector's, which comes once.
    raise AssertionError(f"It takes {times} seconds.")


def outcome(read: Callable[[bytes], object], request: bytes) -> object:
    try:
        return read(request)
    except MalformedDER:
        return MalformedDER


class TestPlainRequests:
    """X.690 §10, RFC 6960 §4.1.1: read by their layout, they are what they are to the reader."""

    @given(st.sampled_from(["sha1", "sha256"]), st.integers(-(1 << 80), 1 << 170), st.booleans())
    def test_of_whatever_serial_number(self, digest: str, serial: int, is_cut: bool) -> None:
        hashes = OCSPBackend().issuer_hashes(ROOT)[digest]
        request = request_of(OCSPBackend().cert_id(digest, hashes, serial).der)[
            : -1 if is_cut else None
        ]
        assert outcome(ocsp_request.read_request, request) == outcome(
            ocsp_request._read_any, request
        )

    @given(
        st.sampled_from([REQUEST, ask(CERT, ROOT, "sha256"), EMPTY_SERIAL]),
        st.lists(st.tuples(st.integers(0, 75), st.integers(0, 255)), max_size=3),
    )
    def test_of_some_octets_changed(self, request: bytes, changes: list[tuple[int, int]]) -> None:
        octets = bytearray(request)
        for place, octet in changes:
            octets[place % len(octets)] = octet
        assert outcome(ocsp_request.read_request, bytes(octets)) == outcome(
            ocsp_request._read_any, bytes(octets)
        )

    @pytest.mark.parametrize("digest", ["sha1", "sha256"])
    def test_they_are_read_so(self, digest: str) -> None:
        request = ask(CERT, ROOT, digest)
        assert ocsp_request._read_plain(request) == ocsp_request._read_any(request)


class TestAnyOctets:
    @given(st.binary(max_size=300))
    def test_nonsense(self, request: bytes) -> None:
        assert status_of(request) is MALFORMED

    @given(st.integers(0, len(REQUEST) - 1), st.integers(0, 255))
    def test_one_octet_changed(self, place: int, octet: int) -> None:
        request = REQUEST[:place] + bytes((octet,)) + REQUEST[place + 1 :]
        assert status_of(request) in {
            MALFORMED,
            SUCCESSFUL,
            OCSPResponseStatus.UNAUTHORIZED,
        }

    @given(st.integers(0, len(REQUEST) - 1))
    def test_cut_off(self, length: int) -> None:
        assert status_of(REQUEST[:length]) is MALFORMED

    @given(st.binary(min_size=1, max_size=20))
    def test_something_after_it(self, rest: bytes) -> None:
        assert status_of(REQUEST + rest) is MALFORMED

    @pytest.mark.parametrize(
        "make",
        [
            lambda: b"\x30" * MAX_REQUEST,
            lambda: b"\x30\x80" * (MAX_REQUEST // 2),
            lambda: b"\x30\x84\xff\xff\xff\xff" + b"\x00" * 16000,
            lambda: REQUEST + b"\x00" * MAX_REQUEST,
            lambda: nested(4000),
            lambda: request_of(der.sequence(der.sequence(LONG_OID), der.octet_string(b""))),
            lambda: request_of(ID, extensions=der.explicit(2, der.sequence(LONG_EXTENSION))),
            lambda: der.sequence(der.sequence(der.explicit(0, der.integer(1 << 100_000)))),
        ],
        ids=["deep", "indefinite", "long", "large", "nested", "hash", "extension", "version"],
    )
    def test_traps(self, make: Callable[[], bytes]) -> None:
        assert status_of(make()) is MALFORMED


def nested(depth: int) -> bytes:
    made = b""
    for _ in range(depth):
        made = der.sequence(made)
    return made[:MAX_REQUEST]


class TestRequest:
    """RFC 6960 §4.1.1."""

    @given(
        st.integers(1, 2**159 - 1),
        st.sampled_from(["sha1", "sha256"]),
        st.none() | st.binary(min_size=1, max_size=128),
    )
    def test_what_others_write_is_read(
        self, serial_number: int, digest: str, nonce: bytes | None
    ) -> None:
        codec = OCSPBackend()
        made = codec.cert_id(digest, codec.issuer_hashes(ROOT)[digest], serial_number)
        extensions = b"" if nonce is None else nonce_extension(nonce)
        request = request_of(made.der, extensions=extensions)
        theirs = x509.ocsp.load_der_ocsp_request(request)
        ours = read_request(request)
        assert ours.cert_ids == (made,)
        assert theirs.serial_number == serial_number
        assert (theirs.issuer_name_hash, theirs.issuer_key_hash) == made.issuer
        assert ours.nonce == nonce

    @given(st.integers(-(2**200), 2**2000))
    def test_serial_numbers_that_no_certificate_has(self, serial_number: int) -> None:
        codec = OCSPBackend()
        made = codec.cert_id("sha1", codec.issuer_hashes(ROOT)["sha1"], serial_number)
        response = read(RESPONDER.respond(request_of(made.der)))
        assert response.certificate_status is OCSPCertStatus.UNKNOWN

    def test_how_many_certificates(self) -> None:
        assert status_of(request_of(*[ID] * MAX_CERT_IDS)) is SUCCESSFUL
        assert status_of(request_of(*[ID] * (MAX_CERT_IDS + 1))) is MALFORMED
        assert status_of(request_of()) is MALFORMED

    @pytest.mark.parametrize("version", [0, 1, 2])
    def test_a_version(self, version: int) -> None:
        tbs = der.sequence(der.explicit(0, der.integer(version)), der.sequence(der.sequence(ID)))
        assert status_of(der.sequence(tbs)) is MALFORMED

    def test_a_signed_request_is_answered_like_any_other(self) -> None:
        name = der.explicit(1, der.tlv(0x86, b"http://a.example"))
        tbs = der.sequence(name, der.sequence(der.sequence(ID)))
        algorithm = der.sequence(der.object_identifier("1.2.840.10045.4.3.2"))
        signature = der.explicit(0, der.sequence(algorithm, der.bit_string(b"nobody looks")))
        assert status_of(der.sequence(tbs, signature)) is SUCCESSFUL

    def test_another_hash_is_another_issuers(self) -> None:
        algorithm = der.sequence(der.object_identifier("2.16.840.1.101.3.4.2.2"))
        other = der.sequence(
            algorithm, der.octet_string(b"n" * 48), der.octet_string(b"k" * 48), der.integer(1)
        )
        assert status_of(request_of(other)) is OCSPResponseStatus.UNAUTHORIZED

    @pytest.mark.parametrize("length", [0, 19, 21, 32])
    def test_hashes_of_another_length(self, length: int) -> None:
        algorithm = der.sequence(der.object_identifier("1.3.14.3.2.26"), der.null())
        hashes = der.octet_string(b"n" * length), der.octet_string(b"k" * 20)
        assert status_of(request_of(der.sequence(algorithm, *hashes, der.integer(1)))) is MALFORMED


def nonce_extension(nonce: bytes, *, critical: bytes = b"") -> bytes:
    octets = der.octet_string(der.octet_string(nonce))
    return der.explicit(2, der.sequence(der.sequence(NONCE, critical, octets)))


class TestExtensions:
    """RFC 9654 §2.1, RFC 6960 §4.4."""

    @pytest.mark.parametrize("length", [0, 129, 1000])
    def test_a_nonce_that_is_too_short_or_too_long(self, length: int) -> None:
        request = request_of(ID, extensions=nonce_extension(b"n" * length))
        assert status_of(request) is MALFORMED

    def test_a_nonce_that_is_no_octet_string(self) -> None:
        extension = der.sequence(NONCE, der.octet_string(b"raw"))
        extensions = der.explicit(2, der.sequence(extension))
        assert status_of(request_of(ID, extensions=extensions)) is MALFORMED

    def test_two_nonces(self) -> None:
        one = der.sequence(NONCE, der.octet_string(der.octet_string(b"n")))
        extensions = der.explicit(2, der.sequence(one, one))
        assert status_of(request_of(ID, extensions=extensions)) is MALFORMED

    def test_a_critical_nonce(self) -> None:
        extensions = nonce_extension(b"n", critical=der.boolean(True))
        assert status_of(request_of(ID, extensions=extensions)) is SUCCESSFUL

    @pytest.mark.parametrize("is_critical", [False, True])
    @pytest.mark.parametrize("is_single", [False, True])
    def test_an_unknown_extension(self, is_critical: bool, is_single: bool) -> None:
        critical = der.boolean(True) if is_critical else b""
        extension = der.sequence(der.object_identifier("1.2.3.4"), critical, der.octet_string(b""))
        where = {"single": der.explicit(0, der.sequence(extension))}
        if not is_single:
            where = {"extensions": der.explicit(2, der.sequence(extension))}
        assert status_of(request_of(ID, **where)) is (MALFORMED if is_critical else SUCCESSFUL)

    def test_it_says_what_is_wrong(self) -> None:
        with pytest.raises(MalformedDER, match="nonce of 129"):
            read_request(request_of(ID, extensions=nonce_extension(b"n" * 129)))


class TestTimes:
    """RFC 6960 §2.4, §4.2.2.1: no answer outlives whom it is about, nor its signer."""

    @given(
        utc_moments.filter(lambda moment: 1970 < moment.year < 9000),
        st.sampled_from(CertificateStatus),
        st.timedeltas(timedelta(days=-10), timedelta(days=10)),
        st.timedeltas(timedelta(0), timedelta(days=10)),
        st.timedeltas(timedelta(seconds=1), timedelta(days=9)),
    )
    def test_answers(
        self,
        now: datetime,
        status: CertificateStatus,
        left: timedelta,
        signers: timedelta,
        validity: timedelta,
    ) -> None:
        whole = timedelta(seconds=int(validity.total_seconds()))
        cert_id_ = read_request(REQUEST).cert_ids[0]
        is_revoked = status is CertificateStatus.REVOKED
        state = CertState(1, status, now + left, now if is_revoked else None, CRLReason.SUPERSEDED)
        said = answer(cert_id_, state, now, now + signers, ResponseTimes(whole))
        assert said.this_update == now <= said.next_update <= now + signers
        assert said.next_update <= now + whole
        assert (said.status is CertStatus.REVOKED) is is_revoked
        is_good = status is CertificateStatus.VALID and left >= timedelta(0)
        assert (said.status is CertStatus.GOOD) is is_good
        if said.status is CertStatus.GOOD:
            assert said.next_update <= state.not_after
