"""A process that gets killed: run as a script, it forks one child for each life to be ended.

An interpreter takes 0.6 s to import all that an issue needs, and there are hundreds of system
calls to die at.  So this server imports once, and forks for every run: the child opens its own
manager, files and database after the fork, hence what dies has nothing open that another run
has.  The child waits until its tracer is there, does the operation through the public face
and reports what the call returned; killing it at system call N is killing a program there.

A death is only as good as its witness: each certificate is copied to `witness/` in the instant
in which it is signed, as a hardware module's own log would do.  Reports and copies use `writev`,
which no test traces for faults.
"""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.faults.pki import AT_ONCE, LEAVES, REQUESTS, ROOT, SUB, csr, leaf, manager_of
from tiny_ca import CertLifecycleManager, Event
from tiny_ca.adapters.outbound.crypto import backend, factory
from tiny_ca.adapters.outbound.crypto.crl import sign_crl
from tiny_ca.adapters.outbound.crypto.signing import sign_certificate
from tiny_ca.domain.errors import TinyCAError

Reply = dict[str, Any]

_CSRS = [csr(name) for name in REQUESTS]


def receive() -> Any:
    """Read one line; byte by byte, since parent and child read the same pipe in turn."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return json.loads(line)


def send(**message: Any) -> None:
    os.writev(1, [json.dumps(message).encode() + b"\n"])


def watch_signatures(folder: Path) -> None:
    """Copy every certificate and CRL to *folder* before anybody else gets it."""
    folder.mkdir(exist_ok=True)
    backend.sign_certificate = _witnessed(sign_certificate, folder, ".pem")
    factory.sign_certificate = _witnessed(sign_certificate, folder, ".pem")
    factory.sign_crl = _witnessed_crl(folder)


def _witnessed(sign: Callable[..., Any], folder: Path, extension: str) -> Callable[..., Any]:
    def wrapper(*args: Any) -> Any:
        signed = sign(*args)
        _keep(folder / f"{uuid4()}{extension}", signed.public_bytes(Encoding.PEM))
        return signed

    return wrapper


def _witnessed_crl(folder: Path) -> Callable[..., None]:
    def wrapper(*args: Any) -> None:
        file = args[-1]
        sign_crl(*args)
        file.seek(0)
        _keep(folder / f"{uuid4()}.crl", file.read())

    return wrapper


def _keep(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.writev(descriptor, [data])
    os.close(descriptor)


def bootstrap(manager: CertLifecycleManager, request: Reply) -> Reply:
    path, _ = manager.create_self_signed_ca(ROOT)
    return {"serial": x509.load_pem_x509_certificate(path.read_bytes()).serial_number}


def issue(manager: CertLifecycleManager, request: Reply) -> Reply:
    if manager.factory is None:
        manager.open_ca()
    certificate, _, _ = manager.issue_certificate(leaf(request.get("name", "new.internal")))
    return {"serial": certificate.serial_number}


def overwrite(manager: CertLifecycleManager, request: Reply) -> Reply:
    certificate, _, _ = manager.issue_certificate(
        leaf("old.internal"), *LEAVES["old.internal"], is_overwrite=True
    )
    return {"serial": certificate.serial_number}


def supersede(manager: CertLifecycleManager, request: Reply) -> Reply:
    certificate, _, _ = manager.issue_certificate(leaf("old.internal"), is_overwrite=True)
    return {"serial": certificate.serial_number}


def rotate(manager: CertLifecycleManager, request: Reply) -> Reply:
    certificate, _, _ = manager.rotate_certificate(request["old"], leaf("old.internal"))
    return {"serial": certificate.serial_number}


def renew(manager: CertLifecycleManager, request: Reply) -> Reply:
    return {"serial": manager.renew_certificate(request["old"]).serial_number}


def request(manager: CertLifecycleManager, request: Reply) -> Reply:
    return {"serial": manager.sign_csr(_CSRS[0], "client").serial_number}


def requests(manager: CertLifecycleManager, request: Reply) -> Reply:
    return {"serials": [one.serial_number for one in manager.sign_many_csrs(_CSRS, "client")]}


def intermediate(manager: CertLifecycleManager, request: Reply) -> Reply:
    certificate, _ = manager.issue_intermediate_ca(SUB)
    return {"serial": certificate.serial_number}


def revoke(manager: CertLifecycleManager, request: Reply) -> Reply:
    return {"is_revoked": manager.revoke_certificate(request["old"])}


def crl(manager: CertLifecycleManager, request: Reply) -> Reply:
    extensions = manager.generate_crl().extensions
    return {"number": extensions.get_extension_for_class(x509.CRLNumber).value.crl_number}


def deliver(manager: CertLifecycleManager, request: Reply) -> Reply:
    """Tell of everything that waits, to a subscriber whose memory outlives it."""
    told = Path(request["folder"]) / "witness" / "told"
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def remember(event: Event) -> None:
        os.writev(descriptor, [json.dumps([event.id, event.serial_number]).encode() + b"\n"])

    manager.subscribe("witness", remember)
    return manager.deliver_events()._asdict()


OPERATIONS = {
    run.__name__: run
    for run in (
        bootstrap,
        issue,
        overwrite,
        supersede,
        rotate,
        renew,
        request,
        requests,
        intermediate,
        revoke,
        crl,
        deliver,
    )
}


def attempt(manager: CertLifecycleManager, request: Reply) -> Reply:
    try:
        if "recover" in request:
            manager.recover(AT_ONCE)
        return OPERATIONS[request["operation"]](manager, request)
    except TinyCAError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - it is the test that judges
        return {"untyped": repr(error)}


def live(request: Reply) -> None:
    """Do the operation each time when told so, with what is told then, until told no more."""
    folder = Path(request["folder"])
    watch_signatures(folder / "witness")
    is_first = request["operation"] == "bootstrap"
    # Making the tables is a part of the first operation's risk; opening them is not.
    manager = None if is_first else manager_of(folder, opened=True)
    send(pid=os.getpid())
    while (more := receive()) is not None:
        try:
            manager = manager or manager_of(folder)
        except TinyCAError as error:
            send(error=type(error).__name__, message=str(error))
        else:
            send(**attempt(manager, request | more))


def hammer(request: Reply) -> None:
    """Issue one certificate after the other, until the end comes from outside."""
    folder = Path(request["folder"])
    watch_signatures(folder / "witness")
    with manager_of(folder, opened=True) as manager:
        send(pid=os.getpid())
        for name in _names(os.getpid()):
            send(**attempt(manager, {"operation": "issue", "name": name}))


def _names(pid: int) -> Iterator[str]:
    # A pid may come again, a random number hardly.
    base = f"{pid}-{os.urandom(4).hex()}"
    return (f"n{number}-{base}.internal" for number in range(1_000_000))


def serve() -> None:
    """Fork for every request; say how the child ended."""
    while True:
        request = receive()
        pid = os.fork()
        if pid == 0:
            try:
                (hammer if request["operation"] == "hammer" else live)(request)
            except BaseException as error:  # noqa: BLE001 - must not return into the loop
                send(untyped=repr(error))
            finally:
                # No interpreter shutdown: the parent's state is not the child's to close.
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        send(killed=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def warm_up() -> None:
    """Load what is loaded on first use: it would be loaded in each child again."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with manager_of(folder) as manager:
            bootstrap(manager, {})
            old = issue(manager, {"name": "old.internal"})["serial"]
            old = rotate(manager, {"old": old})["serial"]
            revoke(manager, {"old": old})
            crl(manager, {})
        (folder / "witness").mkdir()
        deliver(manager, {"folder": name})


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.dont_write_bytecode = True
    warm_up()
    send(ready=True)
    serve()
