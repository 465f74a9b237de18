"""The contract of `ports.ocsp.ResponseStore`."""

# ruff: noqa: S101

from typing import Protocol

import pytest

from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.ocsp import CertState, KeptResponse
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.ocsp import PromptStore, ResponseStore
from tiny_ca.ports.registry import Registry
from tiny_ca.testing.samples import HOUR, NOW, SampleCA

__all__ = ["ResponseStoreContract"]

SHA1 = "sha1"


class Store(Registry, ResponseStore, Protocol):
    """A registry that keeps responses."""


def kept(state: CertState, *, after: int = 0, der: bytes = b"response") -> KeptResponse:
    """Give a response that was signed some hours after `NOW`."""
    return KeptResponse(state, NOW + after * HOUR, NOW + (after + 12) * HOUR, der)


class ResponseStoreContract:
    """Proves a registry that keeps OCSP responses.

    Subclass it as `class TestMyStore(ResponseStoreContract)` and provide a fixture *registry*
    that gives an empty registry.
    """

    @pytest.fixture
    def ca(self) -> SampleCA:
        """Give a CA of the test's own."""
        return SampleCA()

    def state(self, registry: Store, ca: SampleCA, serial_number: int = 1) -> CertState:
        """Give the state of a certificate that is there."""
        state, _ = registry.cert_state(ca.issuer_id, serial_number, SHA1)
        assert state is not None
        return state

    def test_is_a_store(self, registry: Store) -> None:
        """It has every method of the port."""
        assert isinstance(registry, ResponseStore)
        assert registry.cert_state("0" * 32, 1) == (None, None)

    def test_states_are_those_of_the_rows(self, registry: Store, ca: SampleCA) -> None:
        """Also of one that is reserved; of one that is not there, none."""
        assert registry.cert_state(ca.issuer_id, 1) == (None, None)
        ca.issue(registry, 1, "a")
        state = self.state(registry, ca)
        assert state == CertState(1, CertificateStatus.VALID, NOW + 24 * HOUR, None, None)
        assert registry.cert_state("0" * 32, 1) == (None, None)
        registry.reserve([ca.reservation(2, "b")])
        assert self.state(registry, ca, 2).status is CertificateStatus.PENDING
        registry.revoke(1, CRLReason.SUPERSEDED, NOW + HOUR)
        revoked = self.state(registry, ca)
        assert revoked.status is CertificateStatus.REVOKED
        assert (revoked.revocation_date, revoked.revocation_reason) == (
            NOW + HOUR,
            CRLReason.SUPERSEDED,
        )

    def test_a_response_is_kept_for_its_digest(self, registry: Store, ca: SampleCA) -> None:
        """And replaced by the next."""
        ca.issue(registry, 1, "a")
        one = kept(self.state(registry, ca))
        registry.keep_responses(ca.issuer_id, SHA1, [one])
        assert registry.cert_state(ca.issuer_id, 1, SHA1) == (one.state, one)
        assert registry.cert_state(ca.issuer_id, 1, "sha256") == (one.state, None)
        assert registry.cert_state(ca.issuer_id, 1) == (one.state, None)
        other = kept(one.state, after=1, der=b"another")
        registry.keep_responses(ca.issuer_id, SHA1, [other])
        assert registry.cert_state(ca.issuer_id, 1, SHA1) == (one.state, other)
        registry.keep_responses(ca.issuer_id, SHA1, [])

    @pytest.mark.parametrize("how", ["revoke", "revoke_many", "supersede"])
    def test_whoever_revokes_there_is_no_response_any_more(
        self, registry: Store, ca: SampleCA, how: str
    ) -> None:
        """Though nobody takes it away."""
        ca.issue(registry, 1, "a")
        registry.keep_responses(ca.issuer_id, SHA1, [kept(self.state(registry, ca))])
        if how == "revoke":
            registry.revoke(1, CRLReason.UNSPECIFIED, NOW)
        elif how == "revoke_many":
            one = CertificateFilter(serial_numbers=(1,))
            registry.revoke_many(one, CRLReason.SUPERSEDED, NOW, 10)
        else:
            ca.issue(registry, 2, "a", predecessor=1)
        state, response = registry.cert_state(ca.issuer_id, 1, SHA1)
        assert state is not None
        assert state.status is CertificateStatus.REVOKED
        assert response is None

    def test_a_hold_and_what_follows_it(self, registry: Store, ca: SampleCA) -> None:
        """Each is a state of its own."""
        ca.issue(registry, 1, "a")
        good = kept(self.state(registry, ca))
        registry.keep_responses(ca.issuer_id, SHA1, [good])
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        held = kept(self.state(registry, ca), der=b"held")
        registry.keep_responses(ca.issuer_id, SHA1, [held])
        assert registry.cert_state(ca.issuer_id, 1, SHA1)[1] == held
        registry.release(1, NOW)
        assert registry.cert_state(ca.issuer_id, 1, SHA1)[1] is None
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        registry.revoke(1, CRLReason.KEY_COMPROMISE, NOW)
        assert registry.cert_state(ca.issuer_id, 1, SHA1)[1] is None

    def test_what_is_said_at_once_is_so(self, registry: Store, ca: SampleCA) -> None:
        """Or nothing is; the moment after a change it is what has become."""
        if not isinstance(registry, PromptStore):
            pytest.skip("This store is read by worker threads alone.")

        def is_so(serial_number: int) -> bool:
            expected = registry.cert_state(ca.issuer_id, serial_number, SHA1)
            found = registry.cert_state_at_once(ca.issuer_id, serial_number, SHA1)
            return found is None or found == expected

        assert is_so(1)
        ca.issue(registry, 1, "a")
        assert is_so(1)
        registry.keep_responses(ca.issuer_id, SHA1, [kept(self.state(registry, ca))])
        assert is_so(1)
        registry.revoke(1, CRLReason.CERTIFICATE_HOLD, NOW)
        # Not what was said before, which would have been the same a moment ago.
        found = registry.cert_state_at_once(ca.issuer_id, 1, SHA1)
        assert found is None or found == (self.state(registry, ca), None)
        registry.release(1, NOW)
        assert is_so(1)

    def test_what_is_to_be_signed(self, registry: Store, ca: SampleCA) -> None:
        """Valid and revoked ones that are not over, without a young response of their state."""
        for serial_number in (1, 2, 3):
            ca.issue(registry, serial_number, f"n{serial_number}")
        registry.revoke(3, CRLReason.SUPERSEDED, NOW)
        registry.reserve([ca.reservation(4, "d")])
        ca.issue(registry, 5, "e", not_after=NOW)
        states = [self.state(registry, ca, serial_number) for serial_number in (1, 2, 3)]

        def to_sign(signed_before: int = 0, limit: int = 10) -> list[int]:
            numbers: list[int] = []
            after: int | None = 0
            while after is not None:
                page, after = registry.states_to_sign(
                    ca.issuer_id, SHA1, NOW + HOUR, NOW + signed_before * HOUR, limit, after
                )
                assert len(page) <= limit
                numbers += [state.serial_number for state in page]
            return numbers

        assert to_sign() == [1, 2, 3]
        assert to_sign(limit=1) == [1, 2, 3]
        registry.keep_responses(ca.issuer_id, SHA1, [kept(state) for state in states])
        assert to_sign() == []
        registry.revoke(1, CRLReason.SUPERSEDED, NOW)
        assert to_sign() == [1]
        registry.keep_responses(ca.issuer_id, SHA1, [kept(states[1], after=3)])
        assert to_sign(signed_before=2) == [1, 3]
        assert to_sign(signed_before=4) == [1, 2, 3]

    def test_how_many_are_provided(self, registry: Store, ca: SampleCA) -> None:
        """With a response of their state that is not over; of the oldest, when it was made."""
        for serial_number in (1, 2, 3):
            ca.issue(registry, serial_number, f"n{serial_number}")
        ca.issue(registry, 4, "d", not_after=NOW)
        at = NOW + HOUR
        assert registry.kept_responses(ca.issuer_id, SHA1, at) == (3, 0, None, None)
        first, second = (kept(self.state(registry, ca, one), after=one - 1) for one in (1, 2))
        registry.keep_responses(ca.issuer_id, SHA1, [first, second])
        found = registry.kept_responses(ca.issuer_id, SHA1, at)
        assert found == (3, 2, first.this_update, first.next_update)
        assert registry.kept_responses(ca.issuer_id, "sha256", at).kept == 0
        found = registry.kept_responses(ca.issuer_id, SHA1, first.next_update)
        assert found == (3, 1, second.this_update, second.next_update)
        registry.revoke(2, CRLReason.SUPERSEDED, NOW)
        assert registry.kept_responses(ca.issuer_id, SHA1, at).kept == 1

    def test_a_deleted_certificates_response_goes_with_it(
        self, registry: Store, ca: SampleCA
    ) -> None:
        """And does not come back with another that has its place."""
        ca.issue(registry, 1, "a", not_after=NOW)
        state = self.state(registry, ca)
        registry.keep_responses(ca.issuer_id, SHA1, [kept(state)])
        assert registry.delete(1, NOW + HOUR)
        assert registry.cert_state(ca.issuer_id, 1, SHA1) == (None, None)
        ca.issue(registry, 1, "a", not_after=NOW)
        assert registry.cert_state(ca.issuer_id, 1, SHA1) == (state, None)
