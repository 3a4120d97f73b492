"""The bodies of this service. Files of strangers are parsed by the import, so it runs in a process of its own."""

from shared.queue import run_task

run_task("dataset.import", "services.generation.importing:import_dataset", mode="supervised")
run_task("dataset.generate", "services.generation.generating:generate_dataset", mode="inline")
