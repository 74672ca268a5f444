"""Exports: what was built in the forms that other programs read, one module a form.

`run` decides what is written and records it in `export.json`; `documents` writes documents; the
others write the mixture: its sequences in its order (`rows`), or its token shards.
"""

from corpus.export.documents import kept_documents
from corpus.export.run import FORMATS, Export, describe, export

__all__ = ["FORMATS", "Export", "describe", "export", "kept_documents"]
