"""Names of subjects and hosts."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

import ipaddress
import string

import pytest
from cryptography import x509
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.property.strategies import (
    any_text,
    control_characters,
    dns_names,
    email_addresses,
    general_names,
    host_names,
    hostile_text,
    ip_addresses,
    labels,
)
from tiny_ca.adapters.outbound.crypto.extensions import x509_name
from tiny_ca.domain.errors import InvalidName
from tiny_ca.domain.names import (
    GeneralName,
    GeneralNameKind,
    SubjectName,
    dns_name,
    email_address,
    general_name_of_host,
    ip_address,
    unique,
)

LDH = set(string.ascii_letters + string.digits + "-")


def is_dns_name(text: str) -> bool:
    """The rules, one by one and without a regular expression."""
    above = text.split(".")
    if above[0] == "*" and len(above) >= 3:
        above = above[1:]
    return (
        len(text) <= 253
        and all(1 <= len(label) <= 63 and set(label) <= LDH for label in above)
        and not any(label[0] == "-" or label[-1] == "-" for label in above)
        and not set(above[-1]) <= set(string.digits)
    )


def accepts(check, text: str) -> bool:
    try:
        check(text)
    except InvalidName:
        return False
    return True


dns_like_text = st.one_of(
    hostile_text,
    st.text("aZ9-.*_ \n", max_size=12),
    st.lists(labels | st.sampled_from(["", "*", "-", "a-", "1", "*a"]), max_size=5).map(".".join),
)


class TestRFC1034_3_5_PreferredNameSyntax:
    @given(dns_names)
    def test_ldh_names_are_accepted_in_lower_case(self, name):
        assert dns_name(name) == name.lower()
        assert dns_name(dns_name(name)) == dns_name(name)
        assert GeneralName.dns(name) == GeneralName.dns(name.swapcase())

    @given(dns_like_text)
    @example("")
    @example(".")
    @example("*")
    @example("a..b")
    @example("a.b.")
    @example("a.b\n")
    @example("127.1")
    def test_any_text_is_accepted_exactly_when_the_rules_say_so(self, text):
        assert accepts(dns_name, text) == is_dns_name(text)

    @given(host_names, st.characters(), st.data())
    def test_one_other_character_anywhere_spoils_a_name(self, name, character, data):
        assume(character not in LDH | {"."})
        place = data.draw(st.integers(0, len(name)))
        with pytest.raises(InvalidName):
            dns_name(name[:place] + character + name[place:])

    @given(host_names, st.data())
    def test_an_empty_label_anywhere_spoils_a_name(self, name, data):
        parts = name.split(".")
        parts.insert(data.draw(st.integers(0, len(parts))), "")
        with pytest.raises(InvalidName):
            dns_name(".".join(parts))

    @given(st.sampled_from("aZ9"), st.integers(1, 130))
    def test_a_label_has_63_characters_at_most(self, letter, length):
        assert accepts(dns_name, f"{letter * length}.example") == (length <= 63)

    @given(st.integers(240, 260))
    def test_a_name_has_253_characters_at_most(self, length):
        name = ("a" * 49 + ".") * 5
        name += "b" * (length - len(name))
        # All labels are fine as they are: only the sum is put to the test.
        assume(len(name) == length and name[-1] == "b")
        assert accepts(dns_name, name) == (length <= 253)


class TestRFC9525_6_3_Wildcards:
    @given(host_names)
    def test_stands_alone_and_above_two_labels(self, name):
        assume(len(name) <= 251)
        assert accepts(dns_name, f"*.{name}") == ("." in name)

    @given(st.lists(labels | st.just("*"), min_size=1, max_size=4), labels)
    def test_is_nowhere_but_in_the_leftmost_label(self, above, top):
        assume("*" in above and not top.isdigit())
        with pytest.raises(InvalidName):
            dns_name(".".join(["www", *above, top]))

    @given(host_names, labels, st.booleans())
    def test_is_the_whole_label(self, name, label, is_first):
        part = f"*{label}" if is_first else f"{label}*"
        with pytest.raises(InvalidName):
            dns_name(f"{part}.{name}")


class TestRFC5280_4_2_1_6_IPAddress:
    @given(ip_addresses)
    def test_every_address_is_made_canonical(self, address):
        for written in (str(address), address.exploded, str(address).upper()):
            assert ip_address(written) == str(address)
        assert ipaddress.ip_address(ip_address(str(address))) == address

    @given(ip_addresses)
    def test_an_address_is_no_dns_name(self, address):
        with pytest.raises(InvalidName):
            dns_name(str(address))
        assert general_name_of_host(str(address)) == GeneralName.ip(str(address))

    @given(hostile_text | st.text("0123456789abcdef:.%/ \n", max_size=20))
    @example("fe80::1%eth0")
    @example("10.0.0.0/8")
    @example("010.0.0.1")
    @example("１.2.3.4")  # noqa: RUF001
    def test_any_text_is_an_address_that_stays_itself_or_refused(self, text):
        try:
            address = ip_address(text)
        except InvalidName:
            return
        assert ip_address(address) == address
        assert "%" not in address
        assert address.isascii()


class TestRFC5280_4_2_1_6_RFC822Name:
    @given(email_addresses)
    def test_mailboxes_keep_their_local_part_and_lower_their_host(self, text):
        local_part, _, host = text.rpartition("@")
        assert email_address(text) == f"{local_part}@{host.lower()}"
        x509.RFC822Name(email_address(text))

    @given(hostile_text | email_addresses | st.text("a@.*- \n\0<>", max_size=12))
    @example("a@b@example.com")
    @example("a@*.example.com")
    @example("a@127.0.0.1")
    @example("Name <a@example.com>")
    def test_any_other_text_is_refused(self, text):
        if not accepts(email_address, text):
            return
        assert text.count("@") == 1
        local_part, _, host = text.partition("@")
        assert is_dns_name(host)
        assert "*" not in host
        assert 1 <= len(local_part) <= 64
        assert "" not in local_part.split(".")
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set(' "<>(),:;\\[]')

    @given(st.integers(1, 130))
    def test_a_local_part_has_64_characters_at_most(self, length):
        assert accepts(email_address, f"{'a' * length}@example.com") == (length <= 64)


class TestHosts:
    @given(dns_like_text | ip_addresses.map(str))
    def test_text_is_an_address_or_a_dns_name_or_no_host(self, text):
        found = general_name_of_host(text)
        if accepts(ip_address, text):
            assert found == GeneralName.ip(text)
        elif is_dns_name(text):
            assert found == GeneralName.dns(text)
        else:
            assert found is None

    @given(st.lists(general_names, max_size=8), st.data())
    def test_unique_keeps_the_first_of_each_in_order(self, names, data):
        repeated = names + data.draw(st.permutations(names))
        kept = unique(repeated)
        assert len(set(kept)) == len(kept)
        assert set(kept) == set(names)
        assert list(kept) == sorted(kept, key=names.index)

    @given(dns_names)
    def test_case_makes_no_second_name(self, name):
        assert unique([GeneralName.dns(name.upper()), GeneralName.dns(name.lower())]) == (
            GeneralName(GeneralNameKind.DNS, name.lower()),
        )


BOUNDS = {
    "common_name": 64,
    "organization": 64,
    "organizational_unit": 64,
    "locality": 128,
    "state": 128,
}


def subject(attribute: str, value: str) -> SubjectName:
    return SubjectName(**{"common_name": "a", attribute: value})


attributes = st.sampled_from([*BOUNDS, "country", "email"])


class TestRFC5280_4_1_2_4_SubjectName:
    @given(st.sampled_from(sorted(BOUNDS)), st.integers(0, 140), st.sampled_from("aZ9'é"))
    def test_upper_bounds_of_appendix_a(self, attribute, length, character):
        # A letter that takes two octets must not make a name that can't be encoded.
        assume(character.isascii() or attribute != "common_name")
        made = accepts(lambda value: subject(attribute, value), character * length)
        assert made == (1 <= length <= BOUNDS[attribute])

    @given(st.integers(1, 64), st.sampled_from("éї例😀"))
    def test_a_common_name_is_64_octets_at_most(self, length, character):
        octets = len(character.encode()) * length
        made = accepts(SubjectName, character * length)
        assert made == (octets <= 64)

    @given(attributes, st.text(max_size=20), control_characters, st.text(max_size=20))
    def test_no_attribute_holds_a_control_character(self, attribute, before, control, after):
        with pytest.raises(InvalidName):
            subject(attribute, before + control + after)

    @given(attributes, st.text(" \u3000", max_size=5))
    def test_no_attribute_is_blank(self, attribute, blank):
        with pytest.raises(InvalidName):
            subject(attribute, blank)

    @given(any_text | st.text(string.ascii_letters, min_size=1, max_size=3))
    def test_a_country_is_two_capital_letters(self, text):
        is_code = len(text) == 2 and set(text) <= set(string.ascii_uppercase)
        assert accepts(lambda value: subject("country", value), text) == is_code

    @given(attributes, hostile_text | email_addresses | st.text(max_size=130))
    @example("common_name", "é" * 64)
    @example("email", "ü@example.com")
    def test_every_subject_can_be_encoded(self, attribute, value):
        try:
            made = subject(attribute, value)
        except InvalidName:
            return
        encoded = x509_name(made).public_bytes()
        # RFC 5280 §4.1.2.6: emailAddress is an IA5String.
        assert attribute != "email" or encoded.endswith(value.encode("ascii"))
