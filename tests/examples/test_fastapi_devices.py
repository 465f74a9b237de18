"""Devices enrol, come in, and are shown the door; by HTTP over TLS."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.ocsp import OCSPCertStatus, OCSPRequestBuilder, load_der_ocsp_response

from tests.examples.running import client_context, started
from tests.support import free_port

TOKEN = {"Authorization": "Bearer secret"}


@dataclass
class Service:
    folder: Path
    url: str

    @property
    def root(self) -> Path:
        return self.folder / "pki/live/root.pem"

    def client(self, pair: tuple[Path, Path] | None = None) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, verify=client_context(self.root, pair), trust_env=False
        )

    def operator(self) -> httpx.Client:
        folder = self.root.parent / "operator"
        return self.client((folder / "operator.pem", folder / "operator.key"))


@dataclass
class Device:
    """A key of its own, the request that goes with it, and what came back."""

    service: Service
    name: str

    def __post_init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever")])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject)
        self.csr = csr.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        self.pair = tuple(self.service.folder / f"{id(self)}{end}" for end in (".pem", ".key"))
        self.pair[1].write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )

    def enrol(self, headers: dict[str, str] = TOKEN) -> httpx.Response:
        with self.service.client() as client:
            answer = client.post(f"/devices/{self.name}", content=self.csr, headers=headers)
        if answer.status_code == 201:
            self.pair[0].write_text(answer.json()["chain"])
        return answer

    def visit(self) -> httpx.Response:
        with self.service.client(self.pair) as client:
            return client.get("/devices/me")

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pair[0].read_bytes())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, ports = tmp_path_factory.mktemp("service"), (free_port(), free_port())
    with started(
        "fastapi_devices.py",
        *("pki", *ports),
        ports=ports,
        cwd=folder,
        env={"ENROLMENT_TOKEN": "secret"},
    ):
        yield Service(folder, f"https://localhost:{ports[0]}")


def test_a_device_enrols_and_comes_in(service: Service) -> None:
    device = Device(service, "sensor-1")
    assert device.enrol().status_code == 201
    assert device.certificate.subject.rfc4514_string() == "CN=sensor-1"
    answer = device.visit()
    assert (answer.status_code, answer.json()) == (200, "Hello, CN=sensor-1!")


def test_a_lost_answer_is_given_again(service: Service) -> None:
    device = Device(service, "sensor-2")
    assert device.enrol().json() == device.enrol().json()


def test_a_device_renews_and_may_lose_the_answer(service: Service) -> None:
    device = Device(service, "sensor-10")
    device.enrol()
    with service.client(device.pair) as client:
        first, again = (client.post("/devices/me/certificate") for _ in range(2))
    assert first.status_code == 201
    assert first.json() == again.json()
    assert device.visit().status_code == 200
    device.pair[0].write_text(first.json()["chain"])
    assert device.visit().status_code == 200
    with service.operator() as operator:
        operator.delete("/devices/sensor-10")
    assert device.visit().status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}])
def test_without_the_token_nothing_is_issued(service: Service, headers: dict[str, str]) -> None:
    assert Device(service, "sensor-3").enrol(headers).status_code == 401


def test_a_name_that_is_taken(service: Service) -> None:
    assert Device(service, "sensor-4").enrol().status_code == 201
    answer = Device(service, "sensor-4").enrol()
    assert answer.status_code == 409
    assert "sensor-4" in answer.json()["detail"]


@pytest.mark.parametrize(("csr", "status"), [(b"nonsense", 422), (b"a" * 65537, 413)])
def test_no_request_at_all(service: Service, csr: bytes, status: int) -> None:
    device = Device(service, "sensor-5")
    device.csr = csr
    assert device.enrol().status_code == status


def test_a_name_that_no_device_has(service: Service) -> None:
    assert Device(service, "sensor*").enrol().status_code == 422


def test_who_has_no_certificate_stays_out(service: Service) -> None:
    with service.client() as client:
        assert client.get("/devices/me").status_code == 403
        assert client.get("/devices").status_code == 403
        assert client.delete("/devices/sensor-1").status_code == 403


def test_a_device_is_no_operator_nor_the_other_way_round(service: Service) -> None:
    device = Device(service, "sensor-6")
    device.enrol()
    with service.client(device.pair) as client:
        assert client.get("/devices").status_code == 403
        assert client.delete("/devices/sensor-6").status_code == 403
    with service.operator() as operator:
        assert operator.get("/devices/me").status_code == 403


def test_the_operator_lists_page_by_page(service: Service) -> None:
    enrolled = [Device(service, f"sensor-7{letter}") for letter in "abc"]
    for device in enrolled:
        device.enrol()
    with service.operator() as operator:
        first = operator.get("/devices", params={"limit": 2}).json()
        after = {"limit": 1, "after": first[-1]["position"]}
        listed = first + operator.get("/devices", params=after).json()
    assert [one["common_name"] for one in listed] == ["sensor-7c", "sensor-7b", "sensor-7a"]
    assert {one["status"] for one in listed} == {"valid"}


def test_who_is_revoked_is_out_at_once_and_everybody_can_know(service: Service) -> None:
    device = Device(service, "sensor-8")
    device.enrol()
    with service.operator() as operator:
        assert operator.delete("/devices/sensor-8").status_code == 204
    answer = device.visit()
    assert answer.status_code == 403
    assert "revoked" in answer.json()["detail"]

    certificate = device.certificate
    [point] = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    crl = x509.load_der_x509_crl(httpx.get(point.full_name[0].value, trust_env=False).content)
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    [ocsp] = [one.access_location.value for one in access if one.access_method._name == "OCSP"]
    root = x509.load_pem_x509_certificate(service.root.read_bytes())
    asked = OCSPRequestBuilder().add_certificate(certificate, root, hashes.SHA1())
    answered = httpx.post(ocsp, content=asked.build().public_bytes(Encoding.DER), trust_env=False)
    status = load_der_ocsp_response(answered.content).certificate_status
    assert status is OCSPCertStatus.REVOKED


def test_its_name_is_free_again(service: Service) -> None:
    Device(service, "sensor-9").enrol()
    with service.operator() as operator:
        operator.delete("/devices/sensor-9")
    successor = Device(service, "sensor-9")
    assert successor.enrol().status_code == 201
    assert successor.visit().status_code == 200
