"""CAs as `openssl ca` and easy-rsa keep them, made by the real programs."""

import os
import subprocess
from pathlib import Path

from tests.support import need, unavailable

EASYRSA = Path("/usr/share/easy-rsa/easyrsa")
P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")

CONFIG = """[ca]
default_ca = demo
[demo]
dir = {folder}
database = $dir/index.txt
new_certs_dir = $dir/newcerts
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/cacert.pem
private_key = $dir/private/cakey.pem
default_md = sha256
default_days = 365
default_crl_days = 30
policy = policy
x509_extensions = {extensions}
crl_extensions = crl
unique_subject = no
string_mask = utf8only
[policy]
commonName = supplied
organizationName = optional
[leaf]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
[server]
basicConstraints = CA:FALSE
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth
[plain]
basicConstraints = CA:FALSE
authorityKeyIdentifier = none
[sub]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
keyUsage = critical,keyCertSign,cRLSign
[crl]
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
string_mask = utf8only
[name]
"""


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program that has to succeed, and give what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


class OpenSSLCA:
    """A CA in *folder*, run by `openssl ca`."""

    def __init__(self, folder: Path, name: str = "Demo CA", passphrase: str | None = None) -> None:
        need("openssl")
        self.folder = folder
        for part in ("newcerts", "private"):
            (folder / part).mkdir(parents=True)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        (folder / "crlnumber").write_text("1F\n")
        for extensions in ("leaf", "server", "plain", "sub"):
            text = CONFIG.format(folder=folder, extensions=extensions)
            (folder / f"{extensions}.cnf").write_text(text)
        protection = ["-noenc"] if passphrase is None else ["-passout", f"pass:{passphrase}"]
        self._passin = [] if passphrase is None else ["-passin", f"pass:{passphrase}"]
        call(
            *("openssl", "req", "-x509", "-config", "leaf.cnf", *P256, *protection),
            *("-keyout", "private/cakey.pem", "-out", "cacert.pem", "-days", "3650"),
            *("-subj", f"/CN={name}/O=ACME", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            cwd=folder,
        )

    def ca(self, *arguments: str | Path, extensions: str = "leaf") -> str:
        """Run `openssl ca`."""
        config = ("-batch", "-config", f"{extensions}.cnf", *self._passin)
        return call("openssl", "ca", *config, *arguments, cwd=self.folder)

    def issue(self, name: str, *arguments: str, extensions: str = "leaf") -> Path:
        """Issue a certificate; give its file."""
        request, certificate = self.folder / "request.csr", self.folder / f"{name}.crt"
        call(
            *("openssl", "req", "-new", "-utf8", "-config", "leaf.cnf", *P256, "-noenc"),
            *("-keyout", f"{name}.key", "-out", request, "-subj", f"/CN={name}"),
            cwd=self.folder,
        )
        self.ca("-in", request, "-out", certificate, *arguments, extensions=extensions)
        return certificate

    def revoke(self, certificate: Path, *arguments: str) -> None:
        """Revoke a certificate."""
        self.ca("-revoke", certificate, *arguments)

    def publish(self) -> Path:
        """Publish a CRL, and mark what is over as expired."""
        self.ca("-updatedb")
        self.ca("-gencrl", "-out", "crl.pem")
        return self.folder / "crl.pem"

    def row(self, number: int) -> str:
        """Give a line of the index, counted from 1."""
        return (self.folder / "index.txt").read_text().splitlines()[number - 1]

    def edit(self, before: str, after: str) -> None:
        """Change the index by hand."""
        index = self.folder / "index.txt"
        text = index.read_text()
        assert before in text
        index.write_text(text.replace(before, after))


class EasyRSA:
    """A `pki` folder below *folder*, run by easy-rsa."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        need("openssl")
        if not EASYRSA.exists():
            unavailable("not installed: easy-rsa")
        self._folder = folder
        self.pki = folder / "pki"
        self._environment = {
            "EASYRSA_BATCH": "1",
            "EASYRSA_ALGO": "ec",
            "EASYRSA_CURVE": "prime256v1",
            # From when on a certificate can be renewed.
            "EASYRSA_CERT_RENEW": "9999",
        }
        self("init-pki")
        protection = {} if passphrase is None else {"EASYRSA_PASSOUT": f"pass:{passphrase}"}
        if passphrase is not None:
            self._environment["EASYRSA_PASSIN"] = f"pass:{passphrase}"
        no_passphrase = ("nopass",) if passphrase is None else ()
        self("build-ca", *no_passphrase, EASYRSA_REQ_CN="Easy CA", **protection)

    def __call__(self, *command: str, **environment: str) -> None:
        """Run a command of easy-rsa."""
        call(EASYRSA, *command, cwd=self._folder, **{**self._environment, **environment})
