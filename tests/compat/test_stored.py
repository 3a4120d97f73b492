"""Rows and messages of other releases are read by this one."""

import subprocess
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from shared.contracts.envelope import Envelope
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import GenerateSpec, Spec, Upcaster
from shared.contracts.stored import read_spec
from shared.contracts.views import EventView
from shared.errors import Fatal, Retryable
from shared.queue import wire
from shared.version import VERSION
from tests.compat.record import FOLDER, SPECS, path_of, record

RECORDS = sorted(FOLDER.glob("*.json"))


class _Second(Spec):
    """Its first version had `length`, in milliseconds."""

    spec_version: ClassVar[int] = 3
    upcasters: ClassVar[dict[int, Upcaster]] = {
        1: lambda stored: {"length_s": stored.pop("length") / 1000, **stored},
        2: lambda stored: {**stored, "window": "hann"},
    }
    length_s: float
    window: str


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(KINDS, "test.second", Kind("test.second", _Second, "test", 1, 2))
    return "test.second"


def test_a_spec_of_the_first_version_is_read_through_every_step_since(kind: str) -> None:
    assert read_spec(kind, 1, {"length": 1500}) == _Second(length_s=1.5, window="hann")
    assert read_spec(kind, 2, {"length_s": 2.0}) == _Second(length_s=2.0, window="hann")


def test_what_is_stored_is_not_changed_by_reading_it(kind: str) -> None:
    stored = {"length": 1500}
    read_spec(kind, 1, stored)
    assert stored == {"length": 1500}


def test_a_spec_of_a_later_version_waits_for_a_worker_that_reads_it(kind: str) -> None:
    with pytest.raises(Retryable, match="later release") as told:
        read_spec(kind, 4, {})
    assert told.value.delay_s >= 5


@pytest.mark.parametrize("stored", [{}, {"length": "x"}, {"length": None}])
def test_a_spec_that_cannot_be_read_says_what_to_do(kind: str, stored: dict[str, Any]) -> None:
    with pytest.raises(Fatal) as told:
        read_spec(kind, 1, stored)
    assert "Submit it again" in told.value.remedy


def test_a_field_of_a_later_release_is_left_out_at_every_depth() -> None:
    stored = GenerateSpec(name="d").model_dump(mode="json")
    stored["later"] = 1
    stored["bearing"]["later"] = 1
    assert read_spec("dataset.generate", 1, stored) == GenerateSpec(name="d")


SPEC_TYPES = sorted({kind.spec for kind in KINDS.values()}, key=lambda spec: spec.__name__)


@pytest.mark.parametrize("spec", SPEC_TYPES, ids=lambda spec: spec.__name__)
def test_every_version_of_a_spec_has_its_way_to_the_next(spec: type[Spec]) -> None:
    assert sorted(spec.upcasters) == list(range(1, spec.spec_version))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_what_a_release_stored_is_read_by_this_one(path: Path) -> None:
    recorded = orjson.loads(path.read_bytes())
    for stored in recorded["specs"]:
        read_spec(stored["kind"], stored["version"], stored["spec"])
    for stored in recorded["envelopes"]:
        Envelope.model_validate(stored)
    for stored in recorded["events"]:
        EventView.model_validate(stored)
    news, *outcomes = recorded["wire"]
    assert wire.unpack_news(news)
    assert [type(wire.unpack_outcome(stored)).__name__ for stored in outcomes] == [
        "Succeeded",
        "Failed",
        "Stopped",
        "Away",
    ]


def test_the_record_of_this_release_is_up_to_date() -> None:
    stored = orjson.loads(path_of(VERSION).read_bytes())
    assert stored == orjson.loads(orjson.dumps(record())), "run `python -m tests.compat.record`; see its first lines"


def test_every_kind_of_this_release_is_in_its_record() -> None:
    ours = {name for name in KINDS if not name.startswith("test.")}
    assert ours == set(SPECS)


def test_the_record_of_a_tagged_release_is_as_it_was_tagged() -> None:
    found = subprocess.run(["git", "tag", "--list", "v*"], cwd=FOLDER, capture_output=True, text=True, check=False)
    if not found.stdout.split():
        pytest.skip("no release is tagged yet (git tag v*)")
    for tag in found.stdout.split():
        path = path_of(tag.removeprefix("v"))
        ask = ["git", "show", f"{tag}:./{path.name}"]
        tagged = subprocess.run(ask, cwd=FOLDER, capture_output=True, check=True)
        assert path.read_bytes() == tagged.stdout, f"{path.name} must stay as {tag} recorded it"
