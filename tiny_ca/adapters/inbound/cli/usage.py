"""What to type next: lines for other programs, with the paths of what was issued."""

from pathlib import Path
from shlex import quote

__all__ = ["next_steps"]


def next_steps(
    host: str, certificate: Path, key: Path, root: Path | None, *, is_server: bool
) -> str:
    """Give lines for nginx, uvicorn, curl and psql, to be copied as they stand.

    *root* is what others are to trust.
    """
    # Without following links: the one in live/ always leads to the newest.
    shown, private = (quote(str(each.absolute())) for each in (certificate, key))
    trusted = "/path/to/root.pem" if root is None else quote(str(root.absolute()))
    steps = (
        _of_server(host, shown, private, trusted)
        if is_server
        else _of_client(shown, private, trusted)
    )
    return "\n".join(
        f"{'' if place else program:9}{line}"
        for program, lines in steps
        for place, line in enumerate(lines)
    )


_Steps = list[tuple[str, list[str]]]


def _of_server(host: str, certificate: str, key: str, root: str) -> _Steps:
    shown = f"[{host}]" if ":" in host else host
    return [
        ("nginx", [f"ssl_certificate {certificate};", f"ssl_certificate_key {key};"]),
        ("uvicorn", [f"uvicorn app:app --ssl-certfile {certificate} --ssl-keyfile {key}"]),
        ("curl", [f"curl --cacert {root} https://{shown}:8000/"]),
        ("psql", [f"psql 'host={host} sslmode=verify-full sslrootcert={root}'"]),
    ]


def _of_client(certificate: str, key: str, root: str) -> _Steps:
    connection = f"host=localhost sslmode=verify-full sslrootcert={root}"
    return [
        ("nginx", [f"ssl_client_certificate {root};", "ssl_verify_client on;"]),
        ("uvicorn", [f"uvicorn app:app --ssl-ca-certs {root} --ssl-cert-reqs 2"]),
        (
            "curl",
            [f"curl --cacert {root} --cert {certificate} --key {key} https://localhost:8000/"],
        ),
        ("psql", [f"psql '{connection} sslcert={certificate} sslkey={key}'"]),
    ]
