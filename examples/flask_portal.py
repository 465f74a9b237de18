"""A page where people get certificates for their browsers and mail programs, by Flask.

    flask --app examples/flask_portal.py run          # http://localhost:5000/
    curl -d address=alice@example.org -d passphrase='correct horse' -o alice.p12 \
        http://localhost:5000/
    flask --app examples/flask_portal.py publish      # from cron, hourly: a CRL ends

Who posts an address gets a PKCS #12 of key, certificate and chain, under a passphrase; the key is
kept nowhere else.  Put it behind a login: it believes whatever address it is told.  CRLs and OCSP
are at /pki.  The CA is in $PORTAL_FOLDER, the page's address is $PORTAL_URL.
"""

import atexit
import os
from io import BytesIO
from typing import Any

from a2wsgi import ASGIMiddleware
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    redirect,
    render_template_string,
    request,
    send_file,
)
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response as Answer

from tiny_ca import CertLifecycleManager, CertType, NotUniqueCertOwner, TinyCAError, open_ca
from tiny_ca.adapters.inbound.http import create_app as create_pki_app

PAGE = """\
<!doctype html>
<title>Certificates</title>
<form method=post>
  <input name=address type=email placeholder="you@example.org" required>
  <input name=passphrase type=password minlength=12 required>
  <button>Get a certificate</button>
</form>
{% for one in certificates %}
  <form method=post action="/revoke/{{ '%x' % one.serial_number }}">
    {{ one.common_name }}, {{ one.status.value }}, until {{ one.not_after.date() }}
    <button>Revoke</button>
  </form>
{% endfor %}
"""


site = Blueprint("portal", __name__, cli_group=None)


def authority() -> CertLifecycleManager:
    ca: CertLifecycleManager = current_app.extensions["tiny_ca"]
    return ca


@site.get("/")
def show() -> str:
    people = authority().list_certificates(key_type=CertType.USER)
    return render_template_string(PAGE, certificates=people)


@site.post("/")
def issue() -> Response:
    address, passphrase = request.form["address"], request.form["passphrase"]
    if len(passphrase) < 12:
        abort(400, "A passphrase has 12 characters or more.")
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        names = x509.SubjectAlternativeName([x509.RFC822Name(address)])
    except ValueError as error:
        abort(400, str(error))
    csr = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(names, False)
    certificate = authority().sign_csr(csr.sign(key, SHA256()), "user", common_name=address)
    bundle = authority().export_pkcs12(certificate, key, passphrase)
    return send_file(BytesIO(bundle), "application/x-pkcs12", True, "certificate.p12")


@site.post("/revoke/<serial>")
def revoke(serial: str) -> Answer:
    if not authority().revoke_certificate(int(serial, 16)):
        abort(404)
    authority().publish_crl()
    return redirect("/")


@site.errorhandler(TinyCAError)
def refuse(error: TinyCAError) -> tuple[str, int]:
    if isinstance(error, ValueError):
        return str(error), 400
    return str(error), 409 if isinstance(error, NotUniqueCertOwner) else 503


@site.cli.command("publish")
def publish() -> None:
    """Publish the CRL if it is due."""
    for published in authority().publish_due():
        print(f"published {published.path}, until {published.stamp.next_update}")


def create_app() -> Flask:
    """Make the app, for `flask run`, gunicorn and others; the CA is open as long as the process."""
    ca = open_ca(
        os.environ.get("PORTAL_FOLDER", "portal-pki"),
        common_name="Portal CA",
        key_algorithm="p-256",
        publication_url=os.environ.get("PORTAL_URL", "http://localhost:5000") + "/pki",
    )
    atexit.register(ca.close)
    app = Flask(__name__)
    app.extensions["tiny_ca"] = ca
    app.register_blueprint(site)
    pki: Any = ASGIMiddleware(create_pki_app(ca))  # type: ignore[arg-type]
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/pki": pki})  # type: ignore[method-assign]
    return app
