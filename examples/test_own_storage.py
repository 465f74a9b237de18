"""A storage of one's own keeps the contract, and gives back whatever it was given.

pytest examples/test_own_storage.py
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.own_storage import KeyValueStorage
from tiny_ca import CAConfig, CertLifecycleManager, MemoryRegistry
from tiny_ca.testing import StorageContract


class TestKeyValueStorage(StorageContract):
    """Every test of tiny_ca's own storages, on this one."""

    @pytest.fixture
    def storage(self) -> KeyValueStorage:
        return KeyValueStorage({})


labels = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
steps = st.lists(st.tuples(labels, st.sampled_from(["issue", "renew", "revoke"])), max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_what_is_on_record_is_in_the_storage(taken: list[tuple[str, str]]) -> None:
    """Whatever was done, in whichever order: each certificate is there, with the right key."""
    store: dict[str, bytes] = {}
    ca = CertLifecycleManager(KeyValueStorage(store), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    serials: dict[str, int] = {}
    for name, step in taken:
        if step == "issue" or name not in serials:
            issued = ca.issue(name, key_algorithm="p-256", is_overwrite=True)
            serials[name] = issued.serial_number
        elif step == "renew":
            serials[name] = ca.renew_certificate(serials[name]).serial_number
        else:
            ca.revoke_certificate(serials.pop(name))
    for serial in serials.values():
        again = ca.get_issued(serial)
        assert ca.verify_certificate(again.certificate)
        assert again.private_key.public_key() == again.certificate.public_key()
    assert not [key for key in store if key.startswith("staged/")]
