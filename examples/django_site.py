"""Certificates in Django: commands, and a view for those who have one; all in one file.

    export PROXY_SECRET=$(openssl rand -hex 16)
    python examples/django_site.py certificate alice  # alice.pem and alice.key
    python examples/django_site.py runserver          # your server in production
    python examples/django_site.py revoke alice

TLS ends at nginx (see nginx_mtls.py), which says who the client is, and nobody else is believed:

    proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    proxy_set_header X-Proxy-Secret ...;
"""

import atexit
import os
from argparse import ArgumentParser
from collections.abc import Callable
from functools import cache, wraps
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote

import django
from cryptography import x509
from django.conf import settings
from django.core.management import (
    BaseCommand,
    CommandError,
    execute_from_command_line,
    get_commands,
)
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.urls import path

from tiny_ca import CertLifecycleManager, InvalidRequest, ValidationCertError, open_ca

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    SECRET_KEY=os.environ.get("SECRET_KEY", "nothing is signed with it"),
    PROXY_SECRET=os.environ["PROXY_SECRET"],
    TINY_CA={"base_folder": "django-pki", "common_name": "Django CA", "key_algorithm": "p-256"},
)


@cache
def authority() -> CertLifecycleManager:
    """Open the CA when it is first needed, for as long as the process lives."""
    ca = open_ca(**settings.TINY_CA)
    atexit.register(ca.close)
    return ca


def certificate_required(view: Callable[[HttpRequest, x509.Certificate], HttpResponse]) -> Any:
    """Let in whoever has a certificate of this CA that is valid at this moment."""

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        secret = request.headers.get("X-Proxy-Secret", "")
        if not compare_digest(secret.encode(), settings.PROXY_SECRET.encode()):
            return HttpResponseForbidden("Come in through the proxy.")
        pem = unquote(request.headers.get("X-Client-Cert", ""))
        try:
            client = x509.load_pem_x509_certificate(pem.encode())
            authority().verify_certificate(client)
        except (ValueError, ValidationCertError) as error:
            return HttpResponseForbidden(str(error))
        return view(request, client)

    return checked


@certificate_required
def greet(_request: HttpRequest, client: x509.Certificate) -> HttpResponse:
    expires = client.not_valid_after_utc.isoformat()
    return JsonResponse({"you": client.subject.rfc4514_string(), "until": expires})


urlpatterns = [path("", greet)]


class OfOneName(BaseCommand):  # type: ignore[misc]
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")


class Certificate(OfOneName):
    help = "Issue a client's certificate, into NAME.pem and NAME.key; in place of an older one."

    def handle(self, *, name: str, **_: object) -> None:
        try:
            issued = authority().issue(
                name, profile="client", key_algorithm="p-256", is_overwrite=True
            )
        except InvalidRequest as error:
            raise CommandError(str(error)) from error
        issued.private_key_pem.write_to_path(f"{name}.key")
        issued.fullchain_pem.write_to_path(f"{name}.pem")
        self.stdout.write(f"{issued.serial_number:x}")


class Revoke(OfOneName):
    help = "Revoke what a client has, and publish the CRL, django-pki/crl.pem."

    def handle(self, *, name: str, **_: object) -> None:
        revoked = authority().revoke_many(common_name=name).revoked
        authority().publish_crl()
        self.stdout.write(f"revoked {len(revoked)}")


if __name__ == "__main__":
    django.setup()
    # In a project of yours: management/commands/certificate.py, and so on.
    get_commands().update(certificate=Certificate(), revoke=Revoke())
    execute_from_command_line()
