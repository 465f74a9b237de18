"""Verify a peer's certificate, with and without its CA: python verify_peer.py [FOLDER]"""

import sys
from pathlib import Path

from cryptography import x509

from tiny_ca import CertLifecycleManager, ClientConfig, NoStorage, TinyCAError, open_ca


def verdict(verifier: CertLifecycleManager, peer: x509.Certificate, **asked: object) -> str:
    try:
        path = verifier.verify_chain(peer, **asked)  # type: ignore[arg-type]
    except TinyCAError as error:
        return f"refused: {error}"
    return "good: " + " < ".join(one.subject.rfc4514_string() for one in path)


def main(folder: Path) -> None:
    with open_ca(folder, common_name="My Internal CA", key_algorithm="p-256") as ca:
        [good, lost] = (
            ca.issue_certificate(
                ClientConfig(common_name=name, is_server_cert=True, key_algorithm="p-256"),
                is_overwrite=True,
            )[0]
            for name in ("www.example.com", "lost.example.com")
        )
        ca.revoke_certificate(lost.serial_number, x509.ReasonFlags.key_compromise)
        crl = ca.generate_crl(days_valid=7)
        print("CA,    right host  ", verdict(ca, good, host="www.example.com"))
        print("CA,    revoked     ", verdict(ca, lost, host="lost.example.com"))
        [root] = [x509.load_pem_x509_certificate(p.read_bytes()) for p in folder.glob("*/ca.pem")]

    # Somebody else, who has the root and the CRL: no registry, no files.
    peer = CertLifecycleManager(NoStorage())
    given = {"roots": [root], "crls": [crl]}
    print("Other, right host  ", verdict(peer, good, host="www.example.com", **given))
    print("Other, wrong host  ", verdict(peer, good, host="example.com", **given))
    print("Other, revoked     ", verdict(peer, lost, host="lost.example.com", **given))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "my-pki"))
