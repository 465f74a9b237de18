"""Name constraints along a path (RFC 5280 §4.2.1.10)."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.chains import ca, dn, exclude, leaf, permit
from tests.unit.verifying import ICA, ROOT, refused, validate
from tiny_ca.domain.paths import Conformance


class TestNameConstraints:
    @pytest.mark.parametrize(
        ("base", "inside", "outside"),
        [
            (x509.DNSName("example.com"), "a.example.com", "example.org"),
            (x509.DNSName("example.com"), "*.example.com", "notexample.com"),
            (
                x509.IPAddress(ip_network("192.0.2.0/24")),
                x509.IPAddress(ip_address("192.0.2.7")),
                x509.IPAddress(ip_address("192.0.3.7")),
            ),
            (
                x509.RFC822Name("example.com"),
                x509.RFC822Name("ann@EXAMPLE.com"),
                x509.RFC822Name("ann@a.example.com"),
            ),
            (
                x509.UniformResourceIdentifier(".example.com"),
                x509.UniformResourceIdentifier("https://u@a.example.com:8443/x?y"),
                x509.UniformResourceIdentifier("https://example.com/"),
            ),
            (
                x509.DirectoryName(dn("O=ACME")),
                x509.DirectoryName(dn("CN=a", "O=acme")),
                x509.DirectoryName(dn("CN=a", "O=ACME Inc")),
            ),
        ],
    )
    def test_permitted_and_excluded(self, base: Any, inside: Any, outside: Any) -> None:
        name = dn() if isinstance(base, x509.DirectoryName) else "leaf"
        permitting = ca("Limited", ROOT, extensions=[permit(base)])
        assert validate(leaf(permitting, inside, name=name), permitting)
        refused("do not permit", leaf(permitting, inside, outside, name=name), permitting)
        excluding = ca("Limited", ROOT, extensions=[exclude(base)])
        assert validate(leaf(excluding, outside, name=name), excluding)
        refused("exclude", leaf(excluding, outside, inside, name=name), excluding)

    def test_of_the_subject(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DirectoryName(dn("O=ACME")))])
        assert validate(leaf(limited, name=dn("CN=a", "OU=b", "O=ACME")), limited)
        refused("do not permit", leaf(limited, name=dn("CN=a", "O=Other")), limited)
        emails = ca("Limited", ROOT, extensions=[exclude(x509.RFC822Name("example.com"))])
        name = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "ann@example.com")])
        refused("exclude", leaf(emails, name=name), emails)

    def test_of_cas_below_unless_self_issued(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName("example.com"))])
        alternative = (x509.SubjectAlternativeName([x509.DNSName("other.org")]), False)
        below = ca("Below", limited, extensions=[alternative])
        refused("do not permit", leaf(below, "a.example.com"), limited, below)
        rolled = ca(
            "Limited",
            limited,
            extensions=[alternative],
            key=ec.generate_private_key(ec.SECP256R1()),
        )
        assert validate(leaf(rolled, "a.example.com"), limited, rolled)
        # The last certificate is held against them, self-issued or not.
        key = ec.generate_private_key(ec.SECP256R1())
        refused("do not permit", leaf(limited, "other.org", name="Limited", key=key), limited)

    def test_each_ca_narrows(self) -> None:
        wide = ca("Wide", ROOT, extensions=[permit(x509.DNSName("com"))])
        narrow = ca("Narrow", wide, extensions=[permit(x509.DNSName("a.com"))])
        assert validate(leaf(narrow, "x.a.com"), wide, narrow)
        refused("do not permit", leaf(narrow, "x.b.com"), wide, narrow)
        wider = ca("Wider", narrow, extensions=[permit(x509.DNSName("com"))])
        refused("do not permit", leaf(wider, "x.b.com"), wide, narrow, wider)

    def test_of_a_root(self) -> None:
        root = ca("Root", extensions=[permit(x509.DNSName("example.com"))])
        refused("do not permit", leaf(ICA, "example.org"), ICA, roots=[root])

    def test_what_is_not_processed_is_refused(self) -> None:
        other = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        limited = ca("Limited", ROOT, extensions=[exclude(other)])
        refused("can't be held against", leaf(limited, other), limited)
        assert validate(leaf(limited, "a.example.com"), limited)

    def test_an_internationalised_mailbox_is_an_email_address(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.RFC822Name("example.com"))])
        oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
        mailbox = x509.OtherName(oid, b"\x0c\x0e\xc3\xa4@example.org")
        refused("can't be held against", leaf(limited, mailbox), limited)

    @pytest.mark.parametrize("field", [b"\x80\x01\x01", b"\x81\x01\x01"], ids=["min", "max"])
    def test_limits_of_depth_are_refused(self, field: bytes) -> None:
        name = b"\x82\x0bexample.com"
        subtree = b"\x30" + bytes([len(name + field)]) + name + field
        value = b"\xa0" + bytes([len(subtree)]) + subtree
        raw = x509.UnrecognizedExtension(
            x509.NameConstraints.oid, b"\x30" + bytes([len(value)]) + value
        )
        limited = ca("Limited", ROOT, extensions=[(raw, True)])
        refused("limited in depth", leaf(limited, "example.com"), limited)

    def test_a_leading_period(self) -> None:
        limited = ca("Limited", ROOT, extensions=[permit(x509.DNSName(".example.com"))])
        target = leaf(limited, "a.example.com")
        refused("leading period", target, limited)
        assert validate(target, limited, conformance=Conformance.PATH)
        apex = leaf(limited, "example.com")
        refused("do not permit", apex, limited, conformance=Conformance.PATH)
