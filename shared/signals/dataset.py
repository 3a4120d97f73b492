"""The dataset file format: `manifest.json` (what there is) and `shard-00000.h5` ... (raw float32 signals).

Written by `services/generation`, read by training and evaluation. The manifest is enough to plan a split; a shard is
opened only for its signals. Shapes: `signal_CL` is [channel, sample], float32, in the unit of the source.

Digests: a record's is sha256 over its float32 little-endian bytes in C order; a dataset's is sha256 over the records'
digests (32 raw bytes each) in order. Neither depends on the shard size.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from shared.contracts.base import Contract
from shared.contracts.specs import BearingGeometry
from shared.errors import UserError

MANIFEST_NAME = "manifest.json"
#: A shard is read through the store in one piece: large enough for a stream, small enough to fetch for one record.
SHARD_BYTES = 128 << 20

_REMEDY = "The dataset is damaged or was not written by Faultline: import or generate it again."

Signal = NDArray[np.float32]
RecordId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=+@,#-]{0,199}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
Speed = Annotated[float, Field(gt=0, le=200_000, allow_inf_nan=False)]
ShardName = Annotated[str, StringConstraints(pattern=r"^shard-[0-9]{5}\.h5$")]


@dataclass(frozen=True)
class RecordInfo:
    """One record: one signal of one physical unit with one fault."""

    id: RecordId
    fault: Text
    unit: Text  #: the physical bearing or machine; what a split must not share
    labels: dict[str, str]  #: what else a split may use, e.g. size_mils="007"
    sample_rate_hz: Rate
    shaft_speed_rpm: Speed | None
    samples: Annotated[int, Field(ge=1)]  #: per channel
    source: Text  #: file or recipe that it came from
    same_unit_block: bool  #: a block of a unit's only record, cut so that the class can stand on both sides of a split
    sha256: Sha256
    shard: ShardName

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate_hz


class Manifest(Contract):
    """Content of `manifest.json`."""

    format: Literal["faultline-dataset"] = "faultline-dataset"
    version: Literal[1] = 1
    channels: list[Text] = Field(min_length=1, max_length=64)
    bearing: BearingGeometry | None
    records: list[RecordInfo] = Field(min_length=1)
    digest: Sha256

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({record.id for record in self.records}) != len(self.records):
            raise ValueError("two records have the same id")
        if self.digest != dataset_digest(self.records):
            raise ValueError("digest does not fit the records")
        return self


_RECORD: TypeAdapter[RecordInfo] = TypeAdapter(RecordInfo)


def record_digest(signal_CL: Signal) -> str:
    """sha256 over the float32 little-endian bytes of one record, C order, as hex."""
    return hashlib.sha256(np.ascontiguousarray(signal_CL, dtype="<f4").data).hexdigest()


def dataset_digest(records: list[RecordInfo]) -> str:
    """sha256 over the records' digests in order, as hex."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(bytes.fromhex(record.sha256))
    return digest.hexdigest()


class DatasetWriter:
    """Writes records one by one into `folder`, a new shard every `shard_bytes`; `close()` writes the manifest.

    As a context manager it lets go of the open shard whatever happens; without `close()` there is no dataset.
    """

    def __init__(
        self, folder: Path, channels: list[str], bearing: BearingGeometry | None, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._folder = folder
        self._channels = list(channels)
        self._bearing = bearing
        self._shard_bytes = shard_bytes
        self._shard: Any = None
        self._shard_count = 0
        self._shard_filled = 0
        self.records: list[RecordInfo] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def add(
        self,
        *,
        id: str,
        fault: str,
        unit: str,
        signal_CL: Signal,
        sample_rate_hz: float,
        shaft_speed_rpm: float | None,
        source: str,
        labels: dict[str, str] | None = None,
        same_unit_block: bool = False,
    ) -> RecordInfo:
        """Append one record; `signal_CL` is float32 [channel, sample], finite. Raises `ValueError` for other input."""
        if signal_CL.dtype != np.float32 or signal_CL.ndim != 2 or len(signal_CL) != len(self._channels):
            wanted = f"float32 [{len(self._channels)}, samples]"
            raise ValueError(f"{id}: {signal_CL.dtype} {signal_CL.shape} is not {wanted}")
        if not np.isfinite(signal_CL).all():
            raise ValueError(f"{id}: NaN or infinite values")
        shard = self._shard_for(signal_CL.nbytes)
        info = _RECORD.validate_python(
            {
                "id": id,
                "fault": fault,
                "unit": unit,
                "labels": dict(sorted((labels or {}).items())),
                "sample_rate_hz": float(sample_rate_hz),
                "shaft_speed_rpm": None if shaft_speed_rpm is None else float(shaft_speed_rpm),
                "samples": signal_CL.shape[1],
                "source": source,
                "same_unit_block": same_unit_block,
                "sha256": record_digest(signal_CL),
                "shard": f"shard-{self._shard_count - 1:05d}.h5",
            }
        )
        if info.id in shard:
            raise ValueError(f"{info.id}: there is a record with this id already")
        stored = shard.create_dataset(info.id, data=np.ascontiguousarray(signal_CL, dtype="<f4"))
        stored.attrs["axes"] = "channel,sample"
        for name, value in asdict(info).items():
            stored.attrs[name] = json.dumps(value) if name == "labels" else (np.nan if value is None else value)
        self._shard_filled += signal_CL.nbytes
        self.records.append(info)
        return info

    def close(self) -> Manifest:
        """Finish the last shard and write the manifest. Raises `ValueError` for an empty dataset or a repeated id."""
        self._let_go()
        manifest = Manifest(
            channels=self._channels,
            bearing=self._bearing,
            records=self.records,
            digest=dataset_digest(self.records),
        )
        (self._folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        return manifest

    def files(self) -> list[Path]:
        """The files of the dataset, manifest first."""
        return [self._folder / name for name in (MANIFEST_NAME, *sorted({r.shard for r in self.records}))]

    def _shard_for(self, size_bytes: int) -> Any:
        if self._shard is None or (self._shard_filled and self._shard_filled + size_bytes > self._shard_bytes):
            self._let_go()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._shard = h5py.File(self._folder / f"shard-{self._shard_count:05d}.h5", "w", libver="v110")
            self._shard.attrs["format"] = "faultline-dataset-shard"
            self._shard.attrs["version"] = 1
            self._shard.attrs["channels"] = json.dumps(self._channels)
            self._shard_count += 1
            self._shard_filled = 0
        return self._shard

    def _let_go(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


class Dataset:
    """A dataset opened for reading. Holds no file handle, so it may be pickled or used after a fork."""

    def __init__(self, manifest: Manifest, path_of: Callable[[str], Path]) -> None:
        self.records: list[RecordInfo] = manifest.records
        self.channels: list[str] = manifest.channels
        self.bearing: BearingGeometry | None = manifest.bearing
        self.digest: str = manifest.digest
        self._path_of = path_of

    @classmethod
    def open(cls, path_of: Callable[[str], Path]) -> "Dataset":
        """Read and check the manifest. `path_of` gives the local path of a file by name.

        Raises `UserError` where the manifest is missing, torn, of another version or contradicts itself."""
        path = path_of(MANIFEST_NAME)
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise UserError(f"{MANIFEST_NAME} is not valid at {place}: {first['msg']}.", remedy=_REMEDY) from error
        except OSError as error:
            raise UserError(f"{MANIFEST_NAME} cannot be read: {error.strerror}.", remedy=_REMEDY) from error
        return cls(manifest, path_of)

    def signal_CL(self, record: RecordInfo) -> Signal:
        """Signal of one record, float32 [channel, sample], checked against its digest.

        Raises `UserError` where the shard is missing, torn, or holds something else than the manifest says."""
        path = self._path_of(record.shard)
        try:
            with h5py.File(path, "r") as shard:
                signal_CL = self._read(shard, record)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{record.shard} cannot be read.", remedy=_REMEDY) from error
        if record_digest(signal_CL) != record.sha256:
            raise UserError(f"{record.shard}: the signal of {record.id!r} has another digest.", remedy=_REMEDY)
        return signal_CL

    def _read(self, shard: Any, record: RecordInfo) -> Signal:
        # A link or an external storage could lead to any file of this machine.
        if not isinstance(shard.get(record.id, getlink=True), h5py.HardLink):
            raise UserError(f"{record.shard} holds no record {record.id!r}.", remedy=_REMEDY)
        stored = shard[record.id]
        shape = (len(self.channels), record.samples)
        plain = isinstance(stored, h5py.Dataset) and not stored.is_virtual and not stored.external
        if not plain or stored.dtype != np.dtype("<f4") or stored.shape != shape:
            raise UserError(f"{record.shard}: {record.id!r} is not float32 {list(shape)}.", remedy=_REMEDY)
        return np.asarray(stored[()], dtype=np.float32)
