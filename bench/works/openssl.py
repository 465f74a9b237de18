"""What `openssl ca` does: a text file for a registry, which nothing syncs."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from bench.works.programs import Prepare, make_ca, requests, run

CONFIGURATION = """
[ca]
default_ca = bench
[bench]
database = index.txt
serial = serial
new_certs_dir = certs
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 365
default_crl_days = 1
crlnumber = crlnumber
policy = any
x509_extensions = server
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def _ca(folder: Path, rows: int = 0, revoked: int = 0) -> None:
    make_ca(folder)
    (folder / "openssl.cnf").write_text(CONFIGURATION)
    (folder / "certs").mkdir()
    (folder / "crlnumber").write_text("01\n")
    expires, yesterday = (
        (datetime.now(UTC) + timedelta(days=days)).strftime("%y%m%d%H%M%SZ") for days in (365, -1)
    )
    with (folder / "index.txt").open("w") as index:
        for number in range(rows):
            is_revoked = number < revoked
            state = f"R\t{expires}\t{yesterday}" if is_revoked else f"V\t{expires}\t"
            index.write(f"{state}\t{2**150 + number:X}\tunknown\t/CN=n{number}.old\n")


def sign_csr(folder: Path, rows: int = 0) -> Prepare:
    """Start a process for each."""
    _ca(folder, rows)

    def prepare(count: int) -> Callable[[], object]:
        paths = requests(folder, count)

        def work() -> None:
            for path in paths:
                run(
                    *("openssl", "ca", "-config", "openssl.cnf", "-batch", "-notext"),
                    *("-in", path, "-out", path.with_suffix(".pem")),
                    folder=folder,
                )

        return work

    return prepare


def sign_in_bulk(folder: Path) -> Prepare:
    """Have one process sign all of them."""
    _ca(folder)

    def prepare(count: int) -> Callable[[], object]:
        paths = requests(folder, count)
        return lambda: run(
            *("openssl", "ca", "-config", "openssl.cnf", "-batch", "-notext", "-infiles", *paths),
            folder=folder,
        )

    return prepare


def crl(folder: Path, rows: int) -> Prepare:
    """Sign a CRL of so many rows."""
    _ca(folder, rows, revoked=rows)
    return lambda _count: (
        lambda: run(
            *("openssl", "ca", "-config", "openssl.cnf", "-gencrl", "-out", "crl.pem"),
            folder=folder,
        )
    )
