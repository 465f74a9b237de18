"""What django-ca does, through its Python interface, with SQLite."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from pathlib import Path
from types import ModuleType

_numbers = numbers()


def _configure(folder: Path) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.urls import include, path

    settings.configure(
        SECRET_KEY="bench",
        ROOT_URLCONF="bench_urls",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_ca"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "registry.db"),
                "OPTIONS": {
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
                    "transaction_mode": "IMMEDIATE",
                },
            }
        },
        STORAGES={
            "django-ca": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(folder / "files")},
            }
        },
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        CA_DEFAULT_HOSTNAME="ca.internal",
        CA_USE_CELERY=False,
        CA_MIN_KEY_SIZE=2048,
    )
    django.setup()
    # Certificates name the site's addresses.
    urls = ModuleType("bench_urls")
    urls.urlpatterns = [path("", include("django_ca.urls"))]  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls
    call_command("migrate", verbosity=0)
    call_command("init_ca", "Bench", "CN=Bench", key_type="EC", verbosity=0)


def sign_csr(folder: Path) -> Callable[[int], Callable[[], None]]:
    _configure(folder)
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from django_ca.key_backends.storages.models import StoragesUsePrivateKeyOptions
    from django_ca.models import Certificate, CertificateAuthority
    from django_ca.profiles import profiles

    ca = CertificateAuthority.objects.get()
    options = StoragesUsePrivateKeyOptions(password=None)

    def prepare(count: int) -> Callable[[], None]:
        key = ec.generate_private_key(ec.SECP256R1())
        requests = []
        for _ in range(count):
            name = f"n{next(_numbers)}.internal"
            subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
            builder = x509.CertificateSigningRequestBuilder(subject)
            requests.append((subject, builder.sign(key, hashes.SHA256())))

        def work() -> None:
            for subject, request in requests:
                Certificate.objects.create_cert(
                    ca,
                    options,
                    request,
                    profile=profiles["webserver"],
                    subject=subject,
                    not_after=datetime.now(UTC) + timedelta(days=90),
                )

        return work

    return prepare
