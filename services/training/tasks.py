"""The bodies of this service. Named, not imported: torch is loaded by trainers, never by the worker."""

from shared.queue import run_task

run_task("model.train", "services.training.training:train_model", mode="supervised")
run_task("model.evaluate", "services.training.evaluation:evaluate_model", mode="supervised")
