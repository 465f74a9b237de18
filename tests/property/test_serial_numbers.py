"""Serial numbers."""
# ruff: noqa: N801  (classes are named after the clause that they prove)

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.property import der
from tests.property.strategies import NOW, any_text, cert_types, printable_ascii, random_bits
from tiny_ca.adapters.outbound.crypto.backend import CryptographyBackend
from tiny_ca.adapters.outbound.system import SerialWithEncoding
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.planning import plan_root
from tiny_ca.domain.requests import RootRequest
from tiny_ca.domain.serial import (
    CertSerialParser,
    CertType,
    SerialGenerator,
    encode_serial_number,
    parse_serial_number,
)

LETTERS = {
    CertType.USER: b"US",
    CertType.SERVICE: b"SV",
    CertType.DEVICE: b"DE",
    CertType.INTERNAL: b"IN",
    CertType.CA: b"CA",
}
MANY = 200_000


def octets(number: int) -> bytes:
    """The contents of a DER INTEGER: two's complement, shortest (X.690 §8.3)."""
    return number.to_bytes(number.bit_length() // 8 + 1, signed=True)


class TestRFC5280_4_1_2_2_SerialNumber:
    @given(name=any_text, cert_type=cert_types, bits=random_bits)
    @example(name="", cert_type=CertType.USER, bits=0)
    @example(name="\0\x7f\n", cert_type=CertType.SERVICE, bits=2**64 - 1)
    @example(name="~" * 10, cert_type=CertType.USER, bits=2**64 - 1)
    @example(name="Київ", cert_type=CertType.CA, bits=1)
    def test_is_positive_and_at_most_20_octets_for_any_name(self, name, cert_type, bits):
        serial = encode_serial_number(name, cert_type, bits)
        assert 0 < serial < 2**159
        assert len(octets(serial)) <= 20

    @given(name=any_text, cert_type=cert_types)
    def test_is_so_with_bits_of_the_system_too(self, name, cert_type):
        serial = SerialWithEncoding.generate(name, cert_type)
        assert 0 < serial < 2**159
        assert SerialWithEncoding.parse(serial)[0] is cert_type

    def test_is_so_in_the_certificate_itself(self):
        backend = CryptographyBackend()
        spec = KeySpec(KeyAlgorithm.P256)
        key = backend.generate_private_key(spec)
        plan = plan_root(RootRequest(SubjectName("~" * 10), spec), NOW, 2**64 - 1)
        serial = encode_serial_number("~" * 10, CertType.USER, 2**64 - 1)
        written = der.serial_number(backend.self_sign(replace(plan, serial_number=serial), key))
        assert (written.tag, written.content) == (der.INTEGER, octets(serial))
        assert len(written.content) == 20
        assert not written.content[0] & 0x80

    @given(bits=st.integers(max_value=-1) | st.integers(min_value=2**64), cert_type=cert_types)
    def test_bits_that_would_spill_into_the_name_are_refused(self, bits, cert_type):
        with pytest.raises(InvalidRequest):
            encode_serial_number("nginx", cert_type, bits)


class TestSerialNumberLayout:
    """16 bits of the type, 80 of the name with its first character lowest, 64 random."""

    @given(name=printable_ascii, cert_type=cert_types, bits=random_bits)
    def test_bit_by_bit(self, name, cert_type, bits):
        serial = encode_serial_number(name, cert_type, bits)
        assert serial >> 144 == int.from_bytes(LETTERS[cert_type])
        assert serial & (2**64 - 1) == bits
        for position in range(10):
            character = ord(name[position]) if position < len(name) else 0
            assert serial >> 64 + 8 * position & 0xFF == character

    @given(name=printable_ascii, cert_type=cert_types, bits=random_bits)
    def test_round_trip_of_ten_characters(self, name, cert_type, bits):
        serial = encode_serial_number(name, cert_type, bits)
        assert parse_serial_number(serial) == (cert_type, name[:10])
        assert SerialWithEncoding.parse(serial) == (cert_type, name[:10])

    @given(name=any_text, cert_type=cert_types, bits=random_bits)
    def test_only_printable_ascii_reaches_the_integer(self, name, cert_type, bits):
        kept = "".join(c for c in name if 0x20 <= ord(c) <= 0x7E)
        serial = encode_serial_number(name, cert_type, bits)
        assert serial == encode_serial_number(kept, cert_type, bits)
        assert parse_serial_number(serial) == (cert_type, kept[:10])


class TestForeignSerialNumbers:
    @given(st.integers() | st.integers(-(2**200), 2**200) | st.integers(2**158, 2**160))
    @example(-1)
    @example(0)
    @example(1 << 100_000)
    @example(-(1 << 100_000))
    def test_any_integer_is_read_without_an_error(self, number):
        cert_type, name = parse_serial_number(number)
        assert (cert_type is None) == (number >> 144 not in map(int.from_bytes, LETTERS.values()))
        assert len(name) <= 10
        assert all(" " <= character <= "~" for character in name)
        if cert_type is None:
            assert name == ""

    @given(cert_type=cert_types, field=st.integers(0, 2**144 - 1))
    def test_a_name_field_that_we_did_not_write_gives_printable_text(self, cert_type, field):
        read, name = parse_serial_number(int.from_bytes(LETTERS[cert_type]) << 144 | field)
        assert read is cert_type
        assert all(" " <= character <= "~" for character in name)

    @given(st.integers())
    def test_the_parser_of_certificates_says_the_same(self, number):
        @dataclass
        class Certificate:
            serial_number: int

        certificate = Certificate(number)
        assert CertSerialParser.raw(certificate) == number
        assert CertSerialParser.typed(certificate) == parse_serial_number(number)


class TestCABForumBR_7_1_SixtyFourRandomBits:
    def test_all_are_distinct_and_each_bit_is_fair(self):
        serials = [SerialWithEncoding.generate("nginx", CertType.SERVICE) for _ in range(MANY)]
        assert {serial >> 64 for serial in serials} == {0x5356_0000000000786E69676E}
        low_halves = [serial & (2**64 - 1) for serial in serials]
        assert len(set(low_halves)) == MANY
        # A fair bit is set half the time, with a standard deviation of 224: six of them are
        # passed by one honest run in ten million, and by each fixed bit of a UUID in every run.
        written = b"".join(half.to_bytes(8, "little") for half in low_halves)
        for place in range(8):
            counts = Counter(written[place::8])
            for bit in range(8):
                ones = sum(n for octet, n in counts.items() if octet >> bit & 1)
                assert abs(ones - MANY // 2) < 6 * 224, f"bit {8 * place + bit}"

    def test_neighbours_do_not_predict_each_other(self):
        draws = 20_000
        halves = [
            SerialWithEncoding.generate("", CertType.DEVICE) & (2**64 - 1) for _ in range(draws)
        ]
        flipped = sum((a ^ b).bit_count() for a, b in pairwise(halves))
        bits = 64 * (draws - 1)
        assert abs(flipped - bits / 2) < 6 * (bits / 4) ** 0.5


class TestSerialGenerator:
    @given(number=st.integers(0, 2**48 - 1), cert_type=cert_types)
    def test_an_integer_is_kept_in_its_serial_number(self, number, cert_type):
        generator = SerialGenerator()
        serial = generator.generate(number, cert_type)
        assert serial == int.from_bytes(LETTERS[cert_type]) << 48 | number
        assert 0 < serial < 2**63
        assert generator.generate(number, cert_type) == serial
        assert generator.parse(serial) == (cert_type, number)

    @given(number=st.integers(max_value=-1) | st.integers(min_value=2**48), cert_type=cert_types)
    def test_an_integer_out_of_range_is_refused_and_not_remembered(self, number, cert_type):
        generator = SerialGenerator()
        with pytest.raises(InvalidRequest):
            generator.generate(number, cert_type)
        assert generator.generate("first", cert_type) & 0xFFFF_FFFF_FFFF == 1

    @given(
        st.lists(
            st.tuples(
                # Few enough to meet: names count up from one, over integers that are taken.
                st.integers(0, 5) | st.sampled_from("abc"),
                st.sampled_from([CertType.USER, CertType.SERVICE]),
            ),
            max_size=40,
        )
    )
    def test_no_serial_number_ever_has_two_owners(self, requests):
        generator = SerialGenerator()
        owners: dict[int, int | str] = {}
        latest: dict[tuple[str, CertType], int] = {}
        for identifier, cert_type in requests:
            try:
                serial = generator.generate(identifier, cert_type)
            except InvalidRequest:
                # Only an integer can ask for what is taken, and only a name can hold it.
                assert isinstance(identifier, int)
                taken = int.from_bytes(LETTERS[cert_type]) << 48 | identifier
                assert isinstance(owners[taken], str)
                continue
            if isinstance(identifier, str):
                assert serial not in owners
                latest[identifier, cert_type] = serial
            assert owners.setdefault(serial, identifier) == identifier
        for serial, identifier in owners.items():
            assert generator.parse(serial)[1] == identifier
        for name in "abc":
            for cert_type in CertType:
                found = generator.get_serial_by_name(name, cert_type)
                assert found == latest.get((name, cert_type))

    @given(number=st.integers())
    def test_what_it_did_not_make_is_read_without_an_error(self, number):
        cert_type, identifier = SerialGenerator().parse(number)
        if cert_type is CertType.USER:
            assert identifier == number & (2**48 - 1)
        else:
            assert identifier is None

    @given(name=any_text, first=cert_types, second=cert_types)
    def test_a_name_is_found_under_its_own_type_alone(self, name, first, second):
        assume(first is not second)
        generator = SerialGenerator()
        serial = generator.generate(name, first)
        assert generator.get_serial_by_name(name, first) == serial
        assert generator.get_serial_by_name(name, second) is None


class TestPlanSerialNumber:
    @given(bits=random_bits, again=random_bits)
    def test_a_collision_changes_the_random_bits_alone(self, bits, again):
        plan = plan_root(RootRequest(SubjectName("Test Root")), NOW, bits)
        other = plan.with_random_bits(again)
        assert other.serial_number ^ plan.serial_number == bits ^ again
        assert replace(other, serial_number=plan.serial_number) == plan
        assert plan.validity.not_after - plan.validity.not_before == timedelta(days=3650)
