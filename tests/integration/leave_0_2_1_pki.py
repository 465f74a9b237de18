"""Leave behind a registry and files as tiny_ca 0.2.1 makes them; run with that installed.

Writes ./pki, ./pki.db and ./expected.json: a root, leaves, and two subordinate CAs, one of which
is registered, as 0.2.1's documentation tells its users to do by hand.
"""

import json
import logging
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca import (
    CAConfig,
    CAFileLoader,
    CertificateFactory,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    LocalStorage,
    SyncDBHandler,
)

UUID = {"Registered CA": "0c9b1f1e-5a0e-4e0c-9a53-0a5f0a6a1a01", "Loose CA": "loose-ca"}


def issue(manager: CertLifecycleManager, common_name: str) -> dict[str, str]:
    config = ClientConfig(
        common_name=common_name,
        serial_type=CertType.SERVICE,
        key_size=2048,
        days_valid=3000,
        is_server_cert=True,
        san_dns=[common_name],
    )
    certificate, _, _ = manager.issue_certificate(config)
    pem = certificate.public_bytes(Encoding.PEM).decode()
    return {"common_name": common_name, "serial": str(certificate.serial_number), "pem": pem}


def main() -> None:
    logging.disable(logging.CRITICAL)
    storage, registry = LocalStorage("./pki"), SyncDBHandler("sqlite:///pki.db")
    manager = CertLifecycleManager(storage=storage, db_handler=registry)
    root, root_key = manager.create_self_signed_ca(
        CAConfig(common_name="Old Root", organization="ACME", key_size=2048, days_valid=7300)
    )
    manager.factory = CertificateFactory(CAFileLoader(root, root_key))
    issued = [issue(manager, name) for name in ("a.internal", "b.internal")]
    manager.revoke_certificate(int(issued[1]["serial"]), x509.ReasonFlags.key_compromise)
    for name, uuid in UUID.items():
        certificate, _ = manager.issue_intermediate_ca(
            name, key_size=2048, days_valid=3650, cert_path="subordinates", uuid_str=uuid
        )
        if name == "Registered CA":
            registry.register_cert_in_db(certificate, uuid, CertType.CA)
    folder = Path("pki/subordinates") / UUID["Registered CA"]
    below = CertLifecycleManager(storage=storage, db_handler=registry)
    below.factory = CertificateFactory(
        CAFileLoader(folder / "intermediate_ca.pem", folder / "intermediate_ca.key")
    )
    issued.append(issue(below, "c.internal"))
    Path("expected.json").write_text(json.dumps(issued))


if __name__ == "__main__":
    main()
