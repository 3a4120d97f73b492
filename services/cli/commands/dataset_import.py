"""`faultline datasets import`: a folder of records becomes a dataset."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.arguments import WrongArguments, build, pairs
from services.cli.commands.bearing import BEARING_HELP, bearing_of
from services.cli.importing import GOES_ON, check_free, match, scan, upload
from services.cli.lazy import INTERRUPTED
from services.cli.outcome import Pool, Priority, Wait, Watch, follow_up
from services.cli.presets import PRESETS, Preset
from services.cli.session import Session
from services.cli.ui.tables import skipped
from services.cli.ui.text import plural
from shared.contracts.specs import ImportSpec

_NO_UPLOAD = "00000000-0000-0000-0000-000000000000"  #: stands in while the rest of a spec is checked

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of .mat or .csv records.", show_default=False)]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the new dataset.", show_default=False)]
PresetName = Annotated[str | None, typer.Option("--preset", help=f"Known file naming: {', '.join(PRESETS)}.")]
Rule = Annotated[
    str | None,
    typer.Option(metavar="RE2", help="Pattern on file names; its named groups become labels, `fault` is required."),
]
FaultNames = Annotated[
    list[str] | None, typer.Option("--fault-name", metavar="CODE=FAULT", help="Full name of a fault code (repeat).")
]
UnitLabels = Annotated[
    list[str] | None, typer.Option("--unit-label", metavar="LABEL", help="Labels that name one machine (repeat).")
]
Channels = Annotated[
    list[str] | None, typer.Option("--channel", metavar="NAME", help="Variable or column to read (repeat).")
]
Rates = Annotated[
    list[float] | None,
    typer.Option("--rate", metavar="HZ", help="Sampling rate; of several, each record's spectrum decides."),
]
TargetRate = Annotated[float | None, typer.Option(metavar="HZ", help="Resample all records to this rate.")]
SpeedVariable = Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the shaft speed.")]
SpeedRpm = Annotated[float | None, typer.Option(metavar="RPM", help="Shaft speed where a file names none.")]
Blocks = Annotated[int | None, typer.Option(help="Cut a fault known from one machine only into so many blocks.")]
Bearing = Annotated[str | None, typer.Option(help=BEARING_HELP)]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into folders below FOLDER too.")]


def import_folder(
    session: Session,
    folder: Folder,
    name: Name,
    preset: PresetName = None,
    rule: Rule = None,
    fault_names: FaultNames = None,
    unit_labels: UnitLabels = None,
    channels: Channels = None,
    rates: Rates = None,
    target_rate: TargetRate = None,
    speed_variable: SpeedVariable = None,
    speed_rpm: SpeedRpm = None,
    blocks: Blocks = None,
    bearing: Bearing = None,
    recursive: Recursive = False,
    pool: Pool = None,
    priority: Priority = 0,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Make a dataset of recorded files; after a cut the same command goes on with large files where they were.

    Example: faultline datasets import records --name mill --rate 25600
    --rule '(?P<fault>[a-z]+)_(?P<machine>m[0-9]+)' --unit-label machine
    """
    given: dict[str, Any] = {
        "label_rule": rule,
        "fault_names": pairs(fault_names, "--fault-name") or None,
        "unit_labels": unit_labels or None,
        "channels": channels or None,
        "sample_rate_candidates_hz": rates or None,
        "target_sample_rate_hz": target_rate,
        "shaft_speed_variable": speed_variable,
        "shaft_speed_rpm": speed_rpm,
        "single_unit_blocks": blocks,
        "bearing": bearing_of(bearing),
    }
    checked = checked_spec(name, preset, given)
    files = chosen(session, folder, checked.label_rule, recursive=recursive)
    check_free(session.client, name)
    spec = checked.model_copy(update={"uploads": send(session, files)})
    session.say(f"{plural(len(files), 'file')} uploaded.")
    run = session.client.import_dataset(spec, pool=pool, priority=priority)
    follow_up(session, run, wait=wait, watching=watch)


def checked_spec(name: str, preset: str | None, given: dict[str, Any]) -> ImportSpec:
    """The spec, but for its uploads: nothing is sent before the rest is known to be right."""
    stated = {field: value for field, value in given.items() if value is not None}
    fields = {**(preset_fields(_known(preset)) if preset else {}), **stated}
    if "sample_rate_candidates_hz" in stated and "target_sample_rate_hz" not in stated:
        fields.pop("target_sample_rate_hz", None)
    if "label_rule" not in fields:
        raise WrongArguments("How the files are labelled is not said.", remedy="Give --rule, or --preset cwru.")
    if "sample_rate_candidates_hz" not in fields:
        raise WrongArguments(
            "The sampling rate is not said.", remedy="Give --rate HZ, several times where it may vary."
        )
    return build(ImportSpec, name=name, uploads=[_NO_UPLOAD], **fields)


def preset_fields(preset: Preset) -> dict[str, Any]:
    """What a preset fills in."""
    return {
        "label_rule": preset.rule,
        "fault_names": preset.fault_names,
        "unit_labels": preset.unit_labels,
        "channels": preset.channels,
        "sample_rate_candidates_hz": preset.rates_hz,
        "target_sample_rate_hz": preset.target_rate_hz,
        "shaft_speed_variable": preset.speed_variable,
        "single_unit_blocks": preset.single_unit_blocks,
        "bearing": preset.bearing,
    }


def chosen(session: Session, folder: Path, rule: str, *, recursive: bool = False) -> list[Path]:
    """The files to send; says which are left out. Raises `WrongArguments` where none is left."""
    found = scan(folder, recursive=recursive)
    fits, others = match(found.files, rule)
    if not fits:
        raise WrongArguments(
            f"No file name fits the rule {rule!r}; the first file is {found.files[0].name!r}.",
            remedy="Correct --rule: it is searched in the file name without its folder.",
        )
    if found.skipped:
        session.say(skipped(found.skipped, "neither .mat nor .csv"))
    if others:
        session.say(skipped([path.name for path in others], "the name does not fit the rule"))
    return fits


def send(session: Session, files: list[Path]) -> list[UUID]:
    """Upload files under one bar; their ids. Ctrl-C ends it within seconds."""
    sent = dict.fromkeys(files, 0)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    quiet = session.as_json or not session.out.is_terminal
    with Progress(*columns, console=session.out, disable=quiet, transient=True) as bar:
        total = sum(path.stat().st_size for path in files)
        task = bar.add_task(f"uploading {plural(len(files), 'file')}", total=total)

        def report(path: Path, done: int) -> None:
            sent[path] = done
            bar.update(task, completed=sum(sent.values()))

        try:
            return upload(session.client, files, report)
        except KeyboardInterrupt as stop:
            bar.stop()
            session.err.print(f"Stopped. Import again, and {GOES_ON}.")
            raise typer.Exit(INTERRUPTED) from stop


def _known(name: str) -> Preset:
    if name in PRESETS:
        return PRESETS[name]
    raise WrongArguments(f"There is no preset {name!r}.", remedy=f"Use {' or '.join(PRESETS)}, or give --rule.")
