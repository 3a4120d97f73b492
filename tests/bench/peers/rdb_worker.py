"""One of several processes that share a study in an RDBStorage: `python -m ... URL TRIALS TRIAL_S GO`."""

import os
import sys
import time
from pathlib import Path

import optuna
from optuna.study import MaxTrialsCallback


def objective(trial: optuna.Trial) -> float:
    """Six numbers and a pause."""
    values = [trial.suggest_float(name, -5.0, 5.0) for name in "abcdef"]
    time.sleep(float(sys.argv[3]))
    return sum(value * value for value in values)


def main() -> None:
    """Wait for the start, then share the trials."""
    url, trials, go = sys.argv[1], int(sys.argv[2]), Path(sys.argv[4])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True)
    study = optuna.load_study(storage=url, study_name="bench", sampler=sampler)
    go.with_name(f"{go.name}.ready-{os.getpid()}").touch()
    while not go.exists():
        time.sleep(0.002)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING)
    study.optimize(objective, callbacks=[MaxTrialsCallback(trials, states=states)])


if __name__ == "__main__":
    main()
