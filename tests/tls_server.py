"""A TLS server that echoes, in threads of the test process, and its clients."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from cryptography import x509


class _Echo(BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(20)
        try:
            with self.server.context.wrap_socket(self.request, server_side=True) as connection:
                while data := connection.recv(100):
                    connection.sendall(data)
        except (OSError, ssl.SSLError) as error:
            self.server.failures.append(error)


class EchoServer(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.context = context
        self.failures: list[Exception] = []

    @contextmanager
    def connected(
        self, context: ssl.SSLContext, name: str = "localhost"
    ) -> Iterator[ssl.SSLSocket]:
        with socket.create_connection(self.server_address, timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname=name) as connection:
                yield connection

    def shown(self, context: ssl.SSLContext, name: str = "localhost") -> int:
        """Give the serial number of the certificate that a new handshake shows."""
        with self.connected(context, name) as connection:
            assert echo(connection) == b"hello"
            return serial_of(connection)


def serial_of(connection: ssl.SSLSocket) -> int:
    der = connection.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).serial_number


def echo(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"hello")
    return connection.recv(100)


@contextmanager
def echo_server(context: ssl.SSLContext) -> Iterator[EchoServer]:
    with EchoServer(context) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(20)
