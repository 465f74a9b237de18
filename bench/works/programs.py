"""What the programs among the peers need: a CA's files, and requests in PEM."""

import subprocess
from collections.abc import Callable
from itertools import count as numbers
from pathlib import Path

__all__ = ["Prepare", "make_ca", "requests", "run"]

Prepare = Callable[[int], Callable[[], object]]

_numbers = numbers()


def run(*command: str | Path, folder: Path, given: str | None = None) -> str:
    """Run a program to its end; give what it printed, or raise with its last line."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or done.stdout).splitlines()[-1])
    return done.stdout


def make_ca(folder: Path) -> None:
    """Make `ca.pem` and `ca.key`, P-256."""
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-subj", "/CN=Bench", "-days", "3650", "-keyout", "ca.key", "-out", "ca.pem"),
        folder=folder,
    )


def requests(folder: Path, count: int) -> list[Path]:
    """Write requests of one P-256 key, each for another name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    paths = [folder / f"n{next(_numbers)}.internal.csr" for _ in range(count)]
    for path in paths:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
        request = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
        path.write_bytes(request.public_bytes(Encoding.PEM))
    return paths
