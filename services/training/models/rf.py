"""Random forest on vibration features of each window.

Trees are grown one at a time, which gives the same forest as growing them at once and lets a run stop between two.
A run that stops starts again: a forest is grown in seconds, and its seed makes it the same one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from services.training.feature_table import FeatureTable
from services.training.models.base import Fit, Model, Probability, Setup
from services.training.scores import accuracy, confusion_KK, macro_f1
from services.training.windows import WindowSet
from shared.contracts.specs import RandomForestRecipe
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped

#: Trees between two points of the curves.
TREES_PER_POINT = 10
#: Share of the progress that computing the features takes.
FEATURES_SHARE = 0.6
#: What the file may hold beside the types that skops trusts by itself. A tree is an array of node indices that
#: scikit-learn follows without looking, so `_check_tree` looks first.
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]
#: What skops raises for a file that is damaged, was made up, or holds another release's objects.
NOT_READABLE = (
    UntrustedTypesFoundException,
    UnsupportedTypeException,
    BadZipFile,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    OSError,
)


class RandomForest(Model):
    """The forest with its recipe."""

    file_name: ClassVar[str] = "model.skops"

    def __init__(self, recipe: RandomForestRecipe, setup: Setup) -> None:
        self.recipe = recipe
        self.faults = setup.faults
        self.table = FeatureTable(setup.channels, setup.sample_rate_hz, setup.bearing)
        self.forest = RandomForestClassifier(
            n_estimators=1,
            max_depth=recipe.max_depth,
            min_samples_leaf=recipe.min_leaf,
            random_state=setup.seed,
            warm_start=True,
            n_jobs=1,
        )

    def fit(
        self,
        train: WindowSet,
        validation: WindowSet,
        reporter: Reporter,
        artifacts: RunArtifacts,  # noqa: ARG002 - nothing to resume from
    ) -> Fit:
        """Grow the trees; validation tells how the forest does as it grows. Raises `RunStopped` on request."""
        total = len(train) + len(validation)
        assert len(np.unique(train.label_N)) == len(self.faults), "a column of the probabilities would be missing"

        def tell(done: float) -> None:
            _stop_if_asked(reporter)
            reporter.progress(FEATURES_SHARE * done, stage="features")

        train_NF = self.table.values_NF(train, lambda share: tell(share * len(train) / total))
        validation_NF = self.table.values_NF(validation, lambda share: tell(1 - (1 - share) * len(validation) / total))
        weight_N = train.balanced_weight_N()
        votes_NK = np.zeros((len(validation), len(self.faults)))
        history: list[dict[str, float]] = []
        for grown in range(1, self.recipe.trees + 1):
            _stop_if_asked(reporter)
            self.forest.set_params(n_estimators=grown).fit(train_NF, train.label_N, sample_weight=weight_N)
            votes_NK += self.forest.estimators_[-1].tree_.predict(validation_NF)
            if grown % TREES_PER_POINT and grown < self.recipe.trees:
                continue
            counts_KK = confusion_KK(validation.label_N, votes_NK.argmax(axis=1), len(self.faults))
            scores = {"validation_accuracy": accuracy(counts_KK), "validation_macro_f1": macro_f1(counts_KK)}
            history.append({"trees": float(grown), **scores})
            reporter.metrics(grown, **scores)
            share = FEATURES_SHARE + (1 - FEATURES_SHARE) * grown / self.recipe.trees
            reporter.progress(share, stage="training", current=grown, total=self.recipe.trees)
        return Fit(
            epochs=1,
            best_epoch=1,
            validation_accuracy=history[-1]["validation_accuracy"],
            validation_macro_f1=history[-1]["validation_macro_f1"],
            history=history,
        )

    def probability_NK(self, windows: WindowSet, progress: Callable[[float], None] | None = None) -> Probability:
        """Mean over the trees of the class shares in their leaves, float64 [window, fault]."""
        tell = progress or (lambda _share: None)
        values_NF = self.table.values_NF(windows, lambda share: tell(FEATURES_SHARE * share))
        votes_NK: Probability = np.zeros((len(windows), len(self.faults)))
        trees = self.forest.estimators_
        for place, tree in enumerate(trees, start=1):
            votes_NK += tree.tree_.predict(values_NF)
            tell(FEATURES_SHARE + (1 - FEATURES_SHARE) * place / len(trees))
        return votes_NK / len(trees)

    def parameters(self) -> int:
        """Nodes of all trees."""
        return sum(int(tree.tree_.node_count) for tree in self.forest.estimators_)

    def save(self, folder: Path) -> Path:
        """Write the forest as skops."""
        path = folder / self.file_name
        skops.io.dump(self.forest, path)
        return path

    def load(self, path: Path) -> None:
        """Read the forest. Raises `UserError` for a file that is damaged or holds more than this forest."""
        try:
            forest = skops.io.load(path, trusted=TRUSTED_TYPES)
        except NOT_READABLE as error:
            raise _not_a_forest() from error
        trees = getattr(forest, "estimators_", None)
        if type(forest) is not RandomForestClassifier or not isinstance(trees, list) or not trees:
            raise _not_a_forest()
        for tree in trees:
            inner = getattr(tree, "tree_", None)
            if type(tree) is not DecisionTreeClassifier or type(inner) is not Tree:
                raise _not_a_forest()
            _check_tree(inner, len(self.table.names), len(self.faults))
        self.forest = forest

    def config(self) -> dict[str, Any]:
        """The features, in the order of the columns."""
        return {"feature_names": self.table.names}


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise RunStopped


def _check_tree(tree: Any, features: int, faults: int) -> None:
    """Raise `UserError` unless every path from the root ends in a leaf and every index is in range."""
    nodes = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    falls = (left > nodes) & (right > nodes) & (left < len(nodes)) & (right < len(nodes))
    in_range = (feature >= 0) & (feature < features)
    fits = tree.n_features == features and tree.value.shape == (len(nodes), 1, faults)
    if not (fits and len(nodes) and (falls & in_range)[inner].all() and np.isfinite(tree.value).all()):
        raise _not_a_forest()


def _not_a_forest() -> UserError:
    return UserError(f"{RandomForest.file_name} does not hold a forest of this model.", remedy="Train the model again.")
