"""A bearing as one word of a command line."""

from services.cli.arguments import WrongArguments, build
from services.cli.presets import BEARINGS
from shared.contracts.specs import BearingGeometry

BEARING_HELP = f"{', '.join(BEARINGS)}, or ROLLERS:ROLLER_MM:PITCH_MM:DEGREES."


def bearing_of(word: str | None) -> BearingGeometry | None:
    """A known bearing, or one given by its four numbers. Raises `WrongArguments`."""
    if word is None or word in BEARINGS:
        return BEARINGS[word] if word else None
    names = ("rollers", "roller_diameter_mm", "pitch_diameter_mm", "contact_angle_deg")
    values = word.split(":")
    if len(values) != len(names):
        raise WrongArguments(
            f"--bearing {word!r} is neither {', '.join(BEARINGS)} nor ROLLERS:ROLLER_MM:PITCH_MM:DEGREES.",
            remedy="For instance --bearing 9:7.94:39.04:0.",
        )
    return build(BearingGeometry, **dict(zip(names, values, strict=True)))
