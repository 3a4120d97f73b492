"""The stages of the demo, in order: stack, data, training, evaluation, reading."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

from services.cli.arguments import WrongArguments
from services.cli.commands.dataset_import import checked_spec, send
from services.cli.credentials import state_dir
from services.cli.demo.board import Entry, watch_all
from services.cli.demo.plan import SEED, Experiment, Job, Plan, generated_plan, jobs, recorded_plan, suffix
from services.cli.demo.reading import reading
from services.cli.demo.record import Record
from services.cli.demo.report import print_report, print_stage, working
from services.cli.demo.stack import Ground, stack_for
from services.cli.importing import match, scan
from services.cli.presets import PRESETS
from services.cli.session import Session
from services.cli.ui.tables import skipped
from services.cli.ui.text import plural, safe
from shared.contracts.results import DatasetResult, EvaluationResult
from shared.contracts.specs import EvaluationSpec, GenerateSpec, Spec
from shared.contracts.views import RunView
from shared.errors import Fatal

#: What generated data comes to: seconds of work, not minutes.
UNITS_PER_FAULT, RECORDS_PER_UNIT, RECORD_S = 6, 3, 1.0

#: experiment -> type of model -> its scores
Scores = dict[str, dict[str, EvaluationResult]]


def recorded_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Records named as the preset says, and the names of other files. Raises `WrongArguments` without any."""
    preset = PRESETS["cwru"]
    found = scan(folder)
    fits, others = match(found.files, preset.rule)
    if not fits:
        raise WrongArguments(
            f"No file in {str(folder)!r} is named as the demo knows it (for instance {preset.example}).",
            remedy=f"Bring your own naming: faultline datasets import {folder} --name NAME --rule RE2 --rate HZ,"
            " then `faultline train` and `faultline evaluate`.",
        )
    return fits, [path.name for path in others]


class Demo:
    """One demo."""

    def __init__(self, session: Session, data: Path | None, *, keep: bool) -> None:
        self.session = session
        self.keep = keep
        self.files, self.left_out = recorded_files(data) if data is not None else ([], [])
        self.mark = suffix()
        self.record = Record(SEED)

    def run(self) -> Path:
        """All stages; where the record of it is. Raises `RunFailed` where a run does not succeed."""
        with ExitStack() as stack:
            with self.record.stage("stack"), working(self.session, "starting the stack"):
                ground = stack.enter_context(stack_for(self.session, keep=self.keep))
                me = self.session.client.me()
            self._tell("stack", f"{safe(ground.words)}, project {safe(me.project)}")
            return self._work(ground)

    def _work(self, ground: Ground) -> Path:
        with self.record.stage("data"):
            dataset = self._dataset()
        counts = ", ".join(f"{safe(fault)} {count}" for fault, count in dataset.faults.items())
        plan = recorded_plan(dataset.labels) if self.files else generated_plan()
        self._tell("data", f"{plural(dataset.records, 'record')} of {dataset.units} {plan.units}: {counts}")

        todo = jobs(plan, UUID(self.record.dataset["id"]), self.mark)
        with self.record.stage("training"):
            self._run_all("model.train", [(_words(job), job.spec) for job in todo])
        self._tell("training", f"{plural(len(todo), 'model')}, {plural(len(plan.experiments), 'split')}")

        with self.record.stage("evaluation"):
            scores = self._evaluate(todo)
        self._tell("evaluation", f"{plural(len(self.record.evaluations), 'experiment')}, folds pooled")
        return self._end(plan, scores, ground)

    def _dataset(self) -> DatasetResult:
        if self.files:
            if self.left_out:
                self.session.say(skipped(self.left_out, "the name does not fit"))
            spec: Spec = checked_spec(f"demo-{self.mark}", "cwru", {}).model_copy(
                update={"uploads": send(self.session, self.files)}
            )
            kind, words = "dataset.import", "import"
        else:
            spec = GenerateSpec(
                name=f"demo-{self.mark}",
                units_per_fault=UNITS_PER_FAULT,
                records_per_unit=RECORDS_PER_UNIT,
                duration_s=RECORD_S,
                seed=SEED,
            )
            kind, words = "dataset.generate", "generate"
        run = self._run_all(kind, [((words,), spec)])[0]
        view = self.session.client.dataset(f"demo-{self.mark}")
        result = _result(run)
        self.record.dataset = {"id": str(view.id), "name": view.name, "spec": run.spec, "result": result}
        return DatasetResult.model_validate(result)

    def _evaluate(self, todo: Sequence[Job]) -> Scores:
        groups: dict[tuple[str, str], list[Job]] = {}
        for job in todo:
            groups.setdefault((job.experiment.key, job.model_type), []).append(job)
        specs: list[tuple[tuple[str, ...], Spec]] = []
        for members in groups.values():
            ids = [self.session.client.model(job.spec.name).id for job in members]
            spec = EvaluationSpec(model_ids=ids, seed=SEED)
            specs.append(((_title(members[0].experiment), members[0].model_type), spec))
        ended = self._run_all("model.evaluate", specs)
        scores: Scores = {}
        for (experiment, model_type), run in zip(groups, ended, strict=True):
            result = EvaluationResult.model_validate(_result(run))
            scores.setdefault(experiment, {})[model_type] = result
            self.record.evaluated(experiment, run, result)
        return scores

    def _run_all(self, kind: str, asked: Sequence[tuple[tuple[str, ...], Spec]]) -> list[RunView]:
        labels = {"demo": self.mark}
        entries = [Entry(words, self.session.client.submit(kind, spec, labels=labels)) for words, spec in asked]
        ended = watch_all(self.session, entries)
        for run in ended:
            self.record.ran(run)
        return ended

    def _end(self, plan: Plan, scores: Scores, ground: Ground) -> Path:
        by_role = {experiment.role: scores[experiment.key] for experiment in plan.experiments}
        self.record.reading = reading(by_role["headline"], by_role.get("control", {}), plan.units)
        path = self.record.write(state_dir() / "demo.json")
        if self.session.as_json:
            self.session.emit(self.record.document())
            return path
        print_report(self.session, plan, scores, self.record.reading)
        stays = ground.started_here and not self.keep
        self.session.say("")
        self.session.say(f"All of it is in {path}." + (" The stack stops now." if stays else ""))
        return path

    def _tell(self, stage: str, words: str) -> None:
        print_stage(self.session, stage, words, self.record.stage_seconds[stage])


def _words(job: Job) -> tuple[str, ...]:
    held_out = ", ".join(job.fold.split.held_out or ()) or "drawn"
    return _title(job.experiment), job.model_type, f"without {held_out}" if job.fold.split.held_out else "a third out"


def _title(experiment: Experiment) -> str:
    return experiment.title.partition(":")[0].lower()


def _result(run: RunView) -> dict[str, object]:
    if run.envelope is None or run.envelope.result is None:
        raise Fatal(f"Run {run.id} succeeded without a result.", remedy="Look at `faultline runs show` and the logs.")
    return run.envelope.result
