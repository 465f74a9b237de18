"""Serial numbers, by example."""

import pytest

from tiny_ca.adapters.outbound.system import SerialWithEncoding
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.serial import (
    CertType,
    SerialGenerator,
    encode_serial_number,
    parse_serial_number,
)

RANDOM = 0x0123456789ABCDEF


def test_the_example_of_the_specification():
    serial = encode_serial_number("nginx", CertType.SERVICE, RANDOM)
    assert serial >> 144 == 0x5356
    assert serial >> 64 & (1 << 80) - 1 == 0x0000000000786E69676E
    assert serial & (1 << 64) - 1 == RANDOM
    assert f"{serial:x}" == "53560000000000786e69676e0123456789abcdef"


def test_a_serial_number_that_0_1_1_wrote_is_read():
    serial = 0x5356_0000000000786E69676E_9F3C2B1A0D4E4F5A
    assert SerialWithEncoding.parse(serial) == (CertType.SERVICE, "nginx")


def test_the_fields_are_published():
    assert SerialWithEncoding.RANDOM_BITS == 64
    assert SerialWithEncoding.NAME_BITS == 80
    assert SerialWithEncoding.MAX_NAME_LENGTH == 10


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("", ""),
        ("a", "a"),
        ("exactly-10", "exactly-10"),
        ("more-than-ten", "more-than-"),
        (" spaces  ", " spaces  "),
        ("Київ", ""),
        ("café-service", "caf-servic"),
        ("a\0b", "ab"),
        ("tab\tline\n\x7f", "tabline"),
    ],
)
def test_names(name, read):
    assert parse_serial_number(encode_serial_number(name, CertType.CA, 1)) == (CertType.CA, read)


def test_a_name_stops_at_its_padding():
    field = int.from_bytes(b"ab\0cd", "little")
    assert parse_serial_number(int.from_bytes(b"US") << 144 | field << 64) == (CertType.USER, "ab")


@pytest.mark.parametrize("serial", [-1, 0, 1, 2**64, 2**159 - 1, 2**160, 0x5357 << 144])
def test_foreign_serial_numbers(serial):
    assert parse_serial_number(serial) == (None, "")


def test_types_keep_the_values_of_0_1():
    assert {kind.name: kind.value for kind in CertType} == {
        "USER": "USR",
        "SERVICE": "SVC",
        "DEVICE": "DEV",
        "INTERNAL": "INT",
        "CA": "CA",
    }


class TestSerialGenerator:
    def test_names_count_up_from_one_for_each_type(self):
        generator = SerialGenerator()
        assert generator.generate("a", CertType.SERVICE) == 0x5356_0000_0000_0001
        assert generator.generate("b", CertType.SERVICE) == 0x5356_0000_0000_0002
        assert generator.generate("a", CertType.CA) == 0x4341_0000_0000_0001

    def test_names_step_over_integers(self):
        generator = SerialGenerator()
        generator.generate(1, CertType.SERVICE)
        generator.generate(2, CertType.SERVICE)
        assert generator.generate("a", CertType.SERVICE) & 0xFF == 3

    def test_an_integer_can_not_take_a_names_serial_number(self):
        generator = SerialGenerator()
        serial = generator.generate("a", CertType.SERVICE)
        with pytest.raises(InvalidRequest, match="'a'"):
            generator.generate(1, CertType.SERVICE)
        assert generator.parse(serial) == (CertType.SERVICE, "a")

    def test_the_last_serial_number_of_a_name_is_found(self):
        generator = SerialGenerator()
        first = generator.generate("a", CertType.SERVICE)
        second = generator.generate("a", CertType.SERVICE)
        assert first != second
        assert generator.get_serial_by_name("a", CertType.SERVICE) == second
        assert generator.get_serial_by_name("b", CertType.SERVICE) is None

    def test_a_users_number_is_read_without_having_been_made(self):
        assert SerialGenerator().parse(0x5553_0000_0000_002A) == (CertType.USER, 42)
        assert SerialGenerator().parse(0x5356_0000_0000_002A) == (CertType.SERVICE, None)
        assert SerialGenerator().parse(42) == (None, None)

    def test_the_last_identifier_is_followed_by_an_error_and_not_by_another_type(self):
        generator = SerialGenerator()
        generator._counters[CertType.SERVICE] = 2**48 - 1
        assert generator.generate("last", CertType.SERVICE) == 0x5356_FFFF_FFFF_FFFF
        with pytest.raises(InvalidRequest):
            generator.generate("one more", CertType.SERVICE)
