"""nginx that asks for client certificates, and heeds revocations.

    python examples/nginx_mtls.py setup               # nginx-pki/: a CA, a server's pair, a CRL
    nginx -p $PWD/nginx-pki -c nginx.conf -e error.log
    python examples/nginx_mtls.py issue alice
    curl --cacert nginx-pki/live/root.pem --cert nginx-pki/live/alice/fullchain.pem \
        --key nginx-pki/live/alice/privkey.pem https://localhost:8443/whoami
    python examples/nginx_mtls.py revoke alice
    python examples/nginx_mtls.py maintain            # from cron, hourly: CRLs and pairs end

What is behind nginx learns by header who the client is; nginx replaces what a client sends as such.
--folder, --port and --app (of what is behind) say otherwise.
"""

import argparse
import os
import signal
from pathlib import Path

from tiny_ca import CertLifecycleManager, open_ca

CONFIGURATION = """\
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events {{}}
http {{
    access_log access.log;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {folder}/live/localhost/fullchain.pem;
        ssl_certificate_key {folder}/live/localhost/privkey.pem;
        ssl_client_certificate {folder}/live/root.pem;
        ssl_crl {folder}/crl.pem;
        ssl_verify_client on;
        location = /whoami {{ return 200 "$ssl_client_s_dn, serial number $ssl_client_serial\\n"; }}
        location / {{
            proxy_set_header X-Client-DN $ssl_client_s_dn;
            proxy_set_header X-Client-Serial $ssl_client_serial;
            proxy_pass http://{app};
        }}
    }}
}}
"""


def issue(ca: CertLifecycleManager, folder: Path, name: str, profile: str = "client") -> None:
    issued = ca.issue(name, profile=profile, key_algorithm="p-256", is_overwrite=True)
    issued.write_live(folder)


def setup(ca: CertLifecycleManager, folder: Path, port: int, app: str) -> None:
    if ca.find_certificate("localhost") is None:
        issue(ca, folder, "localhost", "server")
    ca.trust_pem().write_to_path(folder / "live/root.pem")
    ca.publish_crl()
    (folder / "tmp").mkdir(exist_ok=True)
    configuration = CONFIGURATION.format(folder=folder.absolute(), port=port, app=app)
    (folder / "nginx.conf").write_text(configuration)


def revoke(ca: CertLifecycleManager, folder: Path, name: str) -> None:
    ca.revoke_many(common_name=name)
    ca.publish_crl()
    reload_nginx(folder)


def maintain(ca: CertLifecycleManager, folder: Path) -> None:
    due = ca.due_for_renewal("localhost")
    for record in due:
        renewed = ca.renew_certificate(record.serial_number)
        ca.write_live(renewed.serial_number, folder)
    if ca.publish_due() or due:
        reload_nginx(folder)


def reload_nginx(folder: Path) -> None:
    """Have nginx read its files again; requests that are under way go on."""
    pid = folder / "nginx.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGHUP)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["setup", "issue", "revoke", "maintain"])
    parser.add_argument("name", nargs="?", default="alice")
    parser.add_argument("--folder", type=Path, default=Path("nginx-pki"))
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--app", default="127.0.0.1:8000")
    asked = parser.parse_args()
    with open_ca(asked.folder, common_name="nginx CA", key_algorithm="p-256") as ca:
        if asked.command == "setup":
            setup(ca, asked.folder, asked.port, asked.app)
        elif asked.command == "maintain":
            maintain(ca, asked.folder)
        else:
            {"issue": issue, "revoke": revoke}[asked.command](ca, asked.folder, asked.name)


if __name__ == "__main__":
    main()
