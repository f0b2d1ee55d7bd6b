"""`ray job submit --working-dir . -- python jobs/train.py CONFIG [KEY=VALUE]...`: see `ner-ray train --help`."""

import sys
from pathlib import Path

from ner_ray.cli import main

if __name__ == "__main__":
    main([Path(__file__).stem, *sys.argv[1:]])
