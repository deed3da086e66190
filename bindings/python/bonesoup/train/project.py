"""A soup project: a folder with `soup.yml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonesoup.rewards import Norm, RowReward, load
from bonesoup.train import matrix as matrices
from bonesoup.train.prompts import Prompts, read
from bonesoup.train.reading import Reader, read_yaml
from bonesoup.train.settings import Adapter, Objective, PromptFiles, Training


@dataclasses.dataclass(frozen=True)
class Project:
    """Everything that `soup.yml` says, checked."""

    # The file itself; relative paths in it start from its folder.
    path: Path
    name: str
    # A folder, or a name on the Hugging Face Hub.
    base: str
    objectives: tuple[Objective, ...]
    prompts: PromptFiles
    # As soup.json has it: a rule or rows.
    matrix: Any
    # None: all weights are trained.
    adapter: Adapter | None
    training: Training
    output: Path
    # The backbones' names where the matrix is rows.
    names: tuple[str, ...] = ()

    @staticmethod
    def load(path: str | Path) -> Project:
        """Read and check a file, or the `soup.yml` of a folder."""
        file = Path(path)
        file = file / "soup.yml" if file.is_dir() else file
        top = Reader(str(file), read_yaml(file))
        top.only(
            "name", "base", "objectives", "prompts", "matrix", "adapter", "full", "training", "output", "description"
        )
        folder = file.parent
        objectives = tuple(_objective(item) for item in top.items("objectives"))
        top.distinct("objectives", [objective.name for objective in objectives])
        wish = top.raw("matrix", {"rule": "bone", "beta": 0.7})
        matrices.rows(wish, len(objectives))
        full = top.flag("full", False)
        if full and top.has("adapter"):
            raise top.wrong("full", "true beside an adapter; give one of them")
        return Project(
            path=file,
            name=top.text("name", folder.resolve().name),
            base=_place(folder, top.text("base")),
            objectives=objectives,
            prompts=_prompts(top.part("prompts"), folder),
            matrix=wish,
            adapter=None if full else _adapter(top.part("adapter", {})),
            training=_training(top.part("training", {})),
            output=folder / top.text("output", "soup"),
        )

    @property
    def rows(self) -> matrices.Rows:
        """The backbone matrix: one mix of rewards per backbone."""
        return matrices.rows(self.matrix, len(self.objectives))

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbones' names: the objectives' where the matrix is a rule, else as given, else by number."""
        if self.names:
            return self.names
        if isinstance(self.matrix, Mapping):
            return tuple(objective.name for objective in self.objectives)
        return tuple(f"mix-{number + 1}" for number in range(len(self.rows)))

    def rewards(self) -> list[RowReward]:
        """Load the rewards, one per objective."""
        return [load(dataclasses.asdict(objective), self.path.parent) for objective in self.objectives]

    def read_prompts(self, part: str) -> Prompts:
        """Read the prompts "train", "validation" or "test"; those left out are the ones for training."""
        return read(getattr(self.prompts, part) or self.prompts.train)

    def norms(self, scores: Sequence[Sequence[float]]) -> list[Norm]:
        """Return the norm of each objective over raw scores of the base's samples."""
        return [Norm.of(each.name, raw, each.clip) for each, raw in zip(self.objectives, scores)]

    def changed(
        self, *, output: Path | None = None, seed: int | None = None, matrix: Any = None, training: Any = None
    ) -> Project:
        """Return it with another output folder, seed, matrix, or other fields of `training` by name."""
        budget = dataclasses.replace(self.training, **(training or {}))
        if seed is not None:
            budget = dataclasses.replace(budget, seed=seed)
        wish = self.matrix if matrix is None else matrix
        matrices.rows(wish, len(self.objectives))
        return dataclasses.replace(self, output=output or self.output, matrix=wish, training=budget)


def _place(folder: Path, name: str) -> str:
    beside = folder / name
    return str(beside) if beside.exists() else name


def _objective(part: Reader) -> Objective:
    part.only("name", "label", "description", "reward", "parameters", "clip")
    return Objective(
        name=part.text("name"),
        reward=part.text("reward", part.text("name")),
        parameters=part.mapping("parameters"),
        label=part.maybe_text("label"),
        description=part.maybe_text("description"),
        clip=part.maybe_number("clip", above=0),
    )


def _prompts(part: Reader, folder: Path) -> PromptFiles:
    part.only("train", "validation", "test")
    validation, test = part.maybe_text("validation"), part.maybe_text("test")
    files = PromptFiles(
        folder / part.text("train"),
        None if validation is None else folder / validation,
        None if test is None else folder / test,
    )
    for key in ("train", "validation", "test"):
        file: Path | None = getattr(files, key)
        if file is not None and not file.is_file():
            raise part.wrong(key, f"{file}, which does not exist")
    return files


def _adapter(part: Reader) -> Adapter:
    part.only("rank", "alpha", "targets")
    rank = part.whole("rank", Adapter.rank, 1)
    targets = part.raw("targets", Adapter.targets)
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        targets = tuple(str(target) for target in targets)
    elif not isinstance(targets, str):
        raise part.wrong("targets", f"{targets!r}; names of layers or all-linear are needed")
    return Adapter(rank, part.number("alpha", 2.0 * rank, above=0), targets)


def _training(part: Reader) -> Training:
    part.only(*(field.name for field in dataclasses.fields(Training)))
    return Training(
        steps=part.whole("steps", Training.steps, 1),
        prompts_per_step=part.whole("prompts_per_step", Training.prompts_per_step, 1),
        samples_per_prompt=part.whole("samples_per_prompt", Training.samples_per_prompt, 2),
        learning_rate=part.number("learning_rate", Training.learning_rate, above=0),
        kl=part.number("kl", Training.kl, above=0),
        max_tokens=part.whole("max_tokens", Training.max_tokens, 1),
        temperature=part.number("temperature", Training.temperature, above=0),
        seed=part.whole("seed", Training.seed, 0),
        batch=part.whole("batch", 0, 1) if part.has("batch") else None,
        norm_samples=part.whole("norm_samples", Training.norm_samples, 16),
    )
