"""Who is trained on and who is tested: no record on two sides, no fault missing, nothing shared in silence."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.training.splits import Split, badge, split_records
from shared.contracts.specs import SplitSpec
from shared.errors import UserError
from shared.signals.dataset import RecordInfo
from tests.training.support import record_info

SIZES = ("007", "014", "021")


def bearings(blocks: int = 12) -> list[RecordInfo]:
    """Three faults in three sizes at two loads, and one healthy unit cut into blocks."""
    records = [
        record_info(f"{fault}-{size}-{load}", fault, f"{fault}-{size}", {"size": size, "load": load})
        for fault in ("ball", "inner", "outer")
        for size in SIZES
        for load in ("0", "1")
    ]
    healthy = [
        record_info(f"h-{block:02d}", "healthy", "normal", {"load": "0"}, same_unit_block=True)
        for block in range(blocks)
    ]
    return records + healthy


@st.composite
def datasets(draw: st.DrawFn) -> list[RecordInfo]:
    """2-4 faults, each with 2-5 units of 1-4 records; units may be shared between two faults."""
    records = []
    for fault in range(draw(st.integers(2, 4))):
        for unit in range(draw(st.integers(2, 5))):
            shared = draw(st.integers(0, 9)) == 0
            name = f"shared-{unit}" if shared else f"f{fault}-u{unit}"
            for number in range(draw(st.integers(1, 4))):
                label = {"load": str(number % 2)}
                records.append(record_info(f"f{fault}-u{unit}-r{number}", f"f{fault}", name, label))
    return records


def split_or_none(records: list[RecordInfo], spec: SplitSpec, seed: int) -> Split | None:
    """The split, or None if it is refused with words."""
    try:
        return split_records(records, spec, seed)
    except UserError as error:
        assert error.message and error.remedy
        return None


@given(datasets(), st.sampled_from(["unit", "record", "load"]), st.integers(0, 99), st.floats(0.05, 0.9))
@settings(max_examples=150, deadline=None)
def test_no_record_is_on_two_sides_and_none_is_lost(records, by, seed, fraction):
    split = split_or_none(records, SplitSpec(by=by, test_fraction=fraction), seed)
    if split is not None:
        sides = [*split.train, *split.validation, *split.test]
        assert sorted(sides) == sorted(record.id for record in records)
        assert set(split.tail) <= set(split.train)


@given(datasets(), st.sampled_from(["unit", "record", "load"]), st.integers(0, 99), st.floats(0.05, 0.9))
@settings(max_examples=150, deadline=None)
def test_every_fault_is_trained_validated_and_tested(records, by, seed, fraction):
    split = split_or_none(records, SplitSpec(by=by, test_fraction=fraction), seed)
    if split is not None:
        fault_of = {record.id: record.fault for record in records}
        faults = set(fault_of.values())
        assert {fault_of[id] for id in split.train} == faults
        assert {fault_of[id] for id in (*split.validation, *split.tail)} == faults
        assert {fault_of[id] for id in split.test} == faults


@given(datasets(), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_the_report_names_exactly_the_units_that_are_on_both_sides(records, seed):
    split = split_or_none(records, SplitSpec(by="record"), seed)
    if split is not None:
        unit_of = {record.id: record.unit for record in records}
        tested = {unit_of[id] for id in split.test}
        shared = tested & {unit_of[id] for id in (*split.train, *split.validation)}
        assert split.report.shared_units == sorted(shared)
        assert (split.report.badge == "unseen units") == (not shared)
        assert (split.report.badge == "same units") == (bool(shared) and shared == tested)


@given(datasets(), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_split_by_unit_of_faults_with_several_units_shares_none(records, seed):
    units = {record.unit for record in records}
    if not any(name.startswith("shared") for name in units):
        assert split_records(records, SplitSpec(), seed).report.badge == "unseen units"


@given(datasets(), st.integers(0, 99), st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_records_does_not_change_who_is_held_out(records, seed, random):
    first = split_or_none(records, SplitSpec(), seed)
    shuffled = random.sample(records, len(records))
    second = split_or_none(shuffled, SplitSpec(), seed)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert set(first.test) == set(second.test)
        assert set(first.validation) == set(second.validation)


def test_held_out_sizes_are_the_test_side_with_other_blocks_of_the_only_healthy_unit():
    tested: list[str] = []
    for size in SIZES:
        split = split_records(bearings(), SplitSpec(by="size", held_out=[size]), 7)
        faulty = {id for id in split.test if not id.startswith("h-")}
        assert faulty == {f"{fault}-{size}-{load}" for fault in ("ball", "inner", "outer") for load in "01"}
        assert split.report.shared_units == ["normal"]
        assert split.report.badge == "some shared units"
        assert any("healthy" in note for note in split.report.notes)
        tested += split.test
    assert sorted(tested) == sorted(record.id for record in bearings())  # folds are disjoint and complete


def test_a_split_by_load_says_that_all_units_are_the_same():
    split = split_records(bearings(), SplitSpec(by="load", held_out=["1"]), 7)
    assert split.report.badge == "same units"
    assert len(split.report.shared_units) == 10


def test_blocks_on_the_test_side_are_contiguous_in_time():
    split = split_records(bearings(), SplitSpec(by="size", held_out=["014"]), 7)
    assert [id for id in split.test if id.startswith("h-")] == ["h-04", "h-05", "h-06", "h-07"]


def test_validation_takes_whole_units_where_there_are_enough():
    records = [
        record_info(f"{fault}-{unit}-{number}", fault, f"{fault}-{unit}")
        for fault in "ab"
        for unit in range(5)
        for number in range(2)
    ]
    split = split_records(records, SplitSpec(), 3)
    unit_of = {record.id: record.unit for record in records}
    assert not {unit_of[id] for id in split.validation} & {unit_of[id] for id in split.train}
    assert split.report.notes == []


def test_validation_by_record_is_said_to_be_optimistic():
    split = split_records(bearings(), SplitSpec(by="size", held_out=["007"]), 7)
    trained = {id.rsplit("-", 1)[0] for id in split.train}
    assert {"ball-014", "ball-021", "inner-014", "inner-021", "outer-014", "outer-021"} <= trained
    assert any("optimistic" in note for note in split.report.notes)


def test_too_few_records_to_spare_one_validate_by_their_ends():
    """Three bearings at one load: setting one aside whole would cost a third of what can be learned."""
    split = split_records(bearings(), SplitSpec(by="load", held_out=["1"]), 7)
    assert set(split.tail) == {id for id in split.train if not id.startswith("h-")}
    assert {id for id in split.validation if id.startswith("h-")} == set(split.validation) != set()


def test_a_single_training_record_of_a_fault_validates_by_its_tail():
    records = [record_info(f"{fault}{unit}", fault, f"{fault}{unit}") for fault in "ab" for unit in range(2)]
    split = split_records(records, SplitSpec(), 7)
    assert set(split.tail) == set(split.train)
    assert split.validation == ()
    assert any("end of records" in note for note in split.report.notes)


def test_a_fault_without_the_label_gives_whole_units():
    records = [
        *(record_info(f"a{size}", "a", f"a{size}", {"size": size}) for size in SIZES),
        *(record_info(f"h{unit}", "healthy", f"h{unit}") for unit in range(3)),
    ]
    tested = [id for size in SIZES for id in split_records(records, SplitSpec(by="size", held_out=[size]), 7).test]
    assert sorted(tested) == sorted(record.id for record in records)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"by": "colour"}, "no label 'colour'", "size"),
    ({"by": "size", "held_out": ["008"]}, "'008'", "007, 014, 021"),
    ({"by": "size", "held_out": list(SIZES)}, "left for training", "single_unit_blocks"),
]


@pytest.mark.parametrize(("fields", "message", "remedy"), REFUSED)
def test_what_cannot_be_split_is_refused_with_a_remedy(fields, message, remedy):
    with pytest.raises(UserError, match=message) as caught:
        split_records(bearings(), SplitSpec(**fields), 7)
    assert remedy in caught.value.remedy


def test_one_block_of_the_only_unit_cannot_stand_on_both_sides():
    with pytest.raises(UserError, match="healthy") as caught:
        split_records(bearings(blocks=1), SplitSpec(by="size", held_out=["007"]), 7)
    assert "single_unit_blocks" in caught.value.remedy


def test_a_dataset_of_one_fault_is_refused():
    with pytest.raises(UserError, match="one fault only"):
        split_records([record_info("a", "x", "a"), record_info("b", "x", "b")], SplitSpec(), 7)


def test_the_badge_follows_from_what_is_shared():
    assert badge(["a", "b"], []) == "unseen units"
    assert badge(["a", "b"], ["a"]) == "some shared units"
    assert badge(["a", "b"], ["a", "b"]) == "same units"
