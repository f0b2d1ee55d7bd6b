#!/usr/bin/env bash
# Two configurations annotate the same texts; how far do they agree, and where should a person look?
#
# Here they are the starter model with and without the sentences around each chunk. Two models of different families make
# different mistakes, and are worth more.
set -euo pipefail
cd "$(dirname "$0")"

ner-ray annotate annotate/demo output.path=runs/first
ner-ray annotate annotate/demo output.path=runs/second family.context=passage
ner-ray evaluate gold=runs/first predictions=runs/second html_out=agreement.html
python disagreements.py runs/first runs/second tasks.json
