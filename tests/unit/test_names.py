"""Names, by example."""

import ipaddress

import pytest

from tiny_ca.domain.errors import InvalidName, UnsafePath
from tiny_ca.domain.names import (
    GeneralName,
    GeneralNameKind,
    SubjectName,
    dns_name,
    email_address,
    file_name_of,
    folder_path,
    general_name_of_host,
    ip_address,
    path_segment,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("localhost", "localhost"),
        ("Example.COM", "example.com"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("1.example", "1.example"),
        ("*.example.com", "*.example.com"),
        ("*.a.b.c", "*.a.b.c"),
    ],
)
def test_dns_names(text, name):
    assert dns_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "a..b", ".a", "a.", "a b", "a\0b", "a\nb", "a.b\n", "\ta", "-a", "a-"),
        *("a_b.c", "é.fr", "a/b", "a:443", "a@b", "ａ.com"),  # noqa: RUF001
        *("*", "*.*", "*.com", "*.*.com", "a.*.com", "a*.b.com", "*a.b.com", "**.b.com"),
        *("127.0.0.1", "1.2.3", "256.256.256.256", "::1", "[::1]", "1", "a.1"),
        *("a" * 64, "a." * 127, f"{'a' * 64}.com"),
    ],
)
def test_what_is_no_dns_name(text):
    with pytest.raises(InvalidName):
        dns_name(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:0a00:0001", str(ipaddress.ip_address("::ffff:10.0.0.1"))),
    ],
)
def test_ip_addresses(text, address):
    assert ip_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2.3",
        "010.0.0.1",
        "1.2.3.4 ",
        "1.2.3.4/32",
        "[::1]",
        "::1%lo",
        "fe80::1%25e",
        "a",
    ],
)
def test_what_is_no_ip_address(text):
    with pytest.raises(InvalidName):
        ip_address(text)


def test_mailboxes():
    assert email_address("First.Last+tag@Example.COM") == "First.Last+tag@example.com"
    assert GeneralName.email("a@B.c") == GeneralName(GeneralNameKind.EMAIL, "a@b.c")


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "@", "a@", "@b.c", "a b@c.d", "a@b c", "a..b@c.d", ".a@b.c", "a.@b.c"),
        *("a@@b.c", "a@b@c.d", "a@*.b.c", "a@1.2.3.4", "a@b.c\n", "a\n@b.c", "é@b.c", "a@é.fr"),
        *('"a b"@c.d', "A <a@b.c>", f"{'a' * 65}@b.c"),
    ],
)
def test_what_is_no_mailbox(text):
    with pytest.raises(InvalidName):
        email_address(text)


def test_hosts():
    assert general_name_of_host("10.0.0.1") == GeneralName.ip("10.0.0.1")
    assert general_name_of_host("A.internal") == GeneralName.dns("a.internal")
    assert general_name_of_host("My Service") is None


class TestSubjectName:
    def test_all_attributes(self):
        name = SubjectName("CN", "O", "OU", "UA", "ST", "L", "a@example.com")
        assert (name.common_name, name.country, name.email) == ("CN", "UA", "a@example.com")

    @pytest.mark.parametrize("country", ["", "U", "UKR", "ua", "U1", "ÜA", "UA\n"])
    def test_countries_that_are_none(self, country):
        with pytest.raises(InvalidName, match="country"):
            SubjectName("CN", country=country)

    def test_non_ascii_common_names_fit_as_long_as_their_octets_do(self):
        SubjectName("Ї" * 32)
        with pytest.raises(InvalidName, match="octets"):
            SubjectName("Ї" * 33)

    def test_a_mailbox_that_no_ia5_string_holds_is_refused(self):
        with pytest.raises(InvalidName, match="e-mail"):
            SubjectName("CN", email="ї@example.com")

    def test_messages_do_not_repeat_a_book(self):
        with pytest.raises(InvalidName) as caught:
            SubjectName("a" * 100_000)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("common_name", "file_name"),
    [
        ("Nginx", "nginx"),
        ("*.example.com", "_.example.com"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "_"),
        (" . ", "_"),
        ("a/b\\c:d", "a_b_c_d"),
        ("2001:db8::1", "2001_db8__1"),
        ("Київ", "київ"),
        ("a\0b\nc", "a_b_c"),
    ],
)
def test_file_names(common_name, file_name):
    assert file_name_of(common_name) == file_name
    assert path_segment(file_name) == file_name


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", ".hidden", " a", "a ", "a/b", "/a", "a\\b", "C:", "a:b", "a\0", "a\nb"),
        *("\ud800", "a" * 201, "é" * 101),
    ],
)
def test_what_names_no_file(text):
    with pytest.raises(UnsafePath):
        path_segment(text)


@pytest.mark.parametrize(
    "text", ["", "/", "//", "/a", "../a", "a/..", "a/../b", "a//b", "./a", "~/.ssh"]
)
def test_what_is_no_folder_below(text):
    with pytest.raises(UnsafePath):
        folder_path(text)


def test_folders_below():
    assert folder_path("services/web/") == "services/web"
    assert folder_path("a") == "a"
