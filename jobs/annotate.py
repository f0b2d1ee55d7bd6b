"""`ray job submit --working-dir . -- python jobs/annotate.py CONFIG [key=value ...]`: see `ner-ray annotate --help`."""

import sys

from ner_ray.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["annotate"]
    main()
