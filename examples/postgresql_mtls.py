"""PostgreSQL that lets in whoever shows a certificate, each as the user of that name.

    python examples/postgresql_mtls.py server db.example
    python examples/postgresql_mtls.py user alice     # postgresql-pki/alice: what alice needs
    psql "host=db.example user=alice dbname=postgres sslmode=verify-full \
        sslrootcert=postgresql-pki/alice/root.crt sslcert=postgresql-pki/alice/postgresql.crt \
        sslkey=postgresql-pki/alice/postgresql.key"
    python examples/postgresql_mtls.py revoke alice
    python examples/postgresql_mtls.py maintain       # from cron, hourly: a CRL ends

Run it beside the server, as its owner.  --admin says how a superuser connects, --folder where the
CA is; `server` again, within a year, gives the server a new pair.  Nobody comes in over the network
any more but with a certificate; what comes through the Unix socket is as it was.
"""

import argparse
import os
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from tiny_ca import PEM, CertLifecycleManager, open_ca

Admin = psycopg.Connection[tuple[str]]

FILES = {
    "ssl_cert_file": "tiny_ca/server.crt",
    "ssl_key_file": "tiny_ca/server.key",
    "ssl_ca_file": "tiny_ca/root.crt",
    "ssl_crl_file": "tiny_ca/root.crl",
}
# `cert`: the common name has to be the user's.  The first rule that fits decides.
RULES = """\
hostssl   all all all cert clientcert=verify-full
hostnossl all all all reject
"""


def shown(admin: Admin, setting: str) -> Path:
    row = admin.execute(SQL("SHOW {}").format(Identifier(setting))).fetchone()
    assert row is not None
    return Path(row[0])


def give(pem: PEM, admin: Admin, setting: str) -> None:
    """Write a file that the server, and nobody else, can read."""
    data = shown(admin, "data_directory")
    owner = data.stat()
    path = data / FILES[setting]
    path.parent.mkdir(mode=0o700, exist_ok=True)
    pem.write_to_path(path)
    for each in (path.parent, path):
        os.chown(each, owner.st_uid, owner.st_gid)


def publish(ca: CertLifecycleManager, admin: Admin) -> None:
    give(PEM(ca.publish_crl().path.read_bytes()), admin, "ssl_crl_file")


def serve(ca: CertLifecycleManager, admin: Admin, host: str) -> None:
    issued = ca.ensure_certificate(host, profile="server", key_algorithm="p-256")
    give(issued.private_key_pem, admin, "ssl_key_file")
    give(issued.fullchain_pem, admin, "ssl_cert_file")
    give(ca.trust_pem(), admin, "ssl_ca_file")
    publish(ca, admin)
    for setting, value in {**FILES, "ssl": "on"}.items():
        admin.execute(SQL("ALTER SYSTEM SET {} = {}").format(Identifier(setting), Literal(value)))
    rules = shown(admin, "hba_file")
    if RULES not in rules.read_text():
        rules.write_text(RULES + rules.read_text())
    admin.execute("SELECT pg_reload_conf()")


def add_user(ca: CertLifecycleManager, admin: Admin, name: str, folder: Path) -> None:
    issued = ca.issue(name, profile="client", key_algorithm="p-256")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issued.private_key_pem.write_to_path(folder / "postgresql.key")
    issued.fullchain_pem.write_to_path(folder / "postgresql.crt")
    ca.trust_pem().write_to_path(folder / "root.crt")
    admin.execute(SQL("CREATE USER {}").format(Identifier(name)))


def revoke(ca: CertLifecycleManager, admin: Admin, name: str) -> None:
    revoked = ca.revoke_many(exact_name=name).revoked
    publish(ca, admin)
    admin.execute("SELECT pg_reload_conf()")
    # Sessions that are there have shown their certificates already.
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_ssl "
        "WHERE client_serial = ANY(%s::numeric[])",
        [list(revoked)],
    )


def maintain(ca: CertLifecycleManager, admin: Admin) -> None:
    for published in ca.publish_due():
        give(PEM(published.path.read_bytes()), admin, "ssl_crl_file")
    admin.execute("SELECT pg_reload_conf()")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["server", "user", "revoke", "maintain"])
    parser.add_argument("name", nargs="?", default="localhost")
    parser.add_argument("--folder", type=Path, default=Path("postgresql-pki"))
    parser.add_argument("--admin", default="dbname=postgres")
    asked = parser.parse_args()
    with (
        open_ca(asked.folder, common_name="PostgreSQL CA", key_algorithm="p-256") as ca,
        psycopg.connect(asked.admin, autocommit=True) as admin,
    ):
        if asked.command == "server":
            serve(ca, admin, asked.name)
        elif asked.command == "user":
            add_user(ca, admin, asked.name, asked.folder / asked.name)
        elif asked.command == "revoke":
            revoke(ca, admin, asked.name)
        else:
            maintain(ca, admin)


if __name__ == "__main__":
    main()
