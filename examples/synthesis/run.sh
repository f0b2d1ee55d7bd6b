#!/usr/bin/env bash
# From raw text to a tuned adapter: a teacher names entities in passages, a student learns from its answers.
#
# Here teacher and student are the starter model, so that it runs anywhere. For real work, give `teacher.engine.model` a
# large chat model, `input.path` your corpus, and `train.yaml` a base model and a GPU.
set -euo pipefail
cd "$(dirname "$0")"

ner-ray synth synth/demo output=runs/synth            # passages, answers, filters, rows, and a page of what happened
ner-ray train train.yaml                              # a LoRA adapter, with a card that says what it was trained on
ner-ray preview annotate/cascade engine.adapter=models/adapter/model input.path=package://sample output.path=runs/preview --documents 2
