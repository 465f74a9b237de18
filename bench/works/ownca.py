"""What ownca does: RSA keys, and a folder of files for a registry."""

from collections.abc import Callable
from itertools import count as numbers
from pathlib import Path

from ownca import CertificateAuthority

_numbers = numbers()


def issue(folder: Path) -> Callable[[int], Callable[[], None]]:
    ca = CertificateAuthority(ca_storage=str(folder / "pki"), common_name="Bench")

    def prepare(count: int) -> Callable[[], None]:
        names = [f"n{next(_numbers)}.internal" for _ in range(count)]

        def work() -> None:
            for name in names:
                ca.issue_certificate(name, maximum_days=365, key_size=2048)

        return work

    return prepare
