"""The main job of a certificate authority, run into a folder: python quickstart.py [FOLDER]"""

import sys
from pathlib import Path

from cryptography import x509

from tiny_ca import CertLifecycleManager, ClientConfig, open_ca


def issue(ca: CertLifecycleManager, config: ClientConfig) -> x509.Certificate:
    certificate, _, _ = ca.issue_certificate(
        config, cert_path="live", uuid_str=config.file_name, is_overwrite=True
    )
    print(f"issued    {config.common_name}, serial number {certificate.serial_number:x}")
    return certificate


def main(folder: Path) -> None:
    with open_ca(folder, common_name="My Internal CA", organization="ACME", country="UA") as ca:
        print(f"opened    a certificate authority in {folder}/")
        server = issue(
            ca,
            ClientConfig(
                common_name="localhost",
                san_dns=["www.localhost"],
                san_ip=["127.0.0.1"],
                is_server_cert=True,
            ),
        )
        issue(ca, ClientConfig(common_name="alice", is_client_cert=True))
        lost = issue(ca, ClientConfig(common_name="lost-laptop", is_client_cert=True))
        ca.verify_certificate(server)
        print("verified  localhost: signed by this CA, in time, on record, not revoked")
        ca.revoke_certificate(lost.serial_number, x509.ReasonFlags.key_compromise)
        print(f"revoked   lost-laptop: {ca.get_certificate_status(lost.serial_number)}")
        crl = ca.generate_crl(days_valid=7)
        print(f"published {folder}/crl.pem: {len(crl)} revoked, until {crl.next_update_utc}")
        root = next(folder.glob("*/ca.pem"))
    print(f"""
What to do with the files:

  nginx    ssl_certificate         {folder}/live/localhost/localhost.pem;
           ssl_certificate_key     {folder}/live/localhost/localhost.key;
           ssl_client_certificate  {root};
           ssl_crl                 {folder}/crl.pem;
           ssl_verify_client       on;
  curl     curl --cacert {root} \\
                --cert {folder}/live/alice/alice.pem --key {folder}/live/alice/alice.key \\
                https://localhost/
  openssl  openssl verify -x509_strict -crl_check -CAfile {root} \\
                -CRLfile {folder}/crl.pem {folder}/live/alice/alice.pem

Give people {root}; keep {root.with_suffix(".key")} to yourself.""")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "my-pki"))
