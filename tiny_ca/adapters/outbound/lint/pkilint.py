"""pkilint, which holds certificates against RFC 5280 and the RFCs of the key algorithms."""

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.lint import LintFinding, LintSeverity

__all__ = ["PkilintLinter"]

# In subject alternative names and name constraints, whose syntax tiny_ca checks itself.
_FALSE_ALARMS = frozenset(
    {
        # pkilint knows names of the public DNS alone: no wildcards (RFC 9525 §6.3), no names of
        # one label or that end in a digit (RFC 1034 §3.5).
        "pkix.invalid_domain_name_syntax",
        # It knows the schemes of the web alone; RFC 3986 §3.1 leaves them open, as to SPIFFE.
        "pkix.invalid_uri_syntax",
    }
)
_CHECKED_HERE = ("subjectAltName", "nameConstraints")


class PkilintLinter:
    """Finds what pkilint does, from *severity* on, but for the codes in *ignore*.

    Wildcards, names of one label and URIs of other schemes than the web's, which it takes for
    mistakes in subject alternative names, are none.  Implements `ports.linter.Linter`; it takes
    a few milliseconds.  Needs the extra `[lint]`.  Raises `InvalidRequest` for an unknown
    severity, or when pkilint is not installed.
    """

    def __init__(
        self,
        severity: LintSeverity | str = LintSeverity.WARNING,
        *,
        ignore: Collection[str] = (),
    ) -> None:
        try:
            self._severity = LintSeverity(severity)
        except ValueError as error:
            raise InvalidRequest(
                f"{severity!r} is no severity: use one of {', '.join(LintSeverity)}."
            ) from error
        if isinstance(ignore, str):
            raise InvalidRequest(f"ignore is a collection of codes, not {ignore!r}.")
        self._ignored = frozenset(ignore)
        # What is missing is told when the linter is made, not at the first certificate.
        _validators()

    def lint(self, draft: x509.Certificate) -> tuple[LintFinding, ...]:
        """Give what stands in the way of signing *draft*."""
        return tuple(
            finding
            for finding in _findings(draft.public_bytes(Encoding.DER))
            if finding.severity.is_at_least(self._severity) and finding.code not in self._ignored
        )


def _findings(der: bytes) -> Iterator[LintFinding]:
    from pkilint import loader  # noqa: PLC0415

    try:
        document = loader.RFC5280CertificateDocumentLoader().load_der_document(der, "certificate")
        results = _validators().validate(document.root)
    except Exception as error:  # noqa: BLE001  # it does not say what it raises
        yield LintFinding(LintSeverity.FATAL, "pkilint.failed", f"{type(error).__name__}: {error}")
        return
    for result in results:
        is_checked = any(part in result.node.path.split(".") for part in _CHECKED_HERE)
        for described in result.finding_descriptions:
            if is_checked and described.finding.code in _FALSE_ALARMS:
                continue
            severity = described.finding.severity.name.lower()
            yield LintFinding(
                LintSeverity("info" if severity == "debug" else severity),
                described.finding.code,
                ": ".join(filter(None, (result.node.path, described.message))),
            )


@cache
def _validators() -> Any:
    """Give the validators of pkilint's own `lint_pkix_cert`."""
    try:
        from pkilint.pkix import certificate, extension, name  # noqa: PLC0415
    except ImportError as error:
        raise InvalidRequest(
            f"Linting needs a package that is not installed ({error.name}): install tiny-ca[lint]."
        ) from error
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
