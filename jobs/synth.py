"""`ray job submit --working-dir . -- python jobs/synth.py CONFIG [KEY=VALUE]...`: see `ner-ray synth --help`."""

import sys
from pathlib import Path

from ner_ray.cli import main

if __name__ == "__main__":
    main([Path(__file__).stem, *sys.argv[1:]])
