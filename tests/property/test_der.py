"""DER, against pyasn1's view of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der import encoder
from pyasn1.type import tag, univ, useful

from tests.property.strategies import time_zones, utc_moments
from tiny_ca.domain import der
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.errors import InvalidRequest, MalformedDER, TinyCAError

integers = st.integers(-(2**600), 2**600) | st.integers(-70000, 70000)
arcs = st.integers(0, 2**40)
identifiers = (
    st.tuples(st.integers(0, 1), st.integers(0, 39), st.lists(arcs, max_size=6))
    | st.tuples(st.just(2), arcs, st.lists(arcs, max_size=6))
).map(lambda parts: ".".join(map(str, (parts[0], parts[1], *parts[2]))))


class TestEncoding:
    """X.690 §8 and §10: what we write is what pyasn1 writes, and we read it back."""

    @given(integers)
    def test_integer(self, value: int) -> None:
        encoded = der.integer(value)
        assert encoded == encoder.encode(univ.Integer(value))
        assert Reader(encoded).integer() == value
        assert der.enumerated(value) == encoder.encode(univ.Enumerated(value))
        assert Reader(der.enumerated(value)).enumerated() == value

    @given(identifiers)
    def test_object_identifier(self, dotted: str) -> None:
        encoded = der.object_identifier(dotted)
        assert encoded == encoder.encode(univ.ObjectIdentifier(dotted))
        assert Reader(encoded).object_identifier() == dotted

    @given(st.booleans())
    def test_boolean(self, value: bool) -> None:
        assert der.boolean(value) == encoder.encode(univ.Boolean(value))
        assert Reader(der.boolean(value)).boolean() is value

    @given(st.binary(max_size=70_000))
    def test_octet_string(self, value: bytes) -> None:
        assert der.octet_string(value) == encoder.encode(univ.OctetString(value))
        assert Reader(der.octet_string(value)).octet_string() == value

    @given(st.text("01", max_size=40))
    def test_bit_string(self, bits: str) -> None:
        unused = -len(bits) % 8
        octets = int(bits + "0" * unused or "0", 2).to_bytes((len(bits) + 7) // 8, "big")
        encoded = der.bit_string(octets, unused)
        assert encoded == encoder.encode(univ.BitString(tuple(map(int, bits))))
        assert Reader(encoded).bit_string() == (octets, unused)

    @given(utc_moments, time_zones)
    def test_time(self, moment: datetime, zone: object) -> None:
        if moment.year < 9999:
            moment = moment.astimezone(zone)  # type: ignore[arg-type]
        utc = moment.astimezone(UTC)
        general = der.generalized_time(moment)
        assert general == encoder.encode(useful.GeneralizedTime(f"{utc:%Y%m%d%H%M%S}Z"))
        assert Reader(general).generalized_time() == moment
        # RFC 5280 §4.1.2.5: UTCTime through 2049.
        expected = (
            encoder.encode(useful.UTCTime(f"{utc:%y%m%d%H%M%S}Z")) if utc.year < 2050 else general
        )
        assert der.time(moment) == expected
        assert Reader(expected).time() == moment

    @given(st.integers(0, 30), st.binary(max_size=300))
    def test_context_tags(self, number: int, value: bytes) -> None:
        simple = univ.OctetString(value)
        tagged = tag.Tag(tag.tagClassContext, tag.tagFormatSimple, number)
        outer = tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, number)
        explicit = der.explicit(number, der.octet_string(value))
        assert explicit == encoder.encode(simple.subtype(explicitTag=outer))
        inside = Reader(explicit).explicit(number)
        assert inside is not None
        assert inside.octet_string() == value
        assert der.implicit(number, der.octet_string(value)) == encoder.encode(
            simple.subtype(implicitTag=tagged)
        )
        assert der.implicit(number, der.sequence())[0] == 0xA0 | number

    @given(st.lists(integers, max_size=50))
    def test_sequence(self, values: list[int]) -> None:
        encoded = der.sequence(*map(der.integer, values))
        theirs = univ.SequenceOf(componentType=univ.Integer())
        theirs.extend(values)
        assert encoded == encoder.encode(theirs)
        reader = Reader(b"x" + encoded + b"y", 1, 1 + len(encoded))
        inside = reader.sequence()
        assert [inside.integer() for _ in values] == values
        inside.finish()
        reader.finish()

    def test_null(self) -> None:
        assert der.null() == encoder.encode(univ.Null(""))
        Reader(der.null()).null()


class TestStrictness:
    """X.690 §10.1 and §11: one encoding each, all others are refused, and nothing else raises."""

    READERS = (
        lambda reader: reader.integer(),
        lambda reader: reader.boolean(),
        lambda reader: reader.bit_string(),
        lambda reader: reader.octet_string(),
        lambda reader: reader.object_identifier(),
        lambda reader: reader.time(),
        lambda reader: reader.null(),
        lambda reader: [inner.integer() for inner in reader.each(der.SEQUENCE)],
    )
    # Biased to what looks like DER.
    octets = st.lists(
        st.sampled_from([1, 2, 3, 4, 6, 0x17, 0x18, 0x30, 0x80, 0x81, 0x82, 0, 5, 13, 15, 0xFF])
        | st.integers(0, 255),
        max_size=30,
    ).map(bytes)

    @given(octets)
    def test_any_octets(self, data: bytes) -> None:
        for read in self.READERS:
            reader = Reader(data)
            try:
                read(reader)
            except MalformedDER:
                continue
            assert reader.position <= len(data)

    @given(octets)
    def test_what_is_read_is_what_would_be_written(self, data: bytes) -> None:
        reader = Reader(b"\x02" + data)
        try:
            value = reader.integer()
        except MalformedDER:
            return
        assert der.integer(value) == (b"\x02" + data)[: reader.position]

    @given(octets)
    def test_identifiers_are_canonical(self, data: bytes) -> None:
        reader = Reader(b"\x06" + data)
        try:
            dotted = reader.object_identifier()
        except MalformedDER:
            return
        assert der.object_identifier(dotted) == (b"\x06" + data)[: reader.position]

    @pytest.mark.parametrize(
        "data",
        [
            "",  # nothing
            "02",  # no length
            "0200",  # no content
            "0280 01 0000",  # indefinite
            "028101 01",  # not minimal
            "02820001 01",
            "0202 0001",  # one octet would do
            "0202 ffff",
            "0202 01",  # cut off
            "0284ffffffff 01",
            "02ff",
            "1f0201 01",  # a tag of two octets
            "0401 01",  # another type
        ],
    )
    def test_integers_that_are_none(self, data: str) -> None:
        with pytest.raises(MalformedDER):
            Reader(bytes.fromhex(data)).integer()

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "500229000000Z",
            "5002280000Z",
            "500228000000+0000",
            "500228000060Z",
            "\u066500228000000Z",
        ],
    )
    def test_times_that_are_none(self, content: str) -> None:
        with pytest.raises(MalformedDER):
            Reader(der.tlv(der.UTC_TIME, content.encode())).time()

    def test_a_time_before_2050_in_the_long_form(self) -> None:
        with pytest.raises(MalformedDER):
            Reader(der.generalized_time(datetime(2049, 1, 1, tzinfo=UTC))).time()

    @pytest.mark.parametrize("data", ["0300", "030101", "030208ff", "03020101"])
    def test_bit_strings_that_are_none(self, data: str) -> None:
        with pytest.raises(MalformedDER):
            Reader(bytes.fromhex(data)).bit_string()

    def test_an_element_does_not_reach_past_what_holds_it(self) -> None:
        inner = Reader(bytes.fromhex("3003 0402aa bbcc")).sequence()
        with pytest.raises(MalformedDER):
            inner.octet_string()
        with pytest.raises(MalformedDER):
            Reader(b"abc", 2, 4)

    def test_trailing_data(self) -> None:
        reader = Reader(b"\x05\x00\x05\x00")
        reader.null()
        with pytest.raises(MalformedDER):
            reader.finish()

    @pytest.mark.parametrize(
        "write",
        [
            lambda: der.context(31),
            lambda: der.bit_string(b"\x01", 1),
            lambda: der.bit_string(b"", 1),
            lambda: der.bit_string(b"\x00", 8),
            lambda: der.object_identifier("1"),
            lambda: der.object_identifier("1.40"),
            lambda: der.object_identifier("3.1"),
            lambda: der.object_identifier("1.2.-3"),
            lambda: der.object_identifier("1.2.x"),
            lambda: der.time(datetime(2030, 1, 1)),
            lambda: der.generalized_time(datetime(2030, 1, 1)),
        ],
    )
    def test_what_has_no_encoding(self, write: object) -> None:
        with pytest.raises(InvalidRequest):
            write()  # type: ignore[operator]
        assert issubclass(MalformedDER, TinyCAError)
