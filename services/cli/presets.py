"""Known file naming of public collections, as data: what `datasets import --preset NAME` fills in."""

from dataclasses import dataclass, field

from shared.contracts.specs import BearingGeometry

#: Drive-end bearing of the CWRU rig, SKF 6205-2RS.
SKF_6205_2RS = BearingGeometry(rollers=9, roller_diameter_mm=7.94, pitch_diameter_mm=39.04, contact_angle_deg=0.0)

BEARINGS = {"6205-2RS": SKF_6205_2RS}


@dataclass(frozen=True)
class Preset:
    """How the files of one collection are named and what they hold."""

    about: str
    rule: str
    fault_names: dict[str, str]
    unit_labels: list[str]
    rates_hz: list[float]
    target_rate_hz: float
    channels: list[str]
    speed_variable: str
    single_unit_blocks: int
    bearing: BearingGeometry
    example: str
    notes: list[str] = field(default_factory=list)


PRESETS = {
    "cwru": Preset(
        about="Case Western Reserve University bearing data, drive end",
        rule=r"^(?P<record>\d+)_(?P<fault>ir|b|or|normal)(?P<size_mils>\d{3})?(?P<position>at\d+)?_(?P<load_hp>\d)hp",
        fault_names={"ir": "inner_race", "b": "ball", "or": "outer_race", "normal": "healthy"},
        unit_labels=["fault", "size_mils"],
        rates_hz=[12_000.0, 48_000.0],
        target_rate_hz=12_000.0,
        channels=["DE_time"],
        speed_variable="RPM",
        #: three folds by size, each with healthy blocks of its own to test and more to train on
        single_unit_blocks=6,
        bearing=SKF_6205_2RS,
        example="105_ir007_0hp.mat",
    )
}
