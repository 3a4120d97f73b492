"""Counts to scores with honest intervals. Pure numpy; called by `evaluation.py` and the models.

Records of one bearing resemble each other more than they resemble the next bearing, so what counts as "how many were
tested" is the number of physical units, not of windows or records. Intervals are a bootstrap that draws whole units
(within each fault); with few units that is too narrow, and it is nothing at all where every unit is right, so there
the interval is widened to Wilson's for as many trials as there are units. A unit that shows several faults is drawn
for each of them by itself, and counts once as a trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.contracts.results import FaultScore, Interval, Scores

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

#: A percentile bootstrap over fewer clusters than this is known to be too narrow.
FEW_UNITS = 20
#: A stratum of n units is resampled with (n - 1) / n of its variance, one of a single unit with none.
FEW_UNITS_OF_A_FAULT = 5


@dataclass(frozen=True)
class Predictions:
    """What was said of each record or window, with the physical unit it came from."""

    truth_N: Int64
    predicted_N: Int64
    unit_N: NDArray[np.str_]


def confusion_KK(truth_N: Int64, predicted_N: Int64, faults: int) -> Int64:
    """Counts; rows truth, columns prediction."""
    return np.bincount(truth_N * faults + predicted_N, minlength=faults * faults).reshape(faults, faults)


def accuracy(counts_KK: Int64) -> float:
    """Share that is right."""
    return float(np.trace(counts_KK) / counts_KK.sum())


def macro_f1(counts_KK: Int64) -> float:
    """Mean F1 over the faults that occur, as truth or as prediction."""
    return float(_macro_f1_R(counts_KK[None].astype(np.float64))[0])


def wilson(value: float, trials: float, confidence: float) -> Interval:
    """Wilson's score interval of a proportion."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (value + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(value * (1 - value) / trials + z * z / (4 * trials * trials)))
    return Interval(value=value, low=min(value, max(0.0, centre - half)), high=max(value, min(1.0, centre + half)))


def interval_method(confidence: float, resamples: int) -> str:
    """How `scored` makes its intervals, for the report."""
    return (
        f"{confidence:.0%} percentile bootstrap, {resamples} resamples of whole physical units within each fault; with"
        f" fewer than {FEW_UNITS} units, fewer than {FEW_UNITS_OF_A_FAULT} of a fault, or where all or none is right,"
        " widened to Wilson's interval with the number of units as the number of trials (macro F1 is treated as a"
        " proportion there)."
    )


def scored(
    unit: Literal["record", "window"],
    predictions: Predictions,
    faults: Sequence[str],
    confidence: float,
    resamples: int,
    seed: int,
) -> Scores:
    """All scores of one set of predictions."""
    clusters_UKK, fault_U, unit_names = _clusters(predictions, len(faults))
    counts_KK = clusters_UKK.sum(axis=0)
    drawn_RKK = _resampled(clusters_UKK, fault_U, resamples, np.random.default_rng(seed))
    units = len(set(unit_names))
    few = units < FEW_UNITS or int(np.bincount(fault_U).min()) < FEW_UNITS_OF_A_FAULT
    total_R = drawn_RKK.sum(axis=(1, 2))
    right_RK = np.diagonal(drawn_RKK, axis1=1, axis2=2)
    predicted_K = counts_KK.sum(axis=0)
    per_fault = []
    for k, fault in enumerate(faults):
        count, right = int(counts_KK[k].sum()), int(counts_KK[k, k])
        if count == 0:
            raise ValueError(f"no {unit} of {fault} was tested")
        recall = right / count
        of_fault = int(np.count_nonzero(fault_U == k))
        recall_R = right_RK[:, k] / np.maximum(drawn_RKK[:, k].sum(axis=1), 1)
        precision = right / predicted_K[k] if predicted_K[k] else 0.0
        per_fault.append(
            FaultScore(
                fault=fault,
                count=count,
                units=of_fault,
                recall=_interval(recall, recall_R, of_fault, confidence, few=of_fault < FEW_UNITS),
                precision=float(precision),
                f1=float(2 * right / (count + predicted_K[k])),
            )
        )
    return Scores(
        unit=unit,
        count=int(counts_KK.sum()),
        accuracy=_interval(accuracy(counts_KK), right_RK.sum(axis=1) / total_R, units, confidence, few=few),
        macro_f1=_interval(macro_f1(counts_KK), _macro_f1_R(drawn_RKK), units, confidence, few=few),
        per_fault=per_fault,
        confusion=counts_KK.tolist(),
    )


def _interval(value: float, drawn_R: Float64, units: int, confidence: float, *, few: bool) -> Interval:
    tail = (1 - confidence) / 2
    low, high = (float(edge) for edge in np.quantile(drawn_R, [tail, 1 - tail]))
    low, high = min(low, value), max(high, value)
    if few or value in (0.0, 1.0):
        other = wilson(value, units, confidence)
        low, high = min(low, other.low), max(high, other.high)
    return Interval(value=value, low=low, high=high)


def _clusters(predictions: Predictions, faults: int) -> tuple[Int64, Int64, list[str]]:
    """Confusion counts per (fault, unit) [cluster, truth, prediction], the fault of each, and its unit's name."""
    names, unit_index_N = np.unique(predictions.unit_N, return_inverse=True)
    pairs, cluster_N = np.unique(unit_index_N * faults + predictions.truth_N, return_inverse=True)
    counts_UKK = np.zeros((len(pairs), faults, faults), dtype=np.int64)
    np.add.at(counts_UKK, (cluster_N, predictions.truth_N, predictions.predicted_N), 1)
    return counts_UKK, pairs % faults, [str(names[pair // faults]) for pair in pairs]


def _resampled(clusters_UKK: Int64, fault_U: Int64, resamples: int, random: np.random.Generator) -> Float64:
    """Confusion counts of each resample [resample, truth, prediction]: as many units of each fault as there were."""
    drawn_RKK = np.zeros((resamples, *clusters_UKK.shape[1:]))
    for fault in np.unique(fault_U):
        own_UKK = clusters_UKK[fault_U == fault]
        units = len(own_UKK)
        times_RU = random.multinomial(units, np.full(units, 1 / units), size=resamples)
        drawn_RKK += np.tensordot(times_RU, own_UKK, axes=1)
    return drawn_RKK


def _macro_f1_R(counts_RKK: Float64) -> Float64:
    right_RK = np.diagonal(counts_RKK, axis1=1, axis2=2)
    named_RK = counts_RKK.sum(axis=1) + counts_RKK.sum(axis=2)
    f1_RK = np.divide(2 * right_RK, named_RK, out=np.zeros_like(right_RK), where=named_RK > 0)
    return np.asarray(f1_RK.sum(axis=1) / np.count_nonzero(named_RK > 0, axis=1))
