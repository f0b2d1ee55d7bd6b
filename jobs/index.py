"""`ray job submit --working-dir . -- python jobs/index.py CONFIG [key=value ...]`: see `ner-ray index --help`."""

import sys

from ner_ray.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["index"]
    main()
