"""Celery: the app, the wrapper around bodies and steps, the trainer's supervisor, the worker."""

from shared.queue.registry import run_task, step_task

__all__ = ["run_task", "step_task"]
