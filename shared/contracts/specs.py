"""What can be asked for: one spec per kind of run.

A stored spec carries `spec_version`; a later release reads it through upcasters, so a field is never renamed in place.
Defaults are the recommended settings, not placeholders.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

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


class TooLarge(ValueError):
    """A spec would be fine if it asked for less."""


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


def _within(low: float, high: float) -> AfterValidator:
    """Of a pair: [low, high] in this order and within these bounds."""

    def check(pair: tuple[float, float]) -> tuple[float, float]:
        if not low <= pair[0] <= pair[1] <= high:
            raise ValueError(f"must be [low, high] with {low:g} <= low <= high <= {high:g}")
        return pair

    return AfterValidator(check)


SpeedRangeRpm = Annotated[tuple[float, float], _within(60, 60_000)]
SeverityRange = Annotated[tuple[float, float], _within(0, 1)]
SnrRangeDb = Annotated[tuple[float, float], _within(-30, 60)]
#: standard deviation of the speed within a record, as a share of it; beyond 0.1 a shaft might turn back.
SpeedWander = Annotated[float, Field(ge=0, le=0.1)]


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
    shaft_speed_rpm: SpeedRangeRpm = (1650.0, 1950.0)
    speed_wander: SpeedWander = 0.003
    severity: SeverityRange = (0.3, 1.0)
    snr_db: SnrRangeDb = (0.0, 12.0)
    bearing: BearingGeometry = BearingGeometry()
    seed: Seed = 7

    @model_validator(mode="after")
    def _bounded(self) -> "GenerateSpec":
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


class NetworkRecipe(Contract):
    """How a network is trained on raw windows, whatever it is made of."""

    #: some forty strikes of a race and five turns of the cage at 30 turns a second; its filters need no lines.
    default_window_s: ClassVar[float] = 0.4

    epochs: int = Field(14, ge=1, le=10_000)
    batch_size: int = Field(16, ge=2, le=4096)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    patience: int = Field(10, ge=1, le=10_000)
    augment: bool = True


class Cnn1dRecipe(NetworkRecipe):
    """One-dimensional convolutional network of a fixed shape."""

    type: Literal["cnn1d"] = "cnn1d"
    width: int = Field(16, ge=4, le=256)


class ConvStem(Contract):
    """The first layer: band filters on the raw window."""

    width: int = Field(16, ge=4, le=256)
    kernel: int = Field(32, ge=3, le=1024)
    stride: int = Field(8, ge=1, le=64)
    #: what follows sees the logarithm of each band's energy without mean and spread (half as many steps), so only its
    #: rhythm; without it the filtered signal, rectified.
    log_energy: bool = True


class ConvBlock(Contract):
    """One stage: a convolution over time, perhaps with a shortcut around it, and what it pays attention to."""

    #: `residual`: two convolutions and a shortcut; `separable`: each channel by itself, then all at each moment.
    type: Literal["plain", "residual", "separable"] = "plain"
    width: int = Field(64, ge=4, le=1024)
    kernel: int = Field(9, ge=1, le=255)
    stride: Literal[1, 2, 4] = 1
    #: `squeeze` weighs the channels by their means over the window, `temporal` relates each moment to the others.
    attention: Literal["none", "squeeze", "temporal"] = "none"

    def convolution_weights(self, inputs: int) -> int:
        """Weights of its convolutions over time if it reads `inputs` channels; what else it has is far less."""
        match self.type:
            case "plain":
                return inputs * self.width * self.kernel
            case "residual":
                return (inputs + self.width) * self.width * self.kernel
            case "separable":
                return inputs * (self.kernel + self.width)


#: Of one network; 80 MB as float32, four times that while it learns.
MOST_PARAMETERS = 20_000_000


def _default_blocks() -> list[ConvBlock]:
    """Those of cnn1d."""
    return [ConvBlock(width=width, kernel=kernel, stride=2) for width, kernel in ((32, 25), (64, 15), (64, 9))]


class ConvNetRecipe(NetworkRecipe):
    """One-dimensional convolutional network of any shape: stem, blocks, pooling, dropout, head."""

    type: Literal["convnet"] = "convnet"
    stem: ConvStem = ConvStem()
    blocks: list[ConvBlock] = Field(default_factory=_default_blocks, min_length=1, max_length=12)
    #: over time, of what the last block says.
    pooling: Literal["mean", "max"] = "mean"

    @model_validator(mode="after")
    def _not_too_large(self) -> "ConvNetRecipe":
        inputs = [self.stem.width, *(block.width for block in self.blocks)]
        weights = sum(block.convolution_weights(count) for block, count in zip(self.blocks, inputs, strict=False))
        if weights > MOST_PARAMETERS:
            raise TooLarge(
                f"blocks: {weights:,} weights, more than {MOST_PARAMETERS:,}; lower width or kernel, or use separable"
            )
        return self


Recipe = Annotated[RandomForestRecipe | Cnn1dRecipe | ConvNetRecipe, Field(discriminator="type")]


class SyntheticSpec(Contract):
    """Synthetic records made inside a training, for its training side; validation and test are always real ones.

    The faults are those of the dataset that can be made, the sampling rate is the dataset's, the training's seed
    decides."""

    #: `add`: beside the real training records; `only`: instead of them.
    mode: Literal["add", "only"] = "add"
    units_per_fault: int = Field(6, ge=1, le=10_000)
    records_per_unit: int = Field(2, ge=1, le=10_000)
    duration_s: float = Field(2.0, ge=0.25, le=60)
    #: default: from the slowest to the fastest real training record.
    shaft_speed_rpm: SpeedRangeRpm | None = None
    speed_wander: SpeedWander = 0.003
    severity: SeverityRange = (0.3, 1.0)
    snr_db: SnrRangeDb = (0.0, 12.0)
    #: default: the dataset's.
    bearing: BearingGeometry | None = None


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
    #: default: real records only.
    synthetic: SyntheticSpec | None = None
    seed: Seed = 7

    @property
    def recipe_window_s(self) -> float:
        """The window that is asked for, or the recipe's own."""
        return self.recipe.default_window_s if self.window_s is None else self.window_s

    @model_validator(mode="after")
    def _synthetic_holds_a_window(self) -> "TrainingSpec":
        if self.synthetic and self.synthetic.duration_s < self.recipe_window_s:
            raise ValueError(f"synthetic.duration_s must be at least one window, {self.recipe_window_s:g} s")
        return self


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
