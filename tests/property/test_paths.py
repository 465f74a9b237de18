"""Nothing that a caller passes leaves the base folder."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.property.strategies import any_text, common_names, hostile_text
from tiny_ca.domain.errors import InvalidName, UnsafePath
from tiny_ca.domain.names import SubjectName, file_name_of, folder_path, path_segment
from tiny_ca.domain.records import Location

LONGEST_FILE_NAME = 255
segments = st.text("abcXYZ0189-_", min_size=1, max_size=12)
texts = hostile_text | segments


def is_inside(base: PurePosixPath | PureWindowsPath, *parts: str) -> bool:
    """Whether each step of the joined path goes down from *base*."""
    joined = base.joinpath(*parts)
    below = joined.parts[len(base.parts) :]
    return joined.parts[: len(base.parts)] == base.parts and bool(below) and ".." not in below


def stays_inside(*parts: str) -> bool:
    return is_inside(PurePosixPath("/srv/pki"), *parts) and is_inside(
        PureWindowsPath("C:/pki"), *parts
    )


class TestPathSegment:
    @given(hostile_text)
    @example("..")
    @example("")
    @example("C:")
    @example("a/b")
    @example("\\\\server\\share")
    def test_names_one_file_or_is_refused(self, text):
        try:
            segment = path_segment(text)
        except UnsafePath:
            return
        assert segment == text
        assert stays_inside(segment)
        assert len(PurePosixPath("/srv", segment).parts) == 3
        assert len(PureWindowsPath("C:/srv", segment).parts) == 3
        assert not segment.startswith(".")
        assert len(f"{segment}.pem".encode()) <= LONGEST_FILE_NAME

    @given(segments)
    def test_plain_names_are_accepted(self, text):
        assert path_segment(text) == text
        assert path_segment(f"{text}.internal") == f"{text}.internal"

    @given(segments, st.sampled_from("/\\:\0\n\r\t\x1b\x7f\u2028\u202e\ud800"), segments)
    def test_separators_and_what_no_terminal_shows_are_refused(self, before, character, after):
        with pytest.raises(UnsafePath):
            path_segment(before + character + after)

    @given(st.sampled_from("aé例😀"), st.integers(1, 260))
    def test_200_octets_at_most(self, character, length):
        if len(character.encode()) * length <= 200:
            path_segment(character * length)
        else:
            with pytest.raises(UnsafePath):
                path_segment(character * length)


class TestFolderPath:
    @given(hostile_text | st.lists(texts, max_size=5).map("/".join))
    @example("/")
    @example("/etc")
    @example("a/../../b")
    @example("a//b")
    @example("./a")
    def test_goes_down_or_is_refused(self, text):
        try:
            folder = folder_path(text)
        except UnsafePath:
            return
        assert stays_inside(folder)
        assert str(PurePosixPath(folder)) == folder
        assert folder_path(folder) == folder

    @given(st.lists(segments, min_size=1, max_size=5), st.integers(0, 3))
    def test_plain_folders_are_accepted_with_or_without_a_slash_behind(self, parts, slashes):
        assert folder_path("/".join(parts) + "/" * slashes) == "/".join(parts)

    @given(
        st.lists(segments, max_size=3),
        st.sampled_from(["..", ".", "", " ", "...", "C:"]),
        st.lists(segments, min_size=1, max_size=3),
    )
    def test_one_bad_step_spoils_it(self, before, step, after):
        with pytest.raises(UnsafePath):
            folder_path("/".join([*before, step, *after]))


class TestLocation:
    @given(texts, texts, st.none() | texts | st.lists(texts, max_size=4).map("/".join))
    def test_a_location_stays_under_the_base_folder_or_is_refused(self, uuid, file_name, folder):
        try:
            place = Location(uuid, file_name, folder)
        except UnsafePath:
            return
        above = [] if place.folder is None else [place.folder]
        assert stays_inside(*above, place.uuid, f"{place.file_name}.key")
        depth = len(place.folder.split("/")) if place.folder is not None else 0
        path = PurePosixPath("/srv", *above, place.uuid, f"{place.file_name}.key")
        assert len(path.parts) == 2 + depth + 2

    @given(segments, segments, st.lists(segments, min_size=1, max_size=3), st.data())
    def test_one_bad_part_is_enough(self, uuid, file_name, folders, data):
        good = {"uuid": uuid, "file_name": file_name, "folder": "/".join(folders)}
        Location(**good)
        spoilt = data.draw(st.sampled_from(sorted(good)))
        bad = data.draw(st.sampled_from(["..", "../a", "/a", "a/../b", "", "a\0", ".hidden", "\\"]))
        with pytest.raises(UnsafePath):
            Location(**good | {spoilt: bad})

    @given(segments, segments, st.lists(segments, min_size=1, max_size=3))
    def test_its_folder_is_canonical(self, uuid, file_name, folders):
        folder = "/".join(folders)
        assert Location(uuid, file_name, f"{folder}/") == Location(uuid, file_name, folder)


class TestFileNames:
    @given(common_names | hostile_text | st.text(max_size=64))
    @example("..")
    @example("../../etc/passwd")
    @example("😀")
    @example("\U00020000" * 16)
    @example("ȺȾ" * 16)
    def test_every_common_name_gives_a_safe_one(self, common_name):
        try:
            SubjectName(common_name)
        except InvalidName:
            assume(False)
        file_name = file_name_of(common_name)
        assert path_segment(file_name) == file_name
        assert Location("uuid", file_name).file_name == file_name

    @given(any_text)
    def test_even_what_is_no_common_name_can_not_leave_the_folder(self, text):
        assert stays_inside(file_name_of(text))
        assert stays_inside(f"{file_name_of(text)}.pem")

    @given(
        st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}(\.[a-z0-9-]{1,10}){0,2}[a-z0-9]", fullmatch=True)
    )
    def test_host_names_stay_readable(self, name):
        assert file_name_of(name) == name
        assert file_name_of(name.upper()) == name
        assert file_name_of(f"*.{name}") == f"_.{name}"
