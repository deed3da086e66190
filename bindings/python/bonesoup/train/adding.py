"""One more objective for a soup that is there: only its backbone is trained."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from bonesoup.errors import Status, error
from bonesoup.train import matrix as matrices
from bonesoup.train import norms as norm_files
from bonesoup.train import report
from bonesoup.train.processes import is_main
from bonesoup.train.project import Project
from bonesoup.train.sampling import sample_base
from bonesoup.train.soup import train


def add_objective(project: Project) -> Path:
    """Train what the project's last objective needs beside the soup in its output, and return `soup.json`.

    The rows of the matrix that are there get a 0 for the new objective, which nobody trained them on; the new
    backbone is trained on β of the new objective and the rest shared by the old ones. The matrix stays invertible, so
    every preference is still met exactly to first order; what is lost is that the old backbones never saw the new
    objective, so they may cost more of it than those of a new soup would.
    """
    file = project.output / "soup.json"
    if not file.exists():
        raise error(Status.NOT_FOUND, f"{file} does not exist; train a soup of the other objectives first")
    soup = json.loads(file.read_text())
    names = [objective["name"] for objective in soup["objectives"]]
    wanted = [objective.name for objective in project.objectives]
    if names == wanted and not isinstance(soup["matrix"], dict):
        return file
    if wanted[:-1] != names:
        raise error(
            Status.MISMATCH,
            f"{project.path} must have the soup's objectives, {', '.join(names)}, and one more after them; "
            f"it has {', '.join(wanted)}",
        )
    wish = project.matrix
    # Of the same rule, a row of the whole matrix has it on the diagonal; rows tell nothing.
    beta = matrices.rows(wish, len(wanted))[-1][-1] if isinstance(wish, dict) else 0.7
    old = matrices.rows(soup["matrix"], len(names))
    rest = (1 - beta) / len(names)
    rows = [[*row, 0.0] for row in old] + [[rest] * len(names) + [beta]]
    backbones = tuple(Path(entry["path"]).name for entry in soup["backbones"]) + (wanted[-1],)
    added = dataclasses.replace(project, matrix=rows, names=backbones)
    _add_norm(added)
    return train(added)


def _add_norm(project: Project) -> None:
    """Measure the new objective's norm; the others keep theirs, by which their backbones were trained.

    The report that comes with it says which objectives fall under the old backbones' mixes, to first order: what it
    costs that these were not trained for the new one.
    """
    if norm_files.read(project) is not None:
        return
    *others, _ = project.objectives
    kept = norm_files.read(dataclasses.replace(project, objectives=tuple(others)))
    if kept is None:
        raise error(Status.NOT_FOUND, f"{project.output / 'rewards.json'} has not the norms of the soup's objectives")
    last = project.objectives[-1]
    first, second = sample_base(project, 0, 1)
    new = dataclasses.replace(project, objectives=(last,))
    norms = [*kept, *new.norms(first.scores(new.rewards()))]
    if is_main():
        known = report.make(project, norms, first, second)
        report.write(project, known)
        print(known, file=sys.stderr, flush=True)
        norm_files.write(project, norms)
