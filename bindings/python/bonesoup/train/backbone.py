"""Trains one backbone: GRPO on one row of the backbone matrix."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bonesoup.errors import Status, error
from bonesoup.rewards import Norm
from bonesoup.train import curves, plan, warning_signs
from bonesoup.train.extras import need
from bonesoup.train.files import write_json
from bonesoup.train.log import RunLog, read
from bonesoup.train.processes import is_main
from bonesoup.train.project import Project
from bonesoup.train.sampling import load_base
from bonesoup.train.scoring import Scoring
from bonesoup.train.settings import Training

_CHECKPOINTS = 4  # per run


def train_backbone(
    project: Project, name: str, mix: Sequence[float], norms: Sequence[Norm], *, start: Path | None = None
) -> dict[str, Any]:
    """Train the backbone `name` on Σ_j mix_j·norm_j(r_j) − kl·KL, and return what `run.json` says.

    Goes on from the last checkpoint of a run that was killed, and refuses one of another plan. `start` is an adapter or
    a checkpoint to begin with instead of the base itself; the KL is then to that beginning, since TRL takes it so.
    """
    run = project.output / "runs" / name
    summary_file = run / "run.json"
    checkpoints = _checkpoints(run / "checkpoints")
    # At its last step one can't go on from a checkpoint: the trainer would make another step.
    checkpoint = max((path for path in checkpoints if _step(path) < project.training.steps), key=_step, default=None)
    wish = plan.make(project, mix, norms, start)
    if checkpoints:
        plan.check(run / "plan.json", wish)
    elif is_main():
        run.mkdir(parents=True, exist_ok=True)
        summary_file.unlink(missing_ok=True)
        write_json(run / "plan.json", wish)
    log = RunLog(run / "log.jsonl", _step(checkpoint)) if is_main() else None
    scorings = [
        Scoring(objective.name, reward, norm)
        for objective, reward, norm in zip(project.objectives, project.rewards(), norms)
    ]
    with _disk(run), warnings.catch_warnings():
        # Of names that TRL and transformers will change between them.
        warnings.simplefilter("ignore", FutureWarning)
        trainer = _trainer(project, run / "checkpoints", mix, scorings, log, start)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.state.global_step != project.training.steps:
        raise error(
            Status.INTERNAL, f"{name} made {trainer.state.global_step} of {project.training.steps} steps; see {run}"
        )
    folder = project.output / "backbones" / name
    unfinished = folder.with_name(f".{name}")
    with _disk(run):
        trainer.save_model(str(unfinished))
    if log is None:
        return {}
    _tidy(project, unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    lines = read(run / "log.jsonl")
    summary = {
        "name": name,
        "mix": list(mix),
        "objectives": [objective.name for objective in project.objectives],
        "seed": project.training.seed,
        "kl_weight": project.training.kl,
        "learning_rate": project.training.learning_rate,
        "steps": project.training.steps,
        "samples": log.samples,
        "tokens": log.tokens,
        "seconds": round(log.seconds, 3),
        "cpu_seconds": round(log.cpu_seconds, 3),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.suffix == ".safetensors"),
        "signs": warning_signs.signs(lines),
    }
    curves.draw(lines, name, project.training.kl, run / "curves.png")
    write_json(summary_file, summary)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return summary


def _trainer(
    project: Project,
    checkpoints: Path,
    mix: Sequence[float],
    scorings: list[Scoring],
    log: RunLog | None,
    start: Path | None,
) -> Any:
    trl, datasets, peft = need("trl"), need("datasets"), need("peft")
    # A new adapter's weights are drawn before the trainer sets the seed: the same for every backbone, so that they
    # differ by what they were trained on.
    need("transformers").set_seed(project.training.seed)
    warm = start is not None and (start / "adapter_config.json").exists()
    model, tokenizer = load_base(project, project.base if start is None or warm else str(start))
    prompts = project.read_prompts("train")
    # TRL leaves out what does not fill a step, which of few prompts would be all.
    prompts = prompts.first(max(len(prompts), project.training.prompts_per_step))
    columns: dict[str, Any] = {"prompt": list(prompts.texts)}
    if any(prompts.rows):
        # One column for everything beside the prompt, so that no name of the file's can meet one of TRL's.
        columns["row"] = [json.dumps(row) for row in prompts.rows]
    wish = None
    if project.adapter is not None and start is None:
        targets = project.adapter.targets
        wish = peft.LoraConfig(
            r=project.adapter.rank,
            lora_alpha=project.adapter.alpha,
            lora_dropout=0.0,
            target_modules=targets if isinstance(targets, str) else list(targets),
            task_type="CAUSAL_LM",
        )
    elif warm:
        model = peft.PeftModel.from_pretrained(model, str(start), is_trainable=True)
    callback = need("bonesoup.train.callback")
    trainer = trl.GRPOTrainer(
        model,
        list(scorings),
        args=trl.GRPOConfig(**config(project.training, mix, checkpoints)),
        train_dataset=datasets.Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=wish,
        callbacks=[callback.LogSteps(log, project.training, scorings)],
    )
    # Our own lines are printed, nothing else.
    trainer.remove_callback(need("transformers").PrinterCallback)
    return trainer


def config(training: Training, mix: Sequence[float], folder: Path) -> dict[str, Any]:
    """Return the settings of TRL's `GRPOConfig`.

    Some of its defaults break what a soup rests on, that Σ λᵢRᵢ is the reward μ asks for, so these are set:

    - ``scale_rewards="none"``: by default a group's rewards are divided by their deviation, which depends on the mix.
    - ``multi_objective_aggregation="sum_then_normalize"``: the mix is summed first. The other choice divides each
      reward by its own group's deviation, and the whole by the batch's.
    - ``loss_type="dr_grpo"``: the sum over a completion's tokens over a fixed length (arXiv 2503.20783). Other kinds
      divide by the tokens there are, so that long completions count less and the KL is weighed by length.
    - ``beta`` above 0: the KL to the base, which TRL by default leaves out. Without it nothing keeps the
      backbones near the base, where mixing weights mixes rewards.
    - top-k and top-p off, temperature as in the project: what is sampled is what the gradient is of.
    - on a CPU no bf16 and no checkpointed activations, which TRL both turns on by itself.
    """
    torch = need("torch")
    gpu = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    share, rest = divmod(training.samples_per_step, processes)
    batch = min(training.batch or share, share)
    if rest or share % batch:
        raise error(
            Status.INVALID_ARGUMENT,
            f"training: {training.samples_per_step} samples per step can't be shared by {processes} processes in "
            f"batches of {batch}",
        )
    return {
        "output_dir": str(folder),
        "reward_weights": list(mix),
        "scale_rewards": "none",
        "multi_objective_aggregation": "sum_then_normalize",
        "loss_type": "dr_grpo",
        "beta": training.kl,
        "temperature": training.temperature,
        "top_k": 0,
        "top_p": 1.0,
        "max_completion_length": training.max_tokens,
        "num_generations": training.samples_per_prompt,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": share // batch,
        "max_steps": training.steps,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": min(3, training.steps - 1),
        # Few steps: a short memory of the gradients' size.
        "adam_beta2": 0.98,
        "seed": training.seed,
        "disable_dropout": True,
        "use_cpu": not gpu,
        "bf16": gpu,
        "gradient_checkpointing": gpu,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": max(1, training.steps // _CHECKPOINTS),
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
    }


@contextlib.contextmanager
def _disk(run: Path) -> Iterator[None]:
    """Say that the disk is full where it is; the libraries that write have an exception each for it."""
    try:
        yield
    except Exception as failure:
        told = getattr(failure, "errno", None) == errno.ENOSPC or f"os error {errno.ENOSPC}" in str(failure)
        if told or shutil.disk_usage(run).free < 1 << 20:
            message = f"the disk of {run} is full; make room, and the same command goes on at the last checkpoint"
            raise error(Status.IO, message) from None
        raise


def _checkpoints(folder: Path) -> list[Path]:
    """Return those that are whole: the trainer writes its state last."""
    return [path for path in folder.glob("checkpoint-*") if _is_json(path / "trainer_state.json")]


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _step(checkpoint: Path | None) -> int:
    return 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])


def _tidy(project: Project, folder: Path) -> None:
    """Leave what the library reads, and say where the base is in a way that moves with the soup."""
    for name in ("README.md", "training_args.bin", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if name == "README.md" or name == "training_args.bin" or project.adapter is not None:
            (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "ref", ignore_errors=True)
    settings = folder / "adapter_config.json"
    if settings.exists():
        content = json.loads(settings.read_text())
        base = Path(project.base)
        if base.exists():
            content["base_model_name_or_path"] = os.path.relpath(base, folder)
        if isinstance(content.get("target_modules"), list):
            content["target_modules"].sort()
        settings.write_text(json.dumps(content, indent=2) + "\n")
