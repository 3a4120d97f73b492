"""What the numbers of a demo say and what they do not, in one paragraph made of the numbers alone. Pure."""

from collections.abc import Mapping

from services.cli.ui.text import percent, plural, safe
from shared.contracts.results import EvaluationResult, FaultScore

#: Fewer units than this on the test side, and the interval is wider than most differences between models.
FEW_UNITS = 30
_WORTH_A_WORD = 0.02  #: a difference in accuracy

Results = Mapping[str, EvaluationResult]  #: by type of model


def reading(headline: Results, control: Results, units: str) -> str:
    """The paragraph under the tables."""
    best = max(headline.values(), key=lambda result: result.record.accuracy.value)
    sentences = [_what_was_asked(best, units), _score(best, units), _width(best, units)]
    sentences += [_models_apart(headline), _against_majority(best), _weakest(best, units), _lone(best, units)]
    if best.model_type in control:
        sentences.append(_control(best, control[best.model_type], units))
    return " ".join(sentence for sentence in sentences if sentence)


def _what_was_asked(result: EvaluationResult, units: str) -> str:
    split = result.split
    unseen = split.test_units - len(split.shared_units)
    if not split.shared_units:
        return f"None of the {split.test_units} {units} on the test side was ever trained on."
    return f"Of the {split.test_units} {units} on the test side, {unseen} were never trained on."


def _score(result: EvaluationResult, units: str) -> str:
    score = result.record
    right = round(score.accuracy.value * score.count)
    words = f"On all of them {safe(result.model_type)} names the right fault for {right} of {score.count} records"
    unseen = [fault for fault in score.per_fault if fault.shared_units == 0]
    if not unseen or len(unseen) == len(score.per_fault):
        return f"{words}."
    right = sum(round(fault.recall.value * fault.count) for fault in unseen)
    count = sum(fault.count for fault in unseen)
    return f"{words}; of those of faults with no {units[:-1]} on both sides, for {right} of {count}."


def _width(result: EvaluationResult, units: str) -> str:
    low, high = result.record.accuracy.low, result.record.accuracy.high
    span = f"{100 * low:.0f} to {100 * high:.0f} %"
    if result.split.test_units < FEW_UNITS:
        return f"With {result.split.test_units} {units} the interval is wide, {span}: trust the first digit at most."
    return f"The interval is {span}."


def _models_apart(results: Results) -> str:
    if len(results) < 2:
        return ""
    ranked = sorted(results.values(), key=lambda result: result.record.accuracy.value, reverse=True)
    first, second = ranked[0].record.accuracy, ranked[1].record.accuracy
    if first.low > second.high:
        return f"It is ahead of {safe(ranked[1].model_type)} ({percent(second.value)}) by more than the intervals."
    return f"{safe(ranked[1].model_type)} ({percent(second.value)}) can't be told apart from it on so little data."


def _against_majority(result: EvaluationResult) -> str:
    guess = result.majority_accuracy
    if result.record.accuracy.low <= guess:
        return f"That is not clearly better than always naming the most frequent fault ({percent(guess)})."
    return f"Always naming the most frequent fault would score {percent(guess)}."


def _weakest(result: EvaluationResult, units: str) -> str:
    known = [score for score in result.record.per_fault if score.count]
    worst = min(known, key=lambda score: score.recall.value)
    if worst.recall.value >= 1:
        return "No fault was missed on this test side."
    right = round(worst.recall.value * worst.count)
    words = f"{safe(worst.fault)} fails most: {right} of {worst.count} records of {_units(worst, units)}"
    taken_for = _taken_for(result, worst)
    return f"{words}, mostly called {safe(taken_for)}." if taken_for else f"{words}."


def _taken_for(result: EvaluationResult, score: FaultScore) -> str | None:
    if score.fault not in result.faults:
        return None
    place = result.faults.index(score.fault)
    row = [count if column != place else 0 for column, count in enumerate(result.record.confusion[place])]
    return result.faults[row.index(max(row))] if any(row) else None


def _lone(result: EvaluationResult, units: str) -> str:
    lone = [safe(score.fault) for score in result.record.per_fault if score.count and score.units == 1]
    if not lone or not result.split.shared_units:
        return ""
    return f"{', '.join(lone)} exists on one {units[:-1]} only, so its recall says nothing about others."


def _control(headline: EvaluationResult, control: EvaluationResult, units: str) -> str:
    own, other = headline.record.accuracy, control.record.accuracy
    words = f"With the same {units} on both sides {safe(control.model_type)} scores {percent(other.value)}"
    more = other.value - own.value
    if other.low > own.high:
        return f"{words}: the {100 * more:.0f} points more are knowledge of these {units}, not of the faults."
    if more > _WORTH_A_WORD:
        return f"{words}. That is no second proof, because it knows these {units} already; and on so few of them" + (
            f" the {100 * more:.0f} points more may be chance."
        )
    return f"{words}: here it is not the easier question."


def _units(score: FaultScore, units: str) -> str:
    return plural(score.units, units[:-1], units)
