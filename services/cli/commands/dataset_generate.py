"""`faultline datasets generate`: synthetic records."""

from typing import Annotated

import typer

from services.cli.arguments import build
from services.cli.commands.bearing import BEARING_HELP, bearing_of
from services.cli.outcome import Pool, Priority, Wait, Watch, follow_up
from services.cli.session import Session
from shared.contracts.specs import GenerateSpec

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the new dataset.", show_default=False)]
Family = Annotated[str | None, typer.Option(help="rolling_element (default) or journal.")]
Faults = Annotated[list[str] | None, typer.Option("--fault", help="Fault to generate (repeat); default: all.")]
Units = Annotated[int | None, typer.Option(help="Machines per fault.")]
Records = Annotated[int | None, typer.Option(help="Records per machine.")]
Length = Annotated[float | None, typer.Option("--duration", metavar="S", help="Seconds per record.")]
Rate = Annotated[float | None, typer.Option(metavar="HZ", help="Sampling rate.")]
Range = tuple[float, float] | None
Speed = Annotated[Range, typer.Option("--speed-rpm", metavar="LOW HIGH", help="Range of shaft speeds.")]
Wander = Annotated[float | None, typer.Option(help="How much the speed varies within a record, as a share of it.")]
Severity = Annotated[Range, typer.Option(metavar="LOW HIGH", help="Range of severity in [0, 1].")]
Noise = Annotated[Range, typer.Option("--snr-db", metavar="LOW HIGH", help="Range of signal to noise.")]
Bearing = Annotated[str | None, typer.Option(help=BEARING_HELP)]
Seed = Annotated[int | None, typer.Option(help="Same seed, same bytes.")]


def generate(
    session: Session,
    name: Name,
    family: Family = None,
    faults: Faults = None,
    units: Units = None,
    records: Records = None,
    length: Length = None,
    rate: Rate = None,
    speed: Speed = None,
    speed_wander: Wander = None,
    severity: Severity = None,
    snr: Noise = None,
    bearing: Bearing = None,
    seed: Seed = None,
    pool: Pool = None,
    priority: Priority = 0,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Make a synthetic dataset whose faults are known exactly."""
    spec = build(
        GenerateSpec,
        name=name,
        family=family,
        faults=faults or None,
        units_per_fault=units,
        records_per_unit=records,
        duration_s=length,
        sample_rate_hz=rate,
        shaft_speed_rpm=speed,
        speed_wander=speed_wander,
        severity=severity,
        snr_db=snr,
        bearing=bearing_of(bearing),
        seed=seed,
    )
    run = session.client.generate_dataset(spec, pool=pool, priority=priority)
    follow_up(session, run, wait=wait, watching=watch)
