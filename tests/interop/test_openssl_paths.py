"""openssl and we agree on certification paths, good and bad ones, that are made at random."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support import need, run
from tests.unit.chains import CA_USAGE, DAY, NOW, Node, ca, exclude, leaf, permit
from tiny_ca.adapters.outbound.crypto import CryptographyPathValidator
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.paths import PathRequest
from tiny_ca.ports.path import PathMaterial

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
HOST = "www.example.com"


@dataclass
class World:
    """A chain, and what is known of revocation."""

    chain: list[Node]
    crls: list[x509.CertificateRevocationList]
    host: str


def _mostly(random: Random, usual: Any, *others: Any) -> Any:
    return usual if random.random() < 0.94 else random.choice(others)


def _constraints(random: Random) -> list[tuple[x509.ExtensionType, bool]]:
    base = x509.DNSName(random.choice(["example.com", "example.org", HOST, "a.example.com"]))
    make = _mostly(random, None, permit, exclude)
    return [] if make is None else [make(base)]


def _authority(random: Random, name: str, issuer: Node | None) -> Node:
    purposes = _mostly(random, None, [SERVER], [CLIENT]) if issuer is not None else None
    extensions = _constraints(random)
    if purposes is not None:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    return ca(
        name,
        issuer,
        path_length=random.choice([None, None, 0, 1, 2]),
        bits=_mostly(random, CA_USAGE, ["key_cert_sign"], ["crl_sign"]),
        extensions=extensions,
        not_after=_mostly(random, NOW + 30 * DAY, NOW - DAY),
    )


def _world(random: Random) -> World:
    authorities = [_authority(random, "Root", None)]
    for number in range(random.randrange(3)):
        authorities.append(_authority(random, f"ICA {number}", authorities[-1]))
    target = leaf(
        authorities[-1],
        *random.sample([HOST, "*.example.com", "a.example.com", "b.example.org"], 2),
        purposes=_mostly(random, [SERVER], [], [CLIENT], [CLIENT, SERVER]),
        not_after=_mostly(random, NOW + 30 * DAY, NOW - DAY),
    )
    chain = [*authorities, target]
    crls = [
        issuer.crl(
            *_mostly(random, (), (subject,)),
            at=_mostly(random, NOW - DAY, NOW - 9 * DAY),
            until=_mostly(random, NOW + DAY, NOW - DAY),
        )
        for issuer, subject in zip(authorities, chain[1:], strict=True)
        if random.random() < 0.97
    ]
    return World(chain, crls, _mostly(random, HOST, "a.example.com", "b.example.org"))


def _we_accept(world: World) -> tuple[bool, str]:
    root, *intermediates, target = (node.certificate for node in world.chain)
    request = PathRequest(NOW, SERVER.dotted_string, (GeneralName.dns(world.host),))
    try:
        CryptographyPathValidator().validate(
            target, request, PathMaterial([root], intermediates, world.crls)
        )
    except ValidationCertError as error:
        return False, error.message
    return True, ""


def _openssl_accepts(world: World, folder: Path, at: datetime) -> tuple[bool, str]:
    def write(name: str, *signed: Any) -> Path:
        path = folder / name
        path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in signed))
        return path

    root, *intermediates, target = (node.certificate for node in world.chain)
    command: list[str | Path] = ["openssl", "verify", "-x509_strict", "-crl_check_all"]
    command += ["-attime", str(int(at.timestamp())), "-purpose", "sslserver"]
    command += ["-verify_hostname", world.host, "-CAfile", write("root.pem", root)]
    if intermediates:
        command += ["-untrusted", write("intermediates.pem", *intermediates)]
    if world.crls:
        command += ["-CRLfile", write("crls.pem", *world.crls)]
    done = run(*command, write("target.pem", target))
    return done.returncode == 0, done.stdout + done.stderr


def test_openssl_agrees(tmp_path: Path) -> None:
    need("openssl")
    outcomes: Counter[bool] = Counter()
    for seed in range(150):
        world = _world(Random(seed))
        ours, reason = _we_accept(world)
        theirs, output = _openssl_accepts(world, tmp_path, NOW)
        if "exclude the DNS name '*." in reason:
            # OpenSSL lets a wildcard stand for a name that is excluded (CVE-2025-61727, in Go).
            continue
        assert ours == theirs, (seed, reason, output)
        outcomes[ours] += 1
    assert min(outcomes.values()) > 30
