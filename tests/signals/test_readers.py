import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import TooLarge, UserError
from shared.signals import mat_container
from shared.signals.readers import read_record

VALUES = np.random.default_rng(0).standard_normal(2000)


def mat(tmp_path, name="97_a.mat", compress=False, **variables):
    path = tmp_path / name
    scipy.io.savemat(path, variables, do_compression=compress)
    return path


def read(path, channels=("DE_time",), speed="RPM", name=None):
    return read_record(path, name or path.name, list(channels), speed)


def refused(path, match, channels=("DE_time",), speed="RPM", name=None):
    """The error, which must name the file and a remedy."""
    with pytest.raises(UserError, match=match) as caught:
        read(path, channels, speed, name)
    assert caught.value.message.startswith(f"{name or path.name}:")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("compress", [False, True])
def test_the_channels_of_a_mat_file_are_read_in_the_order_asked_for(tmp_path, compress):
    path = mat(tmp_path, compress=compress, X097_DE_time=VALUES[:, None], X097_FE_time=-VALUES[:, None], X097RPM=1796)
    record = read(path, ["FE_time", "DE_time"])
    assert record.signal_CL.dtype == np.float32
    np.testing.assert_array_equal(record.signal_CL, np.stack([-VALUES, VALUES]).astype(np.float32))
    assert record.shaft_speed_rpm == 1796
    assert record.notes == []


@pytest.mark.parametrize("kind", ["int16", "uint8", "single", "int64"])
def test_integers_and_rows_are_vectors_too(tmp_path, kind):
    values = (np.arange(2000) % 100).astype(kind)
    assert read(mat(tmp_path, DE_time=values[None, :])).signal_CL.shape == (1, 2000)


def test_a_missing_speed_is_none_and_another_records_speed_is_not_taken(tmp_path):
    assert read(mat(tmp_path, X097_DE_time=VALUES)).shaft_speed_rpm is None
    assert read(mat(tmp_path, X097_DE_time=VALUES, X097RPM=1796), speed=None).shaft_speed_rpm is None
    two = mat(tmp_path, X097_DE_time=VALUES, X098RPM=1, X099RPM=2)
    assert read(two).shaft_speed_rpm is None


def test_of_two_variables_the_one_with_the_number_of_the_file_is_taken_and_said(tmp_path):
    path = mat(tmp_path, "99_normal_2hp.mat", X098_DE_time=VALUES, X099_DE_time=2 * VALUES, X098RPM=1772, X099RPM=1750)
    record = read(path)
    np.testing.assert_allclose(record.signal_CL[0], 2 * VALUES, rtol=1e-6)
    assert record.shaft_speed_rpm == 1750
    assert "X099_DE_time" in record.notes[0]


def test_two_variables_that_nothing_tells_apart_are_refused_and_listed(tmp_path):
    path = mat(tmp_path, "normal.mat", X098_DE_time=VALUES, X099_DE_time=VALUES)
    error = refused(path, "2 variables end in 'DE_time'")
    assert "X098_DE_time (1x2000 double), X099_DE_time" in error.remedy


def test_a_missing_variable_lists_what_is_there(tmp_path):
    error = refused(mat(tmp_path, X105_FE_time=VALUES[:, None], X105RPM=1), "no variables end in 'DE_time'")
    assert "X105_FE_time (2000x1 double)" in error.remedy


@pytest.mark.parametrize(
    "value",
    [
        {"a": VALUES},
        np.array([VALUES, "x"], dtype=object),
        "text" * 600,
        VALUES.reshape(2, -1),
        np.zeros((10, 10, 20)),
        VALUES + 1j,
        VALUES > 0,
        scipy.sparse.csc_array(np.eye(3)),
        np.empty((0, 0)),
    ],
    ids=["struct", "cell", "char", "matrix", "cube", "complex", "logical", "sparse", "empty"],
)
def test_what_is_no_vector_of_numbers_is_refused(tmp_path, value):
    refused(mat(tmp_path, DE_time=value), "not a vector of real numbers|samples; 1024")


def test_a_struct_bomb_beside_the_signal_is_never_opened(tmp_path):
    bomb: dict = {"a": 1}
    for _ in range(20):
        bomb = {"a": bomb, "b": bomb} if len(str(bomb)) < 5000 else {"a": bomb}
    assert read(mat(tmp_path, DE_time=VALUES, bomb=bomb)).signal_CL.shape == (1, 2000)


@pytest.mark.parametrize("speed", [0, -5, np.nan, 1e9, [1, 2], "fast"])
def test_a_speed_that_is_none_is_refused(tmp_path, speed):
    error = refused(mat(tmp_path, X1_DE_time=VALUES, X1RPM=speed), "shaft speed")
    assert "shaft_speed_rpm" in error.remedy


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_with_their_place(tmp_path, bad):
    values = VALUES.copy()
    values[[123, 130]] = bad
    refused(mat(tmp_path, DE_time=values), "at 2 samples, first at sample 123")


def test_constant_short_and_unequal_signals_are_refused(tmp_path):
    refused(mat(tmp_path, DE_time=np.full(2000, 3.5)), r"constant \(3.5\)")
    refused(mat(tmp_path, DE_time=VALUES[:1000]), "1000 samples; 1024 are the least")
    refused(mat(tmp_path, DE_time=VALUES, FE_time=VALUES[:1500]), "differ in length", ["DE_time", "FE_time"])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"no matlab file at all", "not a MATLAB v5 file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "v7.3"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\x02IM" + bytes(400), "v7.3"),
        (bytes(4000), "not a MATLAB v5 file"),
        (b"PK\x03\x04" + bytes(4000), "not a MATLAB v5 file"),
    ],
)
def test_other_files_with_the_ending_mat_are_refused(tmp_path, content, match):
    path = tmp_path / "x.mat"
    path.write_bytes(content)
    refused(path, match)


def test_a_variable_beyond_the_limit_is_refused_before_it_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(mat_container, "MAX_BYTES", 100_000)
    for compress in (False, True):
        with pytest.raises(TooLarge, match="larger than"):
            read(mat(tmp_path, compress=compress, DE_time=np.zeros(20_000)))


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content


def matrix(name, rows, values, claimed=None):
    padded = name.encode().ljust((len(name) + 7) // 8 * 8, b"\0")
    head = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, rows, 1)
    head += struct.pack("<II", 1, len(name)) + padded
    return head + struct.pack("<II", 9, len(values) if claimed is None else claimed) + values


@pytest.mark.parametrize(
    "content",
    [
        element(15, zlib.compress(element(14, matrix("DE_time", 1100, bytes(50_000_000))))),
        element(15, zlib.compress(element(14, matrix("DE_time", 1100, bytes(64), claimed=0xFFFFFFF0)))),
        element(15, zlib.compress(struct.pack("<II", 14, 0xFFFFFFF0) + struct.pack("<IIII", 6, 8, 6, 0))),
        element(15, zlib.compress(b"\0" * 50_000_000)),
        element(15, b"no zlib"),
        element(14, matrix("DE_time", -1, bytes(64))),
        element(14, matrix("DE_time", 1100, bytes(64))),
        element(14, b"\xff" * 64),
        element(14, b""),
        struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64),
        b"1234",
    ],
    ids=["bomb", "claim", "claim-inner", "zeros", "no-zlib", "negative", "short", "ones", "nothing", "torn", "tail"],
)
def test_a_file_that_claims_what_it_does_not_hold_is_refused(tmp_path, content):
    path = tmp_path / "claim.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\0\x01IM" + content)
    refused(path, "damaged")


def test_a_big_endian_file_and_small_integers_stored_small_are_read(tmp_path):
    values = np.arange(1100) % 200
    body = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1100, 1)
    body += (
        struct.pack(">HH4s", 3, 1, b"abc\0") + struct.pack(">II", 2, 1100) + values.astype("u1").tobytes() + bytes(4)
    )
    path = tmp_path / "big.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\1\0MI" + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(read(path, ["abc"]).signal_CL[0], values)


@pytest.fixture(scope="module")
def good_mats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    small = {"X1_DE_time": VALUES[:1100], "X1RPM": 1797, "note": {"a": [1, 2]}, "text": "hello"}
    return [mat(folder, f"{flag}.mat", compress=flag, **small).read_bytes() for flag in (False, True)]


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_mat_file_is_a_user_error_or_harmless(good_mats, tmp_path_factory, data):
    raw = bytearray(data.draw(st.sampled_from(good_mats)))
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of a file is samples; damage near the front meets the structure.
        place = data.draw(st.integers(0, len(raw) - 1) | st.integers(100, 400))
        raw[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    path.write_bytes(raw)
    try:
        record = read(path)
    except UserError as error:
        assert error.remedy
    else:
        assert np.isfinite(record.signal_CL).all()


def csv(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ROWS = [f"{i},{v:.6f},{-v:.6f}" for i, v in enumerate(VALUES)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["t,DE_time,FE_time", *ROWS]),
        "\ufeff" + "\r\n".join(['"t","DE_time","FE_time"', *ROWS]) + "\r\n\r\n",
        "\n".join(["t;X1_DE_time;X1_FE_time", *(row.replace(",", ";").replace(".", ",") for row in ROWS)]),
        "\n".join(["t\tDE_time\tFE_time", *(row.replace(",", "\t") for row in ROWS)]),
        "\n\n".join(["t,DE_time,FE_time", *ROWS]),
    ],
    ids=["plain", "bom-crlf-quoted", "semicolon-decimal-comma", "tab", "blank-lines"],
)
def test_a_csv_is_read_by_its_column_names(tmp_path, text):
    record = read(csv(tmp_path, text), ["FE_time", "DE_time"])
    np.testing.assert_allclose(record.signal_CL, np.stack([-VALUES, VALUES]), atol=1e-5)
    assert record.shaft_speed_rpm is None


def test_a_csv_without_a_header_needs_one_column_per_channel(tmp_path):
    path = csv(tmp_path, "\n".join(ROWS))
    assert read(path, ["t", "x", "y"]).signal_CL.shape == (3, 2000)
    refused(path, "3 columns without a header for 1 channels")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("\ufeff \n\n", "empty"),
        ("DE_time\n", "no values below the header"),
        ("t,x\n1,2\n", "0 columns are named 'DE_time'"),
        ("DE_time,DE_time\n1,2\n", "2 columns are named"),
        ("DE_time,x\n1,2\n3\n4,5\n", "line 3 has 1 cells where the first line has 2"),
        ("DE_time,x\n1,2\n\n3,4,5\n", "line 4 has 3 cells"),
        ("DE_time,x\n1,2\n\nbroken,4\n", "'broken' in line 4, column 1 is not a number"),
        ("DE_time,x\n1,2\n,4\n", "in line 3, column 1 is not a number"),
        ("DE_time\n1\n2\n", "2 samples; 1024"),
        ("DE_time\n" + "1\n" * 9_000_000 + "2,5\n", "line 9000002 has 2 cells"),
        ("DE_time\n" + "nan\n" * 2000, "NaN or infinite at 2000 samples"),
        ("DE_time\n" + "5\n" * 2000, "constant"),
        (b"DE_time\n\xff\xfe1\n", "not UTF-8"),
        ("DE_time\n1\n2\n".encode("utf-16"), "not UTF-8"),
        (b"DE_time\n1\0\n", "binary zeros"),
    ],
)
def test_a_broken_csv_is_refused_with_file_and_place(tmp_path, text, match):
    refused(csv(tmp_path, text), match)


@pytest.mark.parametrize("text", ["0,5\n1,5\n", "DE_time\n0,5\n", "t\tDE_time\n1\t0,5\n"])
def test_a_decimal_comma_without_semicolons_is_refused_with_what_to_do(tmp_path, text):
    with pytest.raises(UserError) as caught:
        read(csv(tmp_path, text))
    assert "decimal comma" in caught.value.remedy


def test_reading_a_csv_takes_no_more_than_some_times_its_size(tmp_path):
    path = csv(tmp_path, "DE_time\n" + "-0.123456\n0.5\n" * 400_000)
    tracemalloc.start()
    try:
        read(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * path.stat().st_size


def test_other_endings_are_refused_and_endings_ignore_case(tmp_path):
    path = csv(tmp_path, "\n".join(["t,DE_time,FE_time", *ROWS]))
    refused(path, "not a .mat or .csv file", name="a.xlsx")
    assert read(path, name="folder/A.CSV").signal_CL.shape == (1, 2000)


@settings(max_examples=120, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin1")))
@example("DE_time\n1_000\n0x10\n")
@example('DE_time\n"1\n2"\n')
@example("DE_time\r1\r2\r")
@example(";;;\n;;;\n")
@example("DE_time\n1#2\n")
def test_any_text_is_read_or_refused_as_a_user_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError) as caught:
        read(path)
    assert caught.value.remedy
