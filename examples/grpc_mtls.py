"""A gRPC service that knows its clients by their certificates.

    python examples/grpc_mtls.py serve
    python examples/grpc_mtls.py issue alice
    python examples/grpc_mtls.py call alice           # Hello, alice!
    python examples/grpc_mtls.py revoke alice

A client is asked for a certificate that is valid at this moment in every call.  The server's is
replaced while it runs: every handshake takes the newest.  --folder and --port say otherwise.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509
from cryptography.x509.oid import NameOID

from tiny_ca import CertLifecycleManager, ValidationCertError, open_ca

LIFE = timedelta(days=30)
Method = Callable[[bytes, x509.Certificate], bytes]


def greet(_request: bytes, client: x509.Certificate) -> bytes:
    [name] = client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f"Hello, {name.value!s}!".encode()


class Clients:
    """Makes handlers of methods that want to know who calls."""

    def __init__(self, ca: CertLifecycleManager) -> None:
        self.ca = ca

    def only(self, method: Method) -> "grpc.RpcMethodHandler[bytes, bytes]":
        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            [pem] = cast("list[bytes]", context.auth_context()["x509_pem_cert"])
            client = x509.load_pem_x509_certificate(pem)
            try:
                self.ca.verify_certificate(client)
            except ValidationCertError as error:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            return method(request, client)

        return grpc.unary_unary_rpc_method_handler(handle)


class Identity:
    """The server's certificate, which is another one from time to time."""

    def __init__(self, ca: CertLifecycleManager) -> None:
        self.ca, self.roots = ca, ca.trust_pem().bytes()
        self.renew_in_time()

    def renew_in_time(self) -> None:
        issued = self.ca.ensure_certificate("localhost", profile="server", valid_for=LIFE)
        pair = issued.private_key_pem.bytes(), issued.fullchain_pem.bytes()
        self.current = grpc.ssl_server_certificate_configuration([pair], self.roots)

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.dynamic_ssl_server_credentials(
            self.current, lambda: self.current, require_client_authentication=True
        )


def serve(ca: CertLifecycleManager, port: int) -> None:
    identity, clients = Identity(ca), Clients(ca)
    server = grpc.server(ThreadPoolExecutor(8))
    methods = {"Greet": clients.only(greet)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("example.Greeter", methods),)
    )
    server.add_secure_port(f"localhost:{port}", identity.credentials())
    server.start()
    try:
        while True:
            identity.renew_in_time()
            time.sleep(3600)
    finally:
        server.stop(grace=5).wait()


def issue(ca: CertLifecycleManager, name: str) -> None:
    issued = ca.issue(name, profile="client", is_overwrite=True)
    issued.private_key_pem.write_to_path(f"{name}.key")
    issued.fullchain_pem.write_to_path(f"{name}.pem")
    ca.trust_pem().write_to_path("root.pem")


def call(name: str, port: int) -> None:
    files = "root.pem", f"{name}.key", f"{name}.pem"
    credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files))
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        greeter: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/example.Greeter/Greet"
        )
        print(greeter(b"", timeout=10).decode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve", "issue", "call", "revoke"])
    parser.add_argument("name", nargs="?", default="alice")
    parser.add_argument("--folder", type=Path, default=Path("grpc-pki"))
    parser.add_argument("--port", type=int, default=50051)
    asked = parser.parse_args()
    if asked.command == "call":
        call(asked.name, asked.port)
        return
    with open_ca(asked.folder, common_name="gRPC CA", key_algorithm="p-256") as ca:
        if asked.command == "serve":
            with suppress(KeyboardInterrupt):
                serve(ca, asked.port)
        elif asked.command == "issue":
            issue(ca, asked.name)
        else:
            ca.revoke_many(exact_name=asked.name)


if __name__ == "__main__":
    main()
