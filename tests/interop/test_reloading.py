"""A running TLS server shows a renewed certificate, and its connections live on."""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509

from tests.tls_server import echo, echo_server, serial_of
from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    IssuedCertificate,
    MemoryRegistry,
    MemoryStorage,
    ReloadingContext,
)


@pytest.fixture(scope="module")
def ca() -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as made:
        made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        yield made


def issue(ca: CertLifecycleManager, key_algorithm: str = "p-256") -> IssuedCertificate:
    return ca.issue("localhost", "127.0.0.1", key_algorithm=key_algorithm, is_overwrite=True)


def client_of(ca: CertLifecycleManager) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_new_handshakes_show_the_new_one_and_connections_live_on(
    ca: CertLifecycleManager, name: str, version: ssl.TLSVersion
) -> None:
    # No name is sent for an address (RFC 6066 §3).
    first = issue(ca)
    tls, client = ReloadingContext(first.configure_cert), client_of(ca)
    client.minimum_version = client.maximum_version = version
    with echo_server(tls.context) as server, server.connected(client, name) as old:
        assert serial_of(old) == first.serial_number
        second = ca.get_issued(ca.renew_certificate(first.serial_number).serial_number)
        tls.reload(second.configure_cert)
        assert echo(old) == b"hello"
        assert server.shown(client, name) == second.serial_number
        tls.reload()
        assert server.shown(client, name) == second.serial_number
        assert echo(old) == b"hello"
        assert serial_of(old) == first.serial_number
    assert server.failures == []


def test_a_key_of_another_kind(ca: CertLifecycleManager) -> None:
    tls, client = ReloadingContext(issue(ca, "rsa").configure_cert), client_of(ca)
    with echo_server(tls.context) as server:
        server.shown(client)
        issued = issue(ca)
        tls.reload(issued.configure_cert)
        assert server.shown(client) == issued.serial_number


def test_no_handshake_fails_while_certificates_change(ca: CertLifecycleManager) -> None:
    # Of different keys: half of one and half of another would fail.
    identities = [issue(ca, algorithm) for algorithm in ("p-256", "ed25519")]
    tls, done = ReloadingContext(identities[0].configure_cert), Event()

    def change() -> None:
        for issued in cycle(identities):
            if done.is_set():
                return
            tls.reload(issued.configure_cert)

    changing = Thread(target=change)
    with echo_server(tls.context) as server:
        changing.start()
        try:
            seen = {server.shown(client_of(ca)) for _ in range(60)}
        finally:
            done.set()
            changing.join(20)
    assert server.failures == []
    assert seen == {issued.serial_number for issued in identities}


def test_the_trust_of_clients_changes_too(ca: CertLifecycleManager) -> None:
    with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as other:
        other.create_self_signed_ca(CAConfig(common_name="Other", key_algorithm="p-256"))
        stranger = other.issue("stranger", key_algorithm="p-256")
    issued, client = issue(ca), client_of(ca)
    stranger.configure_cert(client)

    def configure(context: ssl.SSLContext) -> None:
        issued.configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED
        for trusted in trusts:
            trusted.configure_trust(context)

    trusts = [ca]
    tls = ReloadingContext(configure)
    with echo_server(tls.context) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            server.shown(client)
        trusts.append(other)
        tls.reload()
        assert server.shown(client) == issued.serial_number


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path: Path, ca: CertLifecycleManager) -> tuple[Path, Path]:
        return self.write(tmp_path, issue(ca))

    @staticmethod
    def write(folder: Path, issued: IssuedCertificate) -> tuple[Path, Path]:
        key = issued.private_key_pem.write_to_path(folder / "key.pem")
        return issued.fullchain_pem.write_to_path(folder / "cert.pem"), key

    @staticmethod
    def watching(files: tuple[Path, Path]) -> ReloadingContext:
        return ReloadingContext(
            lambda context: context.load_cert_chain(*files),
            watch=[str(path) for path in files],
            check_every=timedelta(0),
        )

    def test_what_is_replaced_is_noticed(
        self, ca: CertLifecycleManager, files: tuple[Path, Path]
    ) -> None:
        tls, client = self.watching(files), client_of(ca)
        with echo_server(tls.context) as server:
            server.shown(client)
            issued = issue(ca)
            self.write(files[0].parent, issued)
            assert server.shown(client) == issued.serial_number
        assert server.failures == []

    def test_while_half_is_replaced_the_former_one_is_shown(
        self, ca: CertLifecycleManager, files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        tls, client, issued = self.watching(files), client_of(ca), issue(ca)
        with echo_server(tls.context) as server:
            former = server.shown(client)
            issued.fullchain_pem.write_to_path(files[0])
            with caplog.at_level(logging.ERROR, "tiny_ca"):
                assert server.shown(client) == former
            assert "still shows its former certificate" in caplog.text
            issued.private_key_pem.write_to_path(files[1])
            assert server.shown(client) == issued.serial_number
        assert server.failures == []

    def test_files_that_are_gone_leave_the_former_one(
        self, ca: CertLifecycleManager, files: tuple[Path, Path]
    ) -> None:
        tls, client = self.watching(files), client_of(ca)
        with echo_server(tls.context) as server:
            former = server.shown(client)
            files[0].unlink()
            assert server.shown(client) == former
            with pytest.raises(FileNotFoundError):
                tls.reload()
            assert server.shown(client) == former

    def test_it_looks_only_now_and_then(
        self, ca: CertLifecycleManager, files: tuple[Path, Path]
    ) -> None:
        tls = ReloadingContext(
            lambda context: context.load_cert_chain(*files),
            watch=files,
            check_every=timedelta(hours=1),
        )
        client = client_of(ca)
        with echo_server(tls.context) as server:
            former = server.shown(client)
            self.write(files[0].parent, issue(ca))
            assert server.shown(client) == former


@pytest.mark.anyio
async def test_a_server_of_asyncio(ca: CertLifecycleManager) -> None:
    first, client = issue(ca), client_of(ca)
    tls = ReloadingContext(first.configure_cert)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return reader, writer, x509.load_der_x509_certificate(der).serial_number

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls.context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        reader, old, serial = await connect()
        assert serial == first.serial_number
        second = issue(ca)
        tls.reload(second.configure_cert)
        _, new, serial = await connect()
        assert serial == second.serial_number
        old.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        for writer in (old, new):
            writer.close()
            await writer.wait_closed()
