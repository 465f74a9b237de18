"""CRLs as we write and read them, with cryptography as the other eye."""

import tracemalloc
from datetime import timedelta
from functools import cache
from io import SEEK_END, BytesIO
from itertools import pairwise, repeat
from tempfile import TemporaryFile

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.property.strategies import NOW, utc_moments
from tiny_ca.domain.crl import (
    REASON_CODE,
    SHARD_KEYS,
    CRLPlan,
    CRLScope,
    Shard,
    encode_crl_entry,
    shard_key_of,
)
from tiny_ca.domain.crl_index import EntryIndex
from tiny_ca.domain.crl_reader import parse_crl, parse_entry, vanished
from tiny_ca.domain.der import (
    OID,
    enumerated,
    integer,
    object_identifier,
    octet_string,
    sequence,
    time,
    tlv,
)
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.errors import InvalidRequest, MalformedDER, ValidationCertError
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.testing.samples import SampleCA

serial_numbers = st.integers(1, 2**159 - 1)
entries = st.builds(
    CRLEntry,
    serial_numbers,
    utc_moments,
    st.sampled_from(CRLReason),
    st.none() | utc_moments,
)


@cache
def ca() -> SampleCA:
    return SampleCA()


def signed(plan: CRLPlan, parts: list[bytes]) -> bytes:
    file = BytesIO()
    ca().issuer.sign_crl(plan, parts, file)
    return file.getvalue()


def crl_of(numbers: list[int], reason: CRLReason = CRLReason.UNSPECIFIED) -> bytes:
    parts = [encode_crl_entry(CRLEntry(number, NOW, reason)) for number in numbers]
    return signed(CRLPlan(CRLStamp(1, NOW, NOW)), parts)


class TestEntries:
    """RFC 5280 §5.1.2.6 and §5.3."""

    @given(entries)
    def test_are_read_as_they_were_written(self, entry: CRLEntry) -> None:
        encoded = encode_crl_entry(entry)
        reader = Reader(encoded)
        assert parse_entry(reader) == entry
        reader.finish()

    @given(st.lists(entries, max_size=20, unique_by=lambda entry: entry.serial_number))
    def test_cryptography_reads_them_alike(self, wanted: list[CRLEntry]) -> None:
        plan = CRLPlan(CRLStamp(7, NOW, NOW + timedelta(days=1)))
        crl = x509.load_der_x509_crl(signed(plan, [encode_crl_entry(entry) for entry in wanted]))
        assert crl.is_signature_valid(ca().issuer.certificate.public_key())  # type: ignore[arg-type]
        found = []
        for entry in crl:
            kinds = {type(each.value): each.value for each in entry.extensions}
            reason = kinds.get(x509.CRLReason)
            date = kinds.get(x509.InvalidityDate)
            assert not any(each.critical for each in entry.extensions)
            found.append(
                CRLEntry(
                    entry.serial_number,
                    entry.revocation_date_utc,
                    CRLReason(reason.reason.value) if reason else CRLReason.UNSPECIFIED,
                    date.invalidity_date_utc if date else None,
                )
            )
        assert found == wanted

    def test_numbers_that_python_does_not_write_in_decimal(self) -> None:
        date = time(NOW)
        reason = octet_string(enumerated(1 << 100_000))
        for extension in (
            sequence(object_identifier(REASON_CODE), reason),
            sequence(tlv(OID, b"\x2a" + b"\xff" * 3000 + b"\x7f"), octet_string(b"")),
        ):
            with pytest.raises(MalformedDER):
                parse_entry(Reader(sequence(integer(5), date, sequence(extension))))

    @given(st.binary(max_size=60))
    def test_any_octets(self, data: bytes) -> None:
        for read in (parse_crl, lambda octets: parse_entry(Reader(octets))):
            with pytest.raises(MalformedDER):
                read(data)


class TestACRL:
    """RFC 5280 §5.1 and §5.2."""

    @given(
        st.integers(1, 2**159 - 1),
        utc_moments,
        utc_moments,
        st.none() | st.integers(1, 2**100),
        st.lists(st.just("http://a.example/x.crl"), max_size=2),
        st.lists(entries, max_size=5),
    )
    def test_says_what_was_planned(self, number, this_update, next_update, base, urls, wanted):
        plan = CRLPlan(CRLStamp(number, this_update, next_update), base, tuple(urls))
        data = signed(plan, [b"".join(encode_crl_entry(entry) for entry in wanted)])
        read = ca().issuer.verify_crl(data)
        assert (read.stamp, read.base_number) == (plan.stamp, plan.base_number)
        assert list(read) == wanted
        assert read.count() == sum(1 for _ in read.offsets()) == len(wanted)
        theirs = x509.load_der_x509_crl(data)
        assert (theirs.last_update_utc, theirs.next_update_utc) == (this_update, next_update)
        critical = {each.oid.dotted_string for each in theirs.extensions if each.critical}
        assert critical == ({"2.5.29.27"} if base else set()) | ({"2.5.29.28"} if urls else set())

    # Around the sizes at which a length takes one more octet.
    @pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7, 1690, 1691, 1692, 1700, 7000])
    def test_of_every_size(self, count: int) -> None:
        data = crl_of(list(range(2**120, 2**120 + count)))
        assert sum(1 for _ in ca().issuer.verify_crl(data)) == count
        assert len(x509.load_der_x509_crl(data)) == count

    def test_with_entries_that_are_long(self) -> None:
        """As an indirect CRL's are, among others, at the ends of what is read at once too."""
        long = Reader(encode_crl_entry(CRLEntry(5, NOW, CRLReason.SUPERSEDED)))
        fields = long.sequence()
        extensions = sequence(
            sequence(object_identifier("1.2.3"), octet_string(bytes(200))),
        )
        large = sequence(fields.encoded(), fields.encoded(), extensions)
        short = [
            encode_crl_entry(CRLEntry(number, NOW, CRLReason.SUPERSEDED)) for number in range(2000)
        ]
        plan = CRLPlan(CRLStamp(1, NOW, NOW))
        data = signed(plan, [large, *short, large, large, *short[:1], large])
        read = ca().issuer.verify_crl(data)
        numbers = [5, *range(2000), 5, 5, 0, 5]
        assert read.count() == len(numbers)
        assert [entry.serial_number for entry in read] == numbers
        assert [at for at, _, _ in read.places()] == list(read.offsets())
        index = EntryIndex(read)
        assert len(index) == len(numbers)
        assert all(index.find(number) is not None for number in numbers)
        assert index.find(2001) is None

    @given(st.lists(st.tuples(entries, st.integers(1, 200)), max_size=8))
    def test_as_many_as_cryptography_counts(self, runs: list[tuple[CRLEntry, int]]) -> None:
        """In runs that are counted at once, and in what is left between them."""
        data = signed(
            CRLPlan(CRLStamp(1, NOW, NOW)), [encode_crl_entry(one) * often for one, often in runs]
        )
        theirs = x509.load_der_x509_crl(data)
        assert parse_crl(data).count() == len(theirs) == sum(often for _, often in runs)

    @given(st.integers(0, 299), st.sampled_from([b"\x31", b"\x30\x80", b"\x30\x7f", b"\0"]))
    def test_what_is_no_entry_is_not_counted(self, at: int, instead: bytes) -> None:
        numbers = range(2**120, 2**120 + 300)
        entries = [
            bytearray(encode_crl_entry(CRLEntry(one, NOW, CRLReason.SUPERSEDED))) for one in numbers
        ]
        entries[at][: len(instead)] = instead
        crl = parse_crl(signed(CRLPlan(CRLStamp(1, NOW, NOW)), list(map(bytes, entries))))
        try:
            found = crl.count()
        except MalformedDER:
            return
        # Its end may be where a later one's is, by chance: then one is what several were.
        assert found < len(numbers)

    def test_signing_keeps_no_entries(self) -> None:
        """However many they are: neither to be hashed nor to be moved into their place."""
        part = b"".join(
            encode_crl_entry(CRLEntry(2**100 + one, NOW, CRLReason.SUPERSEDED))
            for one in range(10_000)
        )
        issuer = ca().issuer
        with TemporaryFile() as file:
            tracemalloc.start()
            try:
                issuer.sign_crl(CRLPlan(CRLStamp(1, NOW, NOW)), repeat(part, 64), file)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert file.seek(0, SEEK_END) > 64 * len(part) > 16 * peak

    @given(st.integers(0, 2**16), st.integers(0, 7))
    def test_one_bit_that_is_altered(self, at: int, bit: int) -> None:
        crl = bytearray(crl_of([1, 2, 3]))
        crl[at % len(crl)] ^= 1 << bit
        with pytest.raises(ValidationCertError):
            ca().issuer.verify_crl(bytes(crl))

    @given(st.integers(0, 400))
    def test_cut_off(self, length: int) -> None:
        crl = crl_of([1, 2, 3])
        with pytest.raises(ValidationCertError):
            ca().issuer.verify_crl(crl[: min(length, len(crl) - 1)])


class TestVanished:
    """What the former CRL lists and the new one does not, in whatever order and parts."""

    few = st.lists(st.integers(1, 40), unique=True, max_size=30)

    @given(few, few, st.lists(st.integers(1, 8), min_size=30, max_size=30), st.integers(1, 5))
    def test_is_the_difference(
        self, old: list[int], new: list[int], cuts: list[int], most: int
    ) -> None:
        new_data = crl_of(new)
        reader = parse_crl(new_data)
        bounds = [*reader.offsets(), reader.entries.stop]
        lengths, at = [], 0
        while at < len(new):
            end = min(at + cuts[at], len(new))
            lengths.append(bounds[end] - bounds[at])
            at = end
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("tiny_ca.domain.crl_reader._MOST_APART", most)
            found = vanished(parse_crl(crl_of(old, CRLReason.SUPERSEDED)), reader, lengths)
            same = vanished(parse_crl(crl_of(old)), reader, lengths)
        assert sorted(entry.serial_number for entry in found) == sorted(set(old) - set(new))
        assert sorted(entry.serial_number for entry in same) == sorted(set(old) - set(new))


class TestShards:
    @given(serial_numbers, st.integers(2, 1024))
    def test_every_certificate_is_in_one(self, serial: int, count: int) -> None:
        shard = Shard.of(serial, count)
        assert shard_key_of(serial) in shard.keys
        assert 0 <= shard.index < count

    @given(st.integers(2, 1024))
    def test_they_cover_all_keys_once(self, count: int) -> None:
        ranges = [Shard(index, count).keys for index in range(count)]
        assert ranges[0].start == 0
        assert ranges[-1].stop == SHARD_KEYS
        assert all(a.stop == b.start for a, b in pairwise(ranges))

    @pytest.mark.parametrize(("index", "count"), [(0, 1), (2, 2), (-1, 2), (0, 1025)])
    def test_what_is_none(self, index: int, count: int) -> None:
        with pytest.raises(InvalidRequest):
            Shard(index, count)

    def test_names(self) -> None:
        assert CRLScope().name == "crl"
        assert CRLScope(is_delta=True).name == "crl-delta"
        assert CRLScope(Shard(3, 8)).name == "crl-3-of-8"
        assert CRLScope(Shard(3, 8), is_delta=True).name == "crl-3-of-8-delta"
        assert CRLScope(Shard(3, 8), is_delta=True).base == CRLScope(Shard(3, 8))

    @pytest.mark.parametrize(
        "name", ["", "crl.", "crl-00-of-2", "crl-0-of-02", f"crl-{'9' * 5000}-of-2", "crl-0-of-1"]
    )
    def test_names_that_are_none(self, name: str) -> None:
        with pytest.raises(InvalidRequest):
            CRLScope.named(name)
