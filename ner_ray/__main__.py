"""`python -m ner_ray`, the same as `ner-ray`."""

from ner_ray.cli import main

if __name__ == "__main__":
    main()
