"""`ray job submit --working-dir . -- python jobs/train.py CONFIG [key=value ...]`: see `ner-ray train --help`."""

import sys

from ner_ray.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
