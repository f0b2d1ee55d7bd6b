"""`ray job submit --working-dir . -- python jobs/synth.py CONFIG [key=value ...]`: see `ner-ray synth --help`."""

import sys

from ner_ray.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["synth"]
    main()
