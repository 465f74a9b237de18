"""A service that gives devices certificates, and lets them in by these: FastAPI over mutual TLS.

    ENROLMENT_TOKEN=secret python examples/fastapi_devices.py [FOLDER [PORT [PKI_PORT]]]

    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout my.key -out my.csr -subj /CN=sensor-17
    curl --cacert device-pki/live/root.pem -H "Authorization: Bearer secret" \
        --data-binary @my.csr https://localhost:8443/devices/sensor-17

A device that lost the answer sends its request again, and gets the same certificate; it renews
that by POST /devices/me/certificate.  The pair in FOLDER/live/operator is for whoever may list and
revoke devices.
"""

import asyncio
import hmac
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from cryptography import x509
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

import tiny_ca
from tiny_ca import AsyncCertLifecycleManager, CertSerialParser, CertType
from tiny_ca.adapters.inbound.http import create_app

# A device is its name: whatever else a request asks for is not certified.
SENSOR = {"base": "device", "san_kinds": [], "max_validity": "90d", "default_validity": "90d"}
STATUS_OF: dict[type[Exception], int] = {
    tiny_ca.ValidationCertError: 403,
    tiny_ca.NotUniqueCertOwner: 409,
    tiny_ca.InvalidRequest: 422,
    tiny_ca.TinyCAError: 503,
}
router = APIRouter(prefix="/devices")


class PeerCertificateProtocol(H11Protocol):
    """Tells the app of the client's certificate, as ASGI's TLS extension does; uvicorn does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        tls = {"client_cert_chain": [] if der is None else [ssl.DER_cert_to_PEM_cert(der)]}
        app = self.app

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "extensions": {"tls": tls}}, receive, send)

        self.app = with_peer


def authority(request: Request) -> AsyncCertLifecycleManager:
    ca: AsyncCertLifecycleManager = request.app.state.ca
    return ca


CA = Annotated[AsyncCertLifecycleManager, Depends(authority)]
Name = Annotated[str, InPath(pattern=r"^[a-z0-9-]{1,63}$")]


def client(cert_type: CertType) -> Callable[..., Awaitable[x509.Certificate]]:
    """Let in whoever has a certificate of this type that is valid at this moment."""

    async def checked(request: Request, ca: CA) -> x509.Certificate:
        chain = request.scope["extensions"]["tls"]["client_cert_chain"]
        if not chain:
            raise HTTPException(403, "A client certificate is needed.")
        certificate = x509.load_pem_x509_certificate(chain[0].encode())
        await ca.verify_certificate(certificate)  # on record, and not revoked
        if CertSerialParser.typed(certificate)[0] is not cert_type:
            raise HTTPException(403, "This certificate is for something else.")
        return certificate

    return checked


Device = Annotated[x509.Certificate, Depends(client(CertType.DEVICE))]


@router.post("/{name}", status_code=201)
async def enrol(name: Name, request: Request, ca: CA) -> dict[str, str]:
    given, token = request.headers.get("Authorization", ""), os.environ["ENROLMENT_TOKEN"]
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    csr = b""
    async for part in request.stream():
        csr += part
        if len(csr) > 64 * 1024:
            raise HTTPException(413)
    retry_key = f"{name} {sha256(csr).hexdigest()}"
    certificate = await ca.sign_csr(csr, "sensor", common_name=name, idempotency_key=retry_key)
    return await answer(certificate, ca)


@router.post("/me/certificate", status_code=201)
async def renew(device: Device, ca: CA) -> dict[str, str]:
    # The old one stays valid until it ends: an answer may be lost.
    serial, key = device.serial_number, f"renew {device.serial_number:x}"
    return await answer(await ca.renew_certificate(serial, 90, idempotency_key=key), ca)


async def answer(certificate: x509.Certificate, ca: CA) -> dict[str, str]:
    chain = await ca.export_fullchain(certificate, with_root=True)
    return {"serial_number": f"{certificate.serial_number:x}", "chain": chain.decode()}


@router.get("/me")
async def greet(device: Device) -> str:
    return f"Hello, {device.subject.rfc4514_string()}!"


@router.get("", dependencies=[Depends(client(CertType.USER))])
async def list_devices(ca: CA, limit: int = 100, after: int | None = None) -> list[dict[str, Any]]:
    records = await ca.list_certificates(key_type=CertType.DEVICE, limit=limit, after=after)
    shown = ("common_name", "status", "not_after", "position")
    return [
        {"serial_number": f"{one.serial_number:x}", **{name: getattr(one, name) for name in shown}}
        for one in records
    ]


@router.delete("/{name}", status_code=204, dependencies=[Depends(client(CertType.USER))])
async def revoke(name: Name, ca: CA) -> None:
    await ca.revoke_many(key_type=CertType.DEVICE, common_name=name)
    await ca.generate_crl(days_valid=7)


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    status = next(code for kind, code in STATUS_OF.items() if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status)


async def publish(ca: AsyncCertLifecycleManager) -> None:
    while True:
        await ca.publish_due()
        await asyncio.sleep(600)


async def serve(folder: Path, port: int, pki_port: int) -> None:
    async with tiny_ca.open_async_ca(
        folder,
        common_name="Device CA",
        key_algorithm="p-256",
        profiles={"sensor": SENSOR},
        publication_url=f"http://localhost:{pki_port}/pki",
    ) as ca:
        server = await ca.ensure_certificate("localhost", profile="server")
        # The same one at each start: it is not the service's to replace.
        await ca.issue(
            "operator",
            profile="client",
            serial_type=CertType.USER,
            cert_path="live",
            uuid_str="operator",
            idempotency_key="operator",
        )
        (await ca.trust_pem()).write_to_path(folder / "live/root.pem")

        app = FastAPI(exception_handlers=dict.fromkeys(STATUS_OF, refuse))
        app.state.ca = ca
        app.include_router(router)
        # CRLs and OCSP are for everybody, and have to be there before there can be TLS.
        public = FastAPI()
        public.mount("/pki", create_app(ca))
        devices = uvicorn.Config(
            app,
            port=port,
            http=PeerCertificateProtocol,
            ssl_certfile=server.paths[".pem"],
            ssl_keyfile=server.paths[".key"],
            ssl_ca_certs=str(folder / "live/root.pem"),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,
        )
        configs = devices, uvicorn.Config(public, port=pki_port)
        await asyncio.gather(publish(ca), *(uvicorn.Server(one).serve() for one in configs))


if __name__ == "__main__":
    os.environ["ENROLMENT_TOKEN"]  # rather now than at the first request
    arguments = [*sys.argv[1:], *["device-pki", "8443", "8080"][len(sys.argv) - 1 :]]
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(arguments[0]), int(arguments[1]), int(arguments[2])))
