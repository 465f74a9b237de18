"""An echo server and its client over mutual TLS, on nothing but asyncio.

    python examples/asyncio_mtls.py serve
    python examples/asyncio_mtls.py issue alice       # alice.pem, alice.key and root.pem
    echo hello | python examples/asyncio_mtls.py send alice
    python examples/asyncio_mtls.py revoke alice

The CA is in the folder echo-pki, the port is 7007: --folder and --port say otherwise.  A client
needs its three files alone.  Who is revoked is out with the next line that it sends.
"""

import argparse
import asyncio
import ssl
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from tiny_ca import (
    AsyncCertLifecycleManager,
    ReloadingContext,
    ValidationCertError,
    open_async_ca,
)

LIFE = timedelta(days=30)


class Echo:
    def __init__(self, ca: AsyncCertLifecycleManager) -> None:
        self.ca = ca

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        client = x509.load_der_x509_certificate(der)
        try:
            while line := await reader.readline():
                # The handshake has checked the signature and the dates; this asks the registry.
                await self.ca.verify_certificate(client)
                writer.write(line)
                await writer.drain()
        except ValidationCertError as error:
            print(f"refused {client.subject.rfc4514_string()}: {error}", file=sys.stderr)
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


async def serve(ca: AsyncCertLifecycleManager, port: int) -> None:
    server = await ca.ensure_certificate("localhost", profile="server", valid_for=LIFE)
    roots = (await ca.trust_pem()).bytes().decode()

    def configure(context: ssl.SSLContext) -> None:
        server.configure_cert(context)
        context.load_verify_locations(cadata=roots)

    tls = ReloadingContext(configure)
    tls.context.verify_mode = ssl.CERT_REQUIRED
    async with await asyncio.start_server(Echo(ca), "localhost", port, ssl=tls.context):
        while True:
            await asyncio.sleep(3600)
            server = await ca.ensure_certificate("localhost", profile="server", valid_for=LIFE)
            tls.reload()


async def issue(ca: AsyncCertLifecycleManager, name: str) -> None:
    client = await ca.issue(name, profile="client", is_overwrite=True)
    client.private_key_pem.write_to_path(f"{name}.key")
    client.fullchain_pem.write_to_path(f"{name}.pem")
    (await ca.trust_pem()).write_to_path("root.pem")


async def revoke(ca: AsyncCertLifecycleManager, name: str) -> None:
    await ca.revoke_many(exact_name=name)


async def send(name: str, port: int) -> None:
    context = ssl.create_default_context(cafile="root.pem")
    context.load_cert_chain(f"{name}.pem", f"{name}.key")
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    for line in sys.stdin.buffer:
        writer.write(line)
        answer = await reader.readline()
        if not answer:
            sys.exit("The server hung up.")
        print(answer.decode(), end="")
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve", "issue", "send", "revoke"])
    parser.add_argument("name", nargs="?", default="alice")
    parser.add_argument("--folder", type=Path, default="echo-pki")
    parser.add_argument("--port", type=int, default=7007)
    asked = parser.parse_args()
    if asked.command == "send":
        await send(asked.name, asked.port)
        return
    async with open_async_ca(asked.folder, common_name="Echo CA", key_algorithm="p-256") as ca:
        if asked.command == "serve":
            await serve(ca, asked.port)
        else:
            await {"issue": issue, "revoke": revoke}[asked.command](ca, asked.name)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
