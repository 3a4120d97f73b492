"""What can be asked for: one spec per kind of run.

A stored spec carries `spec_version`; a later release reads it through upcasters, so a field is never renamed in place.
Defaults are the recommended settings, not placeholders.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract
from shared.contracts.label_rule import compile_label_rule
from shared.contracts.refs import DatasetId, ModelId, UploadId

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$")]
Channel = Annotated[str, StringConstraints(min_length=1, max_length=63)]
SampleRateHz = Annotated[float, Field(ge=100, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


#: the stored fields of one version of a spec -> those of the next
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Spec(Contract):
    """Base of every spec. A new field with a default is no new version; a change of meaning is.

    Then count `spec_version` up and say in `upcasters` how the fields of the version before become those of this one.
    """

    spec_version: ClassVar[int] = 1
    upcasters: ClassVar[dict[int, Upcaster]] = {}  #: by the version that they start from


class BearingGeometry(Contract):
    """Rolling-element bearing; the four numbers that give BPFO, BPFI, BSF and FTF."""

    rollers: int = Field(9, ge=3, le=200)
    roller_diameter_mm: float = Field(7.94, gt=0, le=1000)
    pitch_diameter_mm: float = Field(39.04, gt=0, le=10_000)
    contact_angle_deg: float = Field(0.0, ge=0, lt=90)

    @model_validator(mode="after")
    def _rollers_fit(self) -> "BearingGeometry":
        if self.roller_diameter_mm >= self.pitch_diameter_mm:
            raise ValueError("roller_diameter_mm must be smaller than pitch_diameter_mm")
        return self


class ImportSpec(Spec):
    """`dataset.import`: real records (`.mat` v5, `.csv`) to a dataset, labelled by a rule on the file name."""

    name: Name
    uploads: list[UploadId] = Field(min_length=1, max_length=10_000)
    #: RE2 pattern searched in the file name without folder; its named groups become labels, `fault` is required.
    label_rule: str = Field(max_length=500)
    #: renames values of the `fault` group; a fault not listed keeps its name.
    fault_names: dict[str, Label] = Field(default_factory=dict, max_length=100)
    #: labels that together name one physical unit (the same bearing); default: every record is a unit of its own.
    unit_labels: list[str] = Field(default_factory=list, max_length=10)
    #: `.mat`: variables whose name ends so, one per channel, in this order. `.csv`: column names.
    channels: list[Channel] = Field(default_factory=lambda: ["DE_time"], min_length=1, max_length=16)
    #: one value is taken as given; of several, the record's own spectrum decides (shaft lines at its speed).
    sample_rate_candidates_hz: list[SampleRateHz] = Field(min_length=1, max_length=5)
    #: records at another rate are resampled to this one, with anti-aliasing; default: the smallest candidate.
    target_sample_rate_hz: SampleRateHz | None = None
    #: `.mat`: variable whose name ends so holds the shaft speed.
    shaft_speed_variable: str | None = "RPM"
    #: used where the file names no speed.
    shaft_speed_rpm: float | None = Field(None, gt=0, le=200_000)
    #: a fault seen on one unit only is cut into this many time-disjoint blocks, marked "same unit", so that it can
    #: stand on both sides of a split.
    single_unit_blocks: int = Field(1, ge=1, le=64)
    bearing: BearingGeometry | None = None

    @model_validator(mode="after")
    def _rule_works(self) -> "ImportSpec":
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels: each may be named once")
        compile_label_rule(self.label_rule, self.unit_labels)
        return self


#: The faults that each family can make.
FAULTS: dict[str, tuple[str, ...]] = {
    "rolling_element": ("healthy", "outer_race", "inner_race", "ball", "cage", "combined"),
    "journal": (
        "healthy",
        "misalignment",
        "imbalance",
        "looseness",
        "oil_whirl",
        "lubrication",
        "cavitation",
        "wear",
    ),
}


class GenerateSpec(Spec):
    """`dataset.generate`: synthetic records whose fault physics is known exactly."""

    name: Name
    family: Literal["rolling_element", "journal"] = "rolling_element"
    #: default: every class of the family.
    faults: list[Label] | None = Field(None, min_length=1, max_length=32)
    #: independent machines per fault: each draws its own resonances, speed and path once.
    units_per_fault: int = Field(6, ge=1, le=10_000)
    records_per_unit: int = Field(4, ge=1, le=10_000)
    duration_s: float = Field(2.0, ge=0.25, le=60)
    sample_rate_hz: SampleRateHz = 12_000
    shaft_speed_rpm: tuple[float, float] = (1650.0, 1950.0)
    severity: tuple[float, float] = (0.3, 1.0)
    snr_db: tuple[float, float] = (0.0, 12.0)
    bearing: BearingGeometry = BearingGeometry()
    seed: Seed = 7

    @model_validator(mode="after")
    def _bounded(self) -> "GenerateSpec":
        for field, low, high in (
            ("shaft_speed_rpm", 60, 60_000),
            ("severity", 0, 1),
            ("snr_db", -30, 60),
        ):
            first, last = getattr(self, field)
            if not low <= first <= last <= high:
                raise ValueError(f"{field} must be [low, high] with {low} <= low <= high <= {high}")
        known = FAULTS[self.family]
        unknown = [fault for fault in self.faults or () if fault not in known]
        if unknown:
            raise ValueError(f"faults: {', '.join(unknown)} not among those of {self.family} ({', '.join(known)})")
        records = (len(self.faults) if self.faults else len(known)) * self.units_per_fault * self.records_per_unit
        if records * self.duration_s * self.sample_rate_hz > 20e9:
            raise ValueError("more than 20e9 samples in one dataset; lower duration_s, units or records")
        return self


class SplitSpec(Contract):
    """Which records are kept from training. A record is never cut by a split: all its windows stay on one side."""

    #: `unit`, `record`, or a label of the dataset (`size_mils`, `load_hp`, ...).
    by: str = Field("unit", max_length=63)
    #: groups of `by` that form the test side; default: `test_fraction` of the groups of each fault, drawn by `seed`.
    held_out: list[str] | None = Field(None, min_length=1, max_length=1000)
    test_fraction: float = Field(0.25, gt=0, lt=1)
    #: share of the training groups set aside to stop early and select by; never the test side.
    validation_fraction: float = Field(0.2, gt=0, lt=1)


class RandomForestRecipe(Contract):
    """Random forest on vibration features of each window."""

    #: 1.25 Hz between the lines of the envelope spectrum, which side bands at the cage's rate need.
    default_window_s: ClassVar[float] = 0.8

    type: Literal["rf"] = "rf"
    trees: int = Field(300, ge=1, le=5000)
    max_depth: int | None = Field(None, ge=1, le=100)
    min_leaf: int = Field(3, ge=1, le=1000)


class Cnn1dRecipe(Contract):
    """One-dimensional convolutional network on the raw window."""

    #: some forty strikes of a race and five turns of the cage at 30 turns a second; its filters need no lines.
    default_window_s: ClassVar[float] = 0.4

    type: Literal["cnn1d"] = "cnn1d"
    epochs: int = Field(14, ge=1, le=10_000)
    batch_size: int = Field(16, ge=2, le=4096)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    width: int = Field(16, ge=4, le=256)
    dropout: float = Field(0.3, ge=0, lt=1)
    patience: int = Field(10, ge=1, le=10_000)
    augment: bool = True


Recipe = Annotated[RandomForestRecipe | Cnn1dRecipe, Field(discriminator="type")]


class TrainingSpec(Spec):
    """`model.train`: one model on one split of one dataset."""

    name: Name
    dataset_id: DatasetId
    recipe: Recipe
    split: SplitSpec = SplitSpec()
    #: default: the recipe's own; the result says which.
    window_s: float | None = Field(None, gt=0, le=60)
    #: share of a window shared with the next one; training side only, test windows never overlap.
    overlap: float = Field(0.5, ge=0, le=0.95)
    seed: Seed = 7


class EvaluationSpec(Spec):
    """`model.evaluate`: held-out scores of one model, or of the folds of one, by record and by window."""

    #: several models are folds: their test sides are pooled and must not share a record.
    model_ids: list[ModelId] = Field(min_length=1, max_length=64)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(2000, ge=100, le=100_000)
    seed: Seed = 7

    @model_validator(mode="after")
    def _each_once(self) -> "EvaluationSpec":
        if len(set(self.model_ids)) != len(self.model_ids):
            raise ValueError("model_ids: each may be named once")
        return self
