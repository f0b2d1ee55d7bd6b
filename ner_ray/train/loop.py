"""One worker's training: Transformers' trainer, with a loss on answers alone, judged by our own span F1."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ner_ray.annotator.spec import family_steps
from ner_ray.data import AnnotatedText
from ner_ray.data.training import TrainingRow, read_rows
from ner_ray.errors import InputError
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums
from ner_ray.train import model as models
from ner_ray.train import sharding
from ner_ray.train.config import DataConfig, OptimizerConfig, TrainConfig
from ner_ray.train.encoding import IGNORED, Encoded, encode, encode_pair, pack
from ner_ray.train.generation import answer_with
from ner_ray.train.gold import read_gold, usable_only
from ner_ray.train.judge import judge
from ner_ray.train.progress import progress_callback, with_progress

_STATE = "trainer_state.json"
_SHORT = 1024  # tokens up to which plain attention is the faster one on a CPU

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a worker learns from.

    Attributes:
        train: sequences to learn; each has one example, or several where they are packed.
        held_out: sequences to compute the validation loss on.
        left_out: number of examples that were too long.
    """

    train: list[tuple[Encoded, ...]]
    held_out: list[tuple[Encoded, ...]]
    left_out: int


def run(config: TrainConfig, tokenizer: Any, report: Report | None = None) -> dict[str, Any]:
    """Trains, from the last checkpoint if there is one; the first worker writes the result.

    Args:
        config: all of it.
        tokenizer: of the model.
        report: called on every worker with the figures of every evaluation.

    Returns:
        The history of figures, the best checkpoint with its figure, and the amount of data.
    """
    import torch

    if config.workers.threads:
        torch.set_num_threads(config.workers.threads)
    model = models.model_of(config.model, tokenizer, config.seed)
    # New models keep PyTorch's own attention: the figures of the starter's recipe rest on it.
    if config.model.base and not config.workers.gpus and config.data.max_length <= _SHORT:
        models.attend_plainly(model)
    rows = load_rows(config, tokenizer, pair=models.is_encoder_decoder(model))
    trainer = _trainer(config, model, tokenizer, rows, report)
    summary = _sizes(model) | _amounts(rows)  # counted before the weights may be spread over the workers
    trainer.train(resume_from_checkpoint=last_checkpoint(_checkpoints(config), trainer.args.max_steps))
    parts = sharding.whole(trainer) if config.workers.sharded else None  # together with all workers
    if trainer.is_world_process_zero():
        models.save(config, trainer.model, tokenizer, parts)
    return summary | _history(trainer.state)


def load_rows(config: TrainConfig, tokenizer: Any, *, pair: bool) -> Rows:
    """The training data as tokens; examples longer than `max_length` are left out and counted.

    Args:
        config: all of it.
        tokenizer: of the model.
        pair: the model is an encoder-decoder.

    Raises:
        InputError: a file cannot be read, no example is short enough, or none is left to hold out.
    """
    data = config.data
    train: list[Encoded] = []
    held_out: list[Encoded] = []
    lengths: list[int] = []
    for row, held in with_progress(_rows(data), "training rows read"):
        for example in encode_pair(row, tokenizer) if pair else encode(row, tokenizer):
            if (length := _length(example)) > data.max_length:
                lengths.append(length)
            else:
                (held_out if held else train).append(example)
    _check_enough(data, len(train), len(held_out), lengths)
    packed: list[tuple[Encoded, ...]] = [(example,) for example in train]
    if data.packing:
        packed = pack(train, data.max_length)
    return Rows(packed, [(example,) for example in held_out], len(lengths))


def check_rows(config: TrainConfig, tokenizer: Any, *, pair: bool) -> None:
    """Raises what `load_rows` would, without keeping the data: every row is read, and few are encoded."""
    data = config.data
    fitting = {False: 0, True: 0}  # by whether they are held out
    lengths: list[int] = []
    for row, held in _rows(data):
        if fitting[held]:
            continue
        for example in encode_pair(row, tokenizer) if pair else encode(row, tokenizer):
            if (length := _length(example)) > data.max_length:
                lengths.append(length)
            else:
                fitting[held] += 1
    _check_enough(data, fitting[False], fitting[True], lengths)


def _check_enough(data: DataConfig, train: int, held_out: int, lengths: Sequence[int]) -> None:
    """Whether there are examples to learn, and to hold out where that is asked for.

    Args:
        data: what is asked for.
        train: examples to learn.
        held_out: examples to hold out.
        lengths: of those that are too long, in tokens.
    """
    files = ", ".join(data.files)
    if not train:
        found = f"they have {min(lengths):,} to {max(lengths):,}" if lengths else "there are no rows to learn"
        raise InputError(
            f"no example of at most {data.max_length:,} tokens (data.max_length) in {files}: {found}",
            hint=f"data.max_length={max(lengths)} keeps all of them" if lengths else "give files with training rows",
        )
    if data.validation and not held_out:
        raise InputError(f"no example of at most {data.max_length:,} tokens in {', '.join(data.validation)}")
    if data.validation_share and not data.validation and not held_out:
        raise InputError(
            f"too few rows in {files} to hold out a share of {data.validation_share:g} (data.validation_share): "
            f"that takes {_every(data):,} rows",
            hint="raise data.validation_share, name files in data.validation, or set data.validation_share=0 and "
            "best_by=last to train without validation",
        )


def _length(example: Encoded) -> int:
    return max(len(example.tokens), len(example.labels))


def _every(data: DataConfig) -> int:
    """Every n-th row is held out; 0 for none."""
    return 0 if data.validation or not data.validation_share else math.ceil(1 / data.validation_share)


def _rows(data: DataConfig) -> Iterator[tuple[TrainingRow, bool]]:
    """The rows of all files, and whether each is held out: every n-th one, so that all kinds of rows are."""
    every = _every(data)
    for number, row in enumerate(read_rows(data.files), start=1):
        yield row, every > 0 and number % every == 0
    for row in read_rows(data.validation):
        yield row, True


def last_checkpoint(folder: Path, before: int) -> str | None:
    """The last complete checkpoint in a folder: one with the trainer's state, which is written last.

    Args:
        folder: with a folder for each checkpoint.
        before: only checkpoints of earlier steps. (From the very last one the trainer would go a step too far.)
    """
    whole = {int(path.parent.name.split("-")[1]): path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")}
    return str(whole[max(steps)]) if (steps := [step for step in whole if step < before]) else None


def _checkpoints(config: TrainConfig) -> Path:
    return Path(config.output) / "checkpoints"


def _collate(batch: Sequence[Mapping[str, Any]], pad: int, model: Any, *, pair: bool) -> dict[str, Any]:
    """Tensors of a batch, padded on the right; under a causal mask nothing attends to padding."""
    import torch

    def filled(name: str, fill: int) -> Any:
        rows = [torch.tensor(row[name]) for row in batch]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)

    made = {"input_ids": filled("input_ids", pad), "labels": filled("labels", IGNORED)}
    if any(weight != 1.0 for row in batch for weight in row["weights"]):
        made["weights"] = filled("weights", 0)
    if pair:
        made["attention_mask"] = (filled("ones", 0)).long()
        made["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels=made["labels"])
    elif any(row["parts"] > 1 for row in batch):
        # Positions that start again at 0 tell Transformers where one example ends and the next begins.
        made["position_ids"] = filled("position_ids", 0)
    return made


class _Features:
    """The trainer's view of rows, made on access: all at once they would take several times the memory."""

    def __init__(self, rows: Sequence[tuple[Encoded, ...]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return _features(self._rows[number])


def _features(row: tuple[Encoded, ...]) -> dict[str, Any]:
    return {
        "input_ids": [token for example in row for token in example.tokens],
        "labels": [label for example in row for label in example.labels],
        "position_ids": [position for example in row for position in range(len(example.tokens))],
        "weights": [example.weight for example in row for _ in example.labels],
        "ones": [1 for example in row for _ in example.tokens],
        "parts": len(row),
    }


def answer_loss(model: Any, inputs: Mapping[str, Any], count: Any = None) -> tuple[Any, Any]:
    """The cross entropy summed over answer tokens and divided by `count` (default: their number), and the outputs.

    The terms of an example's tokens are multiplied by its weight.

    A decoder's logits are computed only for positions that precede an answer token: they are most of a small model's
    work, and most of a batch is prompt. Shapes: `labels` is (batch, length); `logits` is (batch, kept positions,
    vocabulary).
    """
    import inspect

    import torch

    inputs = dict(inputs)
    labels, weights = inputs.pop("labels"), inputs.pop("weights", None)
    if "decoder_input_ids" not in inputs:
        labels = labels[:, 1:]
        columns = (labels != IGNORED).any(dim=0).nonzero().flatten()
        labels = labels[:, columns]
        weights = None if weights is None else weights[:, 1:][:, columns]
        inner = getattr(model, "module", model)
        inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
        if "logits_to_keep" in inspect.signature(inner.forward).parameters:
            outputs = model(**inputs, logits_to_keep=columns, use_cache=False)
            logits = outputs["logits"]
        else:
            outputs = model(**inputs, use_cache=False)
            logits = outputs["logits"][:, columns]
    else:
        outputs = model(**inputs, use_cache=False)
        logits = outputs["logits"]
    terms = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    total = terms.sum() if weights is None else terms @ weights.flatten().to(terms.dtype)
    return total / ((labels != IGNORED).sum() if count is None else count), outputs


def _trainer(config: TrainConfig, model: Any, tokenizer: Any, rows: Rows, report: Report | None) -> Any:
    from functools import partial

    from transformers import PrinterCallback

    pair = models.is_encoder_decoder(model)
    gold = _gold(config)
    trainer = _trainer_class()(
        model=model,
        args=_arguments(config, len(rows.train)),
        train_dataset=_Features(rows.train),
        eval_dataset=_Features(rows.held_out) if rows.held_out else None,
        data_collator=partial(_collate, pad=tokenizer.pad_token_id, model=model, pair=pair),
        # Never called, since compute_loss is overridden; it makes the trainer count answer tokens over all workers.
        compute_loss_func=answer_loss,
    )
    trainer.judged = (config, tokenizer, gold)
    trainer.remove_callback(PrinterCallback)
    _keep_events(trainer, config)
    trainer.add_callback(progress_callback())
    if config.workers.sharded and not config.workers.gpus:
        trainer.add_callback(sharding.sums_callback())
    if report:
        trainer.add_callback(_reporter(report))
    return trainer


def _keep_events(trainer: Any, config: TrainConfig) -> None:
    """Has TensorBoard's events written beside everything else, unless TENSORBOARD_LOGGING_DIR says otherwise."""
    from transformers.integrations import TensorBoardCallback

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback):
            callback.logging_dir = callback.logging_dir or str(Path(config.output) / "tensorboard")


def check_judge(config: TrainConfig) -> None:
    """Raises `InputError` or `ConfigError` where the judge's gold or its family cannot be used."""
    _gold(config)
    if config.judge.family:
        family_steps(config.judge.family)


def _gold(config: TrainConfig) -> list[AnnotatedText]:
    """The passages to judge by; none where only the validation loss counts."""
    section = config.judge
    if not section.gold:
        return []
    passages = usable_only(read_gold(section.gold, section.labels, section.label_map))
    gold = list(islice(passages, section.documents))
    deque(passages, maxlen=0)  # the label map is checked at the end of the data
    return gold


def _trainer_class() -> Any:
    from transformers import Trainer

    class AnswerTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
        judged: tuple[TrainConfig, Any, list[AnnotatedText]]

        def create_accelerator_and_postprocess(self) -> None:
            super().create_accelerator_and_postprocess()
            if self.args.fsdp and not self.is_fsdp_enabled:
                sharding.split_on_cpus(self)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, outputs = answer_loss(model, inputs, num_items_in_batch)
            if num_items_in_batch is not None:
                # Answer tokens were counted over all workers, and gradients will be averaged over them.
                loss = loss * self.accelerator.num_processes
            return (loss, outputs) if return_outputs else loss

        def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
            output = super().evaluation_loop(*args, **kwargs)
            config, tokenizer, gold = self.judged
            if gold:
                model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
                output.metrics.update(_judged(config, tokenizer, gold, model))
            return output

    return AnswerTrainer


def _judged(config: TrainConfig, tokenizer: Any, gold: Sequence[AnnotatedText], model: Any) -> dict[str, float]:
    """Strict scores over all workers, each of which judges its share of the documents."""
    import torch

    rank, world = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    sums = judge(config.judge, gold[rank::world], answer_with(model, tokenizer, config.judge))
    parts: list[Any] = [sums.to_dict()]
    if world > 1:
        parts = [None] * world
        torch.distributed.all_gather_object(parts, sums.to_dict())
    strict = spans.micro(sum((SpanSums.from_dict(part) for part in parts), SpanSums()))["strict"]
    return {"eval_precision": strict.precision, "eval_recall": strict.recall, "eval_f1": strict.f1}


def _reporter(report: Report) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers has no types
        def on_evaluate(self, _args: Any, state: Any, _control: Any, **figures: Any) -> None:
            report({"step": state.global_step, **figures["metrics"]})

    return Reporter()


def _steps(optimizer: OptimizerConfig, rows: int) -> int:
    return optimizer.steps or math.ceil(rows / optimizer.batch_size * optimizer.epochs)


def _arguments(config: TrainConfig, rows: int) -> Any:
    """Transformers' TrainingArguments for this many training rows."""
    from transformers import TrainingArguments

    workers = config.workers
    return TrainingArguments(
        output_dir=str(_checkpoints(config)),
        **_optimization(config, rows),
        **_evaluation(config),
        **sharding.arguments(config),
        train_sampling_strategy="group_by_length" if config.data.group_by_length else "random",
        logging_steps=config.log_every,
        use_cpu=workers.gpus == 0,
        ddp_backend="gloo" if workers.count and not workers.gpus else None,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=workers.gpus > 0,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        seed=config.seed,
        report_to=config.report_to,
        run_name=Path(config.output).name,
        disable_tqdm=True,
    )


def _optimization(config: TrainConfig, rows: int) -> dict[str, Any]:
    """Batches, steps, the optimiser and its schedule."""
    optimizer, workers = config.optimizer, max(config.workers.count, 1)
    steps = _steps(optimizer, rows)
    return {
        "max_steps": steps,
        "per_device_train_batch_size": optimizer.micro_batch,
        "per_device_eval_batch_size": optimizer.micro_batch,
        "gradient_accumulation_steps": optimizer.batch_size // (optimizer.micro_batch * workers),
        "learning_rate": optimizer.learning_rate,
        "lr_scheduler_type": optimizer.schedule,
        "lr_scheduler_kwargs": (
            {"num_decay_steps": round(optimizer.decay * steps)} if "decay" in optimizer.schedule else {}
        ),
        "warmup_steps": round(optimizer.warmup * steps),
        "weight_decay": optimizer.weight_decay,
        "adam_beta1": optimizer.beta1,
        "adam_beta2": optimizer.beta2,
        "adam_epsilon": optimizer.epsilon,
        "max_grad_norm": optimizer.clip,
        "bf16": optimizer.precision == "bfloat16",
        "fp16": optimizer.precision == "float16",
        "torch_compile": optimizer.compile,
    }


def _evaluation(config: TrainConfig) -> dict[str, Any]:
    """When the model is evaluated and saved, and which checkpoint is the result."""
    judged = bool(config.judge.gold or config.data.validation or config.data.validation_share)
    best = config.best_by != "last" and judged
    return {
        "eval_strategy": "steps" if judged else "no",
        "eval_steps": config.evaluate_every,
        "save_steps": config.save_every,
        "save_total_limit": config.keep,
        "load_best_model_at_end": best,
        "metric_for_best_model": f"eval_{config.best_by}" if best else None,
        "greater_is_better": config.best_by == "f1",
    }


def _sizes(model: Any) -> dict[str, Any]:
    return {
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "trained_parameters": sum(weights.numel() for weights in model.parameters() if weights.requires_grad),
    }


def _amounts(rows: Rows) -> dict[str, Any]:
    return {"rows": len(rows.train), "held_out": len(rows.held_out), "left_out": rows.left_out}


def _history(state: Any) -> dict[str, Any]:
    return {
        "steps": state.global_step,
        "best_checkpoint": state.best_model_checkpoint,
        "best": state.best_metric,
        "history": json.loads(json.dumps(state.log_history)),
    }
