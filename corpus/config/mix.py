"""The section `mix`: how sources become one stream."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpus.settings import Settings


class Mix(Settings):
    """How the sources are mixed into sequences (GPT-3, Table 2.2 and Appendix B)."""

    sequence_length: Annotated[int, Field(ge=8, le=1_000_000)] = 2048
    """Tokens a sequence (GPT-3: 2048)."""
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.0005
    """Share of each source's documents that is held out of training."""
    max_epochs: Annotated[float, Field(gt=0)] = 10.0
    """Most epochs of a source; a mix that needs more is refused (GPT-3's most: 3.4)."""
    block: Annotated[int, Field(ge=1)] = 65_536
    """Sequences a block; in every block each source has its share to within one sequence."""
