"""What to type next: lines for other programs, with the paths of what was issued."""

import re
from pathlib import Path
from shlex import quote

__all__ = ["next_steps"]

_UNUSUAL = re.compile(r"""[\s'"\\;{}#]""")


def next_steps(
    host: str, certificate: Path, key: Path, root: Path | None, *, is_server: bool
) -> str:
    """Give lines for nginx, uvicorn, curl and psql, to be copied as they stand.

    *root* is what others are to trust.
    """
    # Without following links: the one in live/ always leads to the newest.
    shown, private = (str(each.absolute()) for each in (certificate, key))
    trusted = "/path/to/root.pem" if root is None else str(root.absolute())
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
    url = f"https://[{host}]:8000/" if ":" in host else f"https://{host}:8000/"
    return [
        (
            "nginx",
            [f"ssl_certificate {_nginx(certificate)};", f"ssl_certificate_key {_nginx(key)};"],
        ),
        ("uvicorn", [_shell("uvicorn app:app --ssl-certfile", certificate, "--ssl-keyfile", key)]),
        ("curl", [_shell("curl --cacert", root, url)]),
        ("psql", [_psql(host=host, sslmode="verify-full", sslrootcert=root)]),
    ]


def _of_client(certificate: str, key: str, root: str) -> _Steps:
    files = {"sslrootcert": root, "sslcert": certificate, "sslkey": key}
    url = "https://localhost:8000/"
    return [
        ("nginx", [f"ssl_client_certificate {_nginx(root)};", "ssl_verify_client on;"]),
        ("uvicorn", [_shell("uvicorn app:app --ssl-ca-certs", root, "--ssl-cert-reqs 2")]),
        ("curl", [_shell("curl --cacert", root, "--cert", certificate, "--key", key, url)]),
        ("psql", [_psql(host="localhost", sslmode="verify-full", **files)]),
    ]


def _shell(*words: str) -> str:
    """Give a command; paths and URLs among its words are quoted."""
    return " ".join(quote(each) if "/" in each else each for each in words)


def _nginx(path: str) -> str:
    if not _UNUSUAL.search(path):
        return path
    return f'"{_backslashed(path, chr(34))}"'


def _psql(**parameters: str) -> str:
    """Give a command with a connection string, whose values have quotes of its own."""
    pairs = (
        f"{name}='{_backslashed(value, chr(39))}'" if _UNUSUAL.search(value) else f"{name}={value}"
        for name, value in parameters.items()
    )
    return f"psql {quote(' '.join(pairs))}"


def _backslashed(text: str, mark: str) -> str:
    return text.replace("\\", r"\\").replace(mark, f"\\{mark}")
