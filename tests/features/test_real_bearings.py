"""How far the features carry over to bearings never seen: one fault size held out at a time, by window and record."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from shared.contracts.specs import BearingGeometry
from shared.features import features_NF, rolling_features_NF
from shared.signals.resample import resample_CL
from tests.signals.real import named, needs_real_records, real_files, real_record, speed_rpm

pytestmark = needs_real_records
RATE_HZ = 12_000
SIZES = ("007", "014", "021")


@dataclass
class Piece:
    fault: str
    size: str
    speed_rpm: float
    windows_NL: np.ndarray


@pytest.fixture(scope="module")
def pieces():
    """The records in windows of 1 s; the one normal record in three blocks, one to test with each size."""
    found = []
    for path in real_files():
        match, record = named(path), real_record(path.name)
        signal_CL = record.signal_CL
        blocks = [(match["size"], signal_CL[0])]
        if match["fault"] == "normal":
            signal_L = resample_CL(signal_CL, 48_000, RATE_HZ)[0]
            length = len(signal_L) // 3
            blocks = [(size, signal_L[i * length : (i + 1) * length]) for i, size in enumerate(SIZES)]
        for size, signal_L in blocks:
            windows_NL = signal_L[: len(signal_L) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
            found.append(Piece(match["fault"], size, speed_rpm(record), windows_NL))
    return found


def scores(pieces, features_of):
    """Accuracy by window and by record (mean class score of its windows), and the records that were missed."""
    tables = [features_of(piece) for piece in pieces]
    right, total, missed = 0, 0, []
    for held_out in SIZES:
        train = [i for i, piece in enumerate(pieces) if piece.size != held_out]
        labels = np.concatenate([[pieces[i].fault] * len(tables[i]) for i in train])
        forest = RandomForestClassifier(150, class_weight="balanced", random_state=7)
        forest.fit(np.concatenate([tables[i] for i in train]), labels)
        for piece, table in zip(pieces, tables, strict=True):
            if piece.size == held_out:
                chances = forest.predict_proba(table)
                right += (forest.classes_[chances.argmax(axis=1)] == piece.fault).sum()
                total += len(table)
                if forest.classes_[chances.mean(axis=0).argmax()] != piece.fault:
                    missed.append((piece.fault, piece.size))
    return right / total, 1 - len(missed) / len(pieces), missed


def test_lines_and_bands_carry_over_to_unseen_bearings(pieces):
    by_window, by_record, missed = scores(
        pieces, lambda piece: rolling_features_NF(piece.windows_NL, RATE_HZ, BearingGeometry(), piece.speed_rpm)
    )
    assert by_window > 0.80
    assert by_record > 0.85
    assert not [fault for fault, _ in missed if fault == "ir"]


def test_classic_features_carry_over_clearly_worse(pieces):
    by_window, by_record, _ = scores(pieces, lambda piece: features_NF(piece.windows_NL, RATE_HZ))
    assert by_window < 0.75
    assert by_record < 0.80
