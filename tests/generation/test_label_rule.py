import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.label_rule import LabelRule
from shared.contracts.specs import ImportSpec
from shared.errors import UserError

CWRU = r"^(?P<id>\d+)_(?P<fault>normal|ir|b|or)(?P<size_mils>\d{3})?(?P<position>at\d+)?_(?P<load_hp>\d)hp"


def rule(pattern=CWRU, **more):
    spec = ImportSpec(
        name="x",
        uploads=["00000000-0000-0000-0000-000000000000"],
        label_rule=pattern,
        sample_rate_candidates_hz=[12_000],
        **more,
    )
    return LabelRule(spec)


def test_named_groups_become_labels_and_the_fault_is_renamed():
    named = rule(fault_names={"or": "outer_race"}).name("folder/sub/130_or007at6_0hp.mat")
    assert named.fault == "outer_race"
    assert named.id == named.unit == "130_or007at6_0hp"
    assert named.labels == {"id": "130", "size_mils": "007", "position": "at6", "load_hp": "0"}


def test_labels_that_name_the_unit_join_records_of_one_bearing():
    names = rule(unit_labels=["fault", "size_mils"], fault_names={"ir": "inner_race"})
    units = {names.name(f"{n}_ir007_{load}hp.mat").unit for n, load in ((105, 0), (106, 1))}
    assert units == {"inner_race/007"}
    assert names.name("97_normal_0hp.mat").unit == "normal"


def test_a_group_that_did_not_take_part_is_no_label():
    assert rule().name("97_normal_0hp.mat").labels == {"id": "97", "load_hp": "0"}


@pytest.mark.parametrize("pattern", ["(?P<fault>ir", r"(?P<fault>a)(?=b)", r"(ir|or)"])
def test_a_rule_that_can_never_work_is_refused_at_once(pattern):
    with pytest.raises(ValueError, match="label_rule"):
        rule(pattern)


@pytest.mark.parametrize("name", ["readme.txt", "x_ir_0hp.mat", ""])
def test_a_name_that_the_rule_does_not_match_is_refused(name):
    with pytest.raises(UserError, match="does not match"):
        rule().name(name)


def test_an_empty_fault_and_an_unknown_unit_are_refused():
    with pytest.raises(UserError, match="finds no fault"):
        rule(r"(?P<fault>x*)_").name("_a.mat")
    with pytest.raises(UserError, match="physical unit is unknown"):
        rule(unit_labels=["size_mils"]).name("97_normal_0hp.mat")


def test_a_rule_that_would_take_exponential_time_elsewhere_is_linear():
    evil = rule(r"^(a+)+(?P<fault>b)$")
    started = time.monotonic()
    with pytest.raises(UserError):
        evil.name("a" * 5000)
    assert time.monotonic() - started < 1


def test_a_taken_id_gets_a_number_and_with_it_the_unit_that_it_named():
    named = rule().name("97_normal_0hp.mat")
    again = named.with_id_not_in({"97_normal_0hp", "97_normal_0hp-2"})
    assert (again.id, again.unit) == ("97_normal_0hp-3", "97_normal_0hp-3")


@given(st.text(max_size=300))
def test_any_file_name_gives_an_id_that_the_format_allows_or_a_user_error(name):
    try:
        named = rule(r"(?s)(?P<fault>.)").name(name)
    except UserError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=+@,#-]{0,199}", named.id)
