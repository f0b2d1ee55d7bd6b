"""One worker's training: Transformers' trainer, with a loss on answers alone and our own span F1 as its judge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ner_ray.errors import InputError
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums
from ner_ray.train import model as models
from ner_ray.train.config import DataConfig, OptimizerConfig, TrainConfig
from ner_ray.train.examples import IGNORED, Encoded, Example, encode, encode_pair, pack, read_examples
from ner_ray.train.generation import answer_with
from ner_ray.train.judge import Gold, annotated, judge
from ner_ray.train.progress import teller, told

_STATE = "trainer_state.json"

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a worker learns from: rows of examples (several a row where they are packed), and rows held out."""

    train: list[tuple[Encoded, ...]]
    held_out: list[tuple[Encoded, ...]]
    left_out: int


def run(config: TrainConfig, tokenizer: Any, report: Report | None = None) -> dict[str, Any]:
    """Trains, from the last checkpoint where there is one; the first worker writes the result.

    Args:
        config: all of it.
        tokenizer: of the model.
        report: is called with the figures of every judgement, on every worker.

    Returns:
        The history of figures, the best checkpoint and its figure, and how much was learnt from.
    """
    import torch

    if config.workers.threads:
        torch.set_num_threads(config.workers.threads)
    model = models.model_of(config.model, tokenizer, config.seed)
    rows = load_rows(config, tokenizer, pair=models.is_encoder_decoder(model))
    trainer = _trainer(config, model, tokenizer, rows, report)
    trainer.train(resume_from_checkpoint=last_checkpoint(_checkpoints(config), trainer.args.max_steps))
    if trainer.is_world_process_zero():
        models.save(trainer.model, tokenizer, Path(config.output) / "model", config.save_dtype)
    return _summary(trainer, rows)


def load_rows(config: TrainConfig, tokenizer: Any, *, pair: bool) -> Rows:
    """The training files in tokens; examples longer than `max_length` are left out and counted.

    Raises:
        InputError: nothing is left to learn from.
    """
    data = config.data
    train: list[Encoded] = []
    held_out: list[Encoded] = []
    long = 0
    for line, held in told(_lines(data), "lines of training files"):
        for one in encode_pair(line, tokenizer) if pair else encode(line, tokenizer):
            if max(len(one.tokens), len(one.labels)) > data.max_length:
                long += 1
            else:
                (held_out if held else train).append(one)
    if not train:
        raise InputError(f"no example of at most {data.max_length} tokens in {', '.join(data.files)}")
    packed: list[tuple[Encoded, ...]] = [(one,) for one in train]
    if data.packing:
        packed = pack(train, data.max_length)
    return Rows(packed, [(one,) for one in held_out], long)


def _lines(data: DataConfig) -> Iterator[tuple[tuple[Example, ...], bool]]:
    """The lines of all files, and whether one is held out."""
    # Every n-th line, so that a file's kinds of lines are held out alike.
    every = 0 if data.validation or not data.validation_share else math.ceil(1 / data.validation_share)
    for number, line in enumerate(read_examples(data.files), start=1):
        yield line, every > 0 and number % every == 0
    for line in read_examples(data.validation):
        yield line, True


def last_checkpoint(folder: Path, before: int) -> str | None:
    """The last whole checkpoint in a folder; the trainer's state is what is written last into one.

    Args:
        folder: with a folder for each checkpoint.
        before: only earlier steps' are taken. (From the very last one the trainer would go a step too far.)
    """
    whole = {int(path.parent.name.split("-")[1]): path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")}
    return str(whole[max(steps)]) if (steps := [step for step in whole if step < before]) else None


def _checkpoints(config: TrainConfig) -> Path:
    return Path(config.output) / "checkpoints"


def _collate(batch: Sequence[Mapping[str, Any]], pad: int, model: Any, *, pair: bool) -> dict[str, Any]:
    """Tensors of a batch, filled up on the right; under a causal mask nobody looks there."""
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
        # Positions that begin anew tell Transformers where one example ends and the next begins.
        made["position_ids"] = filled("position_ids", 0)
    return made


class _Features:
    """What the trainer sees of rows. Made when it looks: all at once they would take several times the memory."""

    def __init__(self, rows: Sequence[tuple[Encoded, ...]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return _features(self._rows[at])


def _features(row: tuple[Encoded, ...]) -> dict[str, Any]:
    return {
        "input_ids": [token for one in row for token in one.tokens],
        "labels": [label for one in row for label in one.labels],
        "position_ids": [at for one in row for at in range(len(one.tokens))],
        "weights": [one.weight for one in row for _ in one.labels],
        "ones": [1 for one in row for _ in one.tokens],
        "parts": len(row),
    }


def answer_loss(model: Any, inputs: Mapping[str, Any], count: Any = None) -> tuple[Any, Any]:
    """The sum of the cross entropy over answer tokens, divided by `count` (default: their number), and the outputs.

    Where examples have weights, their tokens' terms of the sum are multiplied by them.

    A decoder's logits are computed for positions before an answer token alone: with a vocabulary of any size
    they are most of a small model's work, and most of a batch is prompt.
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
        # Not called, since compute_loss is overridden; it tells the trainer to count answer tokens over all workers.
        compute_loss_func=answer_loss,
    )
    trainer.judged = (config, tokenizer, gold)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(teller())
    if report:
        trainer.add_callback(_reporter(report))
    return trainer


def _gold(config: TrainConfig) -> list[Gold]:
    one = config.judge
    return list(annotated([one.gold], one.labels, one.label_map))[: one.documents] if one.gold else []


def _trainer_class() -> Any:
    from transformers import Trainer

    class AnswerTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
        judged: tuple[TrainConfig, Any, list[Gold]]

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, outputs = answer_loss(model, inputs, num_items_in_batch)
            if num_items_in_batch is not None:
                # The answer tokens of all workers were counted, and gradients will be averaged over workers.
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


def _judged(config: TrainConfig, tokenizer: Any, gold: Sequence[Gold], model: Any) -> dict[str, float]:
    """Strict scores of all workers together, each of which judges its share of the documents."""
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
    from transformers import TrainingArguments

    optimizer, workers = config.optimizer, max(config.workers.count, 1)
    steps = _steps(optimizer, rows)
    judged = bool(config.judge.gold or config.data.validation or config.data.validation_share)
    best = config.best_by != "last" and judged
    extra = {"num_decay_steps": round(optimizer.decay * steps)} if "decay" in optimizer.schedule else {}
    return TrainingArguments(
        output_dir=str(_checkpoints(config)),
        max_steps=steps,
        per_device_train_batch_size=optimizer.micro_batch,
        per_device_eval_batch_size=optimizer.micro_batch,
        gradient_accumulation_steps=optimizer.batch_size // (optimizer.micro_batch * workers),
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type=optimizer.schedule,
        lr_scheduler_kwargs=extra,
        warmup_steps=round(optimizer.warmup * steps),
        weight_decay=optimizer.weight_decay,
        adam_beta1=optimizer.beta1,
        adam_beta2=optimizer.beta2,
        adam_epsilon=optimizer.epsilon,
        max_grad_norm=optimizer.clip,
        bf16=optimizer.precision == "bfloat16",
        fp16=optimizer.precision == "float16",
        gradient_checkpointing=optimizer.gradient_checkpointing,
        torch_compile=optimizer.compile,
        train_sampling_strategy="group_by_length" if config.data.group_by_length else "random",
        eval_strategy="steps" if judged else "no",
        eval_steps=config.evaluate_every,
        save_steps=config.save_every,
        save_total_limit=config.keep,
        load_best_model_at_end=best,
        metric_for_best_model=f"eval_{config.best_by}" if best else None,
        greater_is_better=config.best_by == "f1",
        logging_steps=config.log_every,
        use_cpu=config.workers.gpus == 0,
        ddp_backend="gloo" if config.workers.count and not config.workers.gpus else None,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=config.workers.gpus > 0,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        seed=config.seed,
        report_to=[],
        disable_tqdm=True,
    )


def _summary(trainer: Any, rows: Rows) -> dict[str, Any]:
    state = trainer.state
    return {
        "steps": state.global_step,
        "best_checkpoint": state.best_model_checkpoint,
        "best": state.best_metric,
        "rows": len(rows.train),
        "held_out": len(rows.held_out),
        "left_out": rows.left_out,
        "parameters": sum(one.numel() for one in trainer.model.parameters()),
        "trained_parameters": sum(one.numel() for one in trainer.model.parameters() if one.requires_grad),
        "history": json.loads(json.dumps(state.log_history)),
    }
