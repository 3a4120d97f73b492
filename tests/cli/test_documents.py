"""Files that people write: what is read, and what is refused with its line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli.arguments import WrongArguments
from services.cli.documents import parse_yaml, read_document
from shared.contracts.written import to_yaml

#: text that is a number, a truth or a date to one version of YAML or another
TRICKY = ["no", "on", "1e-3", "010", "1:30", "2026-01-31", "~", "", "0x1f", "-", "y", "Null", "1_000", ".inf", "="]
WORDS = st.text(max_size=12) | st.sampled_from(TRICKY)
SCALARS: Any = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), WORDS
)


def _containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4)


VALUES = st.recursive(SCALARS, _containers)


def test_only_what_json_has_is_more_than_text() -> None:
    text = "a: 1e-3\nb: no\nc: 010\nd: 1:30\ne: 2026-01-31\nf: [1, 2.5, .5, -3, +4]\ng: ~\nh: true\ni:\n7: x\nj: On\n"
    assert parse_yaml(text, "f") == {
        "a": 0.001, "b": "no", "c": "010", "d": "1:30", "e": "2026-01-31", "f": [1, 2.5, 0.5, -3, 4], "g": None,
        "h": True, "i": None, "7": "x", "j": "On",
    }  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_written_is_read_the_same_by_us_and_by_others(document: dict[str, object]) -> None:
    written = to_yaml(document, "a comment", "of two\nlines")
    assert parse_yaml(written, "f") == document
    assert yaml.safe_load(written) == document


@settings(deadline=None)
@given(VALUES)
def test_json_is_read_as_json(value: object) -> None:
    assert parse_yaml(json.dumps(value, indent="\t"), "f") == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the field 'c' is there twice"),
        ('{"a": 1, "a": 2}', "the field 'a' is there twice"),
        ("a: &x [1]\nb: *x", "line 2, column 4: anchors"),
        ("a: [1", "line 1"),
        ("a: !!python/object/apply:os.system ['ls']", "line 1"),
        ("a: !!timestamp 2026-01-01", "line 1"),
        ("a: !!int x", "invalid literal"),
        ("? [a]\n: 1", "a field needs a name"),
        ("[" * 5000, "nested too deeply"),
        ("\x00", "unacceptable character"),
        ("a: 1\n---\nb: 1", "line 2"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(WrongArguments, match="'f'") as raised:
        parse_yaml(text, "f")
    assert words in raised.value.message
    assert raised.value.remedy


def test_a_file_that_is_too_large_or_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    large, bytes_, list_ = tmp_path / "large", tmp_path / "bytes", tmp_path / "list"
    large.write_text("a: b\n" * 300_000)
    bytes_.write_bytes(b"\xff\xfe")
    list_.write_text("- 1\n")
    for file, words in (
        (large, "larger than 1 MiB"),
        (bytes_, "cannot be read"),
        (tmp_path / "none", "cannot be read"),
        (list_, "holds no campaign"),
    ):
        with pytest.raises(WrongArguments, match=words):
            read_document(file, "campaign", "See the example.")
