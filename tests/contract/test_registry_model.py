"""The model that registries are compared with."""

from tiny_ca import MemoryRegistry
from tiny_ca.domain.serial import CertType
from tiny_ca.testing.registry_machine import RegistryMachine

WANTED = {
    "serial_number": 1,
    "common_name": 1,
    "uuid": 1,
    "cert_type": CertType.CA,
    "hours": 0,
    "retry_key": None,
    "claims_name": False,
    "supersedes": False,
}


def test_it_forgets_a_deleted_ca() -> None:
    machine = RegistryMachine(MemoryRegistry())
    machine.register(ca=0, wanted=WANTED)
    machine.wait(minutes=60)
    machine.delete(serial=1)
    machine.compare()


def test_who_claims_no_name_takes_none() -> None:
    machine = RegistryMachine(MemoryRegistry())
    machine.register(ca=0, wanted=WANTED)
    machine.wait(minutes=60)
    machine.reserve(ca=1, wanted=WANTED, predecessor=None)
    machine.compare()
