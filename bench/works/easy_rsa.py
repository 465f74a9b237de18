"""What easy-rsa does: shell around `openssl ca`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from bench.works.programs import Prepare, requests, run

EASYRSA = "/usr/share/easy-rsa/easyrsa"


def sign_csr(folder: Path) -> Prepare:
    """Import the request and sign it, by two processes."""
    os.environ.update(EASYRSA_BATCH="1", EASYRSA_ALGO="ec", EASYRSA_CURVE="prime256v1")
    os.environ.update(EASYRSA_REQ_CN="Bench", EASYRSA_PKI=str(folder / "pki"))
    run(EASYRSA, "init-pki", folder=folder)
    run(EASYRSA, "build-ca", "nopass", folder=folder)

    def prepare(count: int) -> Callable[[], object]:
        paths = requests(folder, count)

        def work() -> None:
            for path in paths:
                run(EASYRSA, "import-req", path, path.stem, folder=folder)
                run(EASYRSA, "sign-req", "server", path.stem, folder=folder)

        return work

    return prepare
