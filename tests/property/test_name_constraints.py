"""Name constraints, held against what RFC 5280 says in words."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

import ipaddress
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.property.strategies import (
    NOW,
    any_text,
    dns_names,
    email_addresses,
    general_names,
    host_names,
    hostile_text,
    ip_addresses,
    labels,
)
from tiny_ca.domain.errors import InvalidName, InvalidRequest, ValidationCertError
from tiny_ca.domain.name_constraints import (
    ConstrainedName,
    NameConstraints,
    NameForm,
    NameSubtree,
    canonical_attribute,
)
from tiny_ca.domain.names import GeneralName, GeneralNameKind
from tiny_ca.domain.paths import PathRequest, host_matches

DNS, IP, EMAIL, URI, DIRECTORY = (
    NameForm.DNS,
    NameForm.IP,
    NameForm.EMAIL,
    NameForm.URI,
    NameForm.DIRECTORY,
)
mixed_case = st.sampled_from([str.upper, str.lower, str.title, str])


def contains(form: NameForm, base: Any, name: Any) -> bool:
    return NameSubtree(form, base).contains(ConstrainedName(form, name))


def passes(constraints: NameConstraints, *names: ConstrainedName) -> bool:
    try:
        constraints.check(names)
    except ValidationCertError:
        return False
    return True


def labels_of(name: str) -> list[str]:
    return name.lower().split(".")


class TestRFC5280_4_2_1_10_DNS:
    @given(host_names, st.lists(labels, max_size=2), mixed_case)
    def test_a_base_holds_itself_and_all_with_labels_added(self, base, added, case):
        name = ".".join([*added, base])
        assume(len(name) <= 253)
        assert contains(DNS, base, case(name))
        assert contains(DNS, f".{base}", case(name)) == bool(added)

    @given(host_names, dns_names)
    @example("example.com", "notexample.com")
    @example("example.com", "com")
    def test_and_nothing_else(self, base, name):
        below = labels_of(name)[-len(labels_of(base)) :] == labels_of(base)
        assert contains(DNS, base, name) == below

    @given(dns_names)
    def test_an_empty_base_holds_everything(self, name):
        assert contains(DNS, "", name)

    @given(host_names, labels)
    def test_a_wildcard_touches_what_it_may_stand_for(self, parent, label):
        assume(len(labels_of(parent)) > 1 and len(parent) + len(label) < 252)
        wildcard = ConstrainedName(DNS, f"*.{parent}")
        one = NameSubtree(DNS, f"{label}.{parent}")
        assert one.touches(wildcard)
        assert not one.contains(wildcard)
        assert NameSubtree(DNS, parent).contains(wildcard)
        deeper = f"{label}.{label}.{parent}"
        assert len(deeper) > 253 or not NameSubtree(DNS, deeper).touches(wildcard)

    @given(host_names, host_names)
    def test_what_has_no_wildcard_touches_where_it_is_held(self, base, name):
        subtree, presented = NameSubtree(DNS, base), ConstrainedName(DNS, name)
        assert subtree.touches(presented) == subtree.contains(presented)

    @given(
        hostile_text | st.builds("*.{}".format, host_names) | st.builds("..{}".format, host_names)
    )
    @example("*.example.com")
    @example("exa_mple.com")
    @example("192.0.2.1")
    def test_a_base_is_a_host_name_or_refused(self, text):
        try:
            subtree = NameSubtree(DNS, text)
        except InvalidName:
            return
        assert subtree.base == "" or contains(DNS, "", str(subtree.base).removeprefix("."))


class TestRFC5280_4_2_1_10_IPAddress:
    @given(ip_addresses, st.data())
    def test_a_network_holds_its_addresses(self, address, data):
        length = data.draw(st.integers(0, address.max_prefixlen))
        network = ipaddress.ip_network((address, length), strict=False)
        assert contains(IP, network, address)
        other = data.draw(ip_addresses)
        bits = address.max_prefixlen - length
        is_inside = address.version == other.version and int(other) >> bits == int(address) >> bits
        assert contains(IP, network, other) == is_inside


class TestRFC5280_4_2_1_10_RFC822Name:
    @given(email_addresses, mixed_case)
    def test_a_mailbox_holds_itself_whatever_case_its_host_has(self, mailbox, case):
        local_part, _, host = mailbox.rpartition("@")
        assert contains(EMAIL, mailbox, f"{local_part}@{case(host)}")
        assert contains(EMAIL, case(host), mailbox)
        assert not contains(EMAIL, f".{host}", mailbox)

    @given(email_addresses, labels)
    def test_a_leading_period_holds_the_hosts_below(self, mailbox, label):
        local_part, _, host = mailbox.rpartition("@")
        below = f"{local_part}@{label}.{host}"
        assume(len(host) + len(label) < 253)
        assert contains(EMAIL, f".{host}", below)
        assert not contains(EMAIL, host, below)
        assert not contains(EMAIL, mailbox, below)

    @given(email_addresses, email_addresses)
    @example("*@example.com", "user@example.com")
    @example("user@example.com", "USER@example.com")
    def test_a_mailbox_holds_no_other(self, base, mailbox):
        assume(base.lower() != mailbox.lower() or base.split("@")[0] != mailbox.split("@")[0])
        assert not contains(EMAIL, base, mailbox)


class TestRFC5280_4_2_1_10_URI:
    @given(
        host_names,
        st.sampled_from(["http", "https", "spiffe", "coap+tcp"]),
        st.sampled_from(["", "user@", "user:word@"]),
        st.sampled_from(["", ":8443", ":"]),
        st.sampled_from(["", "/", "/a@b.c/d", "?q=@x", "#f@x"]),
    )
    def test_the_host_decides(self, host, scheme, user, port, rest):
        uri = f"{scheme}://{user}{host}{port}{rest}"
        assert contains(URI, host, uri)
        assert not contains(URI, f".{host}", uri)
        assert contains(URI, "", uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "mailto:a@example.com",
            "https:///path",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
            "https://*.example.com/",
            "https://example.com:80:80/",
            "https://a@b@example.com/",
            "//example.com/",
        ],
    )
    def test_one_without_a_host_name_is_refused_where_uris_are_constrained(self, uri):
        for subtree in (NameSubtree(URI, "example.com"), NameSubtree(URI, "")):
            name = ConstrainedName(URI, uri)
            assert not passes(NameConstraints(permitted=(subtree,)), name)
            assert not passes(NameConstraints(excluded=(subtree,)), name)


attributes = st.tuples(st.sampled_from(["2.5.4.3", "2.5.4.10"]), st.sampled_from("ab"))
distinguished_names = st.lists(st.frozensets(attributes, min_size=1, max_size=2), max_size=4).map(
    tuple
)


class TestRFC5280_4_2_1_10_DirectoryName:
    @given(distinguished_names, distinguished_names)
    def test_a_base_holds_the_names_that_begin_with_it(self, base, rest):
        assert contains(DIRECTORY, base, base + rest)
        assert contains(DIRECTORY, base + rest, base) == (rest == ())


class TestRFC5280_7_1:
    @given(any_text, st.sampled_from([" ", "  ", "\t", "\u3000"]))
    def test_case_and_white_space_make_no_difference(self, text, space):
        words = text.split()
        canonical = canonical_attribute(" ".join(words))
        assert canonical_attribute(space.join(["", *words, ""])) == canonical
        assert canonical_attribute(canonical) == canonical

    @given(st.text("abcÄé ", max_size=8))
    def test_case(self, text):
        assert canonical_attribute(text.upper()) == canonical_attribute(text)


_FORM_OF = {
    GeneralNameKind.DNS: NameForm.DNS,
    GeneralNameKind.IP: NameForm.IP,
    GeneralNameKind.EMAIL: NameForm.EMAIL,
}


@st.composite
def constrained_names(draw: st.DrawFn) -> ConstrainedName:
    name = draw(general_names)
    value: Any = name.value
    if name.kind is GeneralNameKind.IP:
        value = ipaddress.ip_address(value)
    return ConstrainedName(_FORM_OF[name.kind], value)


def everything(form: NameForm) -> list[NameSubtree]:
    if form is IP:
        return [NameSubtree(IP, ipaddress.ip_network(all_of)) for all_of in ("0.0.0.0/0", "::/0")]
    return [NameSubtree(form, "")]


class TestRFC5280_6_1_3_bc:
    @given(st.lists(constrained_names(), max_size=4))
    def test_no_constraint_no_refusal(self, names):
        NameConstraints().check(names)

    @given(st.lists(constrained_names(), min_size=1, max_size=4), st.sampled_from([DNS, IP, EMAIL]))
    def test_a_form_is_constrained_by_its_own_subtrees(self, names, form):
        subtrees = tuple(everything(form))
        assert passes(NameConstraints(permitted=subtrees), *names)
        is_excluded = any(name.form is form for name in names)
        assert passes(NameConstraints(excluded=subtrees), *names) == (not is_excluded)

    @given(constrained_names())
    def test_excluded_wins(self, name):
        subtrees = tuple(everything(name.form))
        assert not passes(NameConstraints(subtrees, subtrees), name)

    @given(st.lists(host_names, min_size=1, max_size=3), host_names)
    def test_permitted_is_in_any_excluded_in_none(self, bases, name):
        subtrees = tuple(NameSubtree(DNS, base) for base in bases)
        presented = ConstrainedName(DNS, name)
        is_in_any = any(subtree.contains(presented) for subtree in subtrees)
        assert passes(NameConstraints(permitted=subtrees), presented) == is_in_any
        assert passes(NameConstraints(excluded=subtrees), presented) == (not is_in_any)

    @given(hostile_text, st.sampled_from([DNS, EMAIL, URI]))
    @example(".example.com", DNS)
    @example("exa mple.com", DNS)
    @example("a@b@example.com", EMAIL)
    @example("example.com\0.evil.org", DNS)
    def test_what_can_not_be_judged_is_refused(self, text, form):
        name = ConstrainedName(form, text)
        NameConstraints().check([name])
        if name.compared is None:
            for subtrees in ({"permitted": everything(form)}, {"excluded": everything(form)}):
                constraints = NameConstraints(**{k: tuple(v) for k, v in subtrees.items()})
                assert not passes(constraints, name)

    @pytest.mark.parametrize("form", [NameForm.OTHER_NAME, NameForm.REGISTERED_ID])
    def test_forms_that_are_not_processed(self, form):
        name, subtree = ConstrainedName(form, "1.2.3"), NameSubtree(form, "1.2.3")
        assert not passes(NameConstraints(excluded=(subtree,)), name)
        assert not passes(NameConstraints(permitted=(subtree,)), name)
        assert passes(NameConstraints(excluded=(subtree,)), ConstrainedName(DNS, "a.example"))


class TestRFC9525_6_3:
    @given(host_names, mixed_case)
    def test_a_name_is_its_host_s_in_any_case(self, host, case):
        assert host_matches(case(host), host)

    @given(host_names, labels, labels)
    def test_a_wildcard_is_one_label(self, parent, first, second):
        assume(len(labels_of(parent)) > 1 and len(parent) < 120)
        assert host_matches(f"*.{parent}", f"{first}.{parent}")
        assert not host_matches(f"*.{parent}", parent)
        assert not host_matches(f"*.{parent}", f"{second}.{first}.{parent}")

    @given(host_names, host_names)
    def test_another_host_is_another(self, presented, host):
        assert host_matches(presented, host) == (presented.lower() == host.lower())

    @pytest.mark.parametrize("pattern", ["*", "*.com", "w*.example.com", "a.*.com", "*.*.com", ""])
    def test_no_other_wildcards(self, pattern):
        assert not host_matches(pattern, "www.example.com")
        assert not host_matches(pattern, "example.com")

    @given(hostile_text, host_names)
    def test_what_is_malformed_matches_nothing(self, text, host):
        assert not host_matches(text, host) or text.lower() == host.lower()


class TestRequests:
    @pytest.mark.parametrize(
        "changes",
        [
            {"at": NOW.replace(tzinfo=None)},
            {"purpose": "serverAuth"},
            {"purpose": "1.02.3"},
            {"max_intermediates": -1},
            {"max_intermediates": 256},
            {"names": (GeneralName.dns("*.example.com"),)},
        ],
    )
    def test_that_make_no_sense(self, changes):
        PathRequest(NOW, names=(GeneralName.email("*.a@example.com"),))
        with pytest.raises(InvalidRequest):
            PathRequest(**{"at": NOW, **changes})
