"""YAML files to frozen models, with every error at once and each with its line.

`yaml_text` reads and writes YAML, `overrides` applies `--set`, `model` is what every settings model
is made of, and `loading` makes one of a file.
"""

from corpus.settings.loading import load_settings, validate
from corpus.settings.model import Settings, models_in, plain
from corpus.settings.overrides import apply_overrides
from corpus.settings.yaml_text import MOST_KEYS, dotted, dump_yaml, parse_yaml

__all__ = [
    "MOST_KEYS",
    "Settings",
    "apply_overrides",
    "dotted",
    "dump_yaml",
    "load_settings",
    "models_in",
    "parse_yaml",
    "plain",
    "validate",
]
