"""What `dedup.lines` cut out of each source, for the report and for the difference of two builds.

In: a build. Out: counts from the manifest of its stage dedup; no verdict is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus.build import Build


@dataclass(frozen=True)
class LineLosses:
    """What one source lost.

    Attributes:
        documents: Documents that lost a line, those that were dropped for it among them.
        lines: Lines that were cut.
        bytes: Of the text, with the line feeds and blank lines that went with them.
        text_bytes: Of all text that was compared.
    """

    documents: int
    lines: int
    bytes: int
    text_bytes: int


def line_losses(build: Build) -> dict[str, LineLosses]:
    """Return what each source lost; nothing for a build without `dedup.lines`."""
    manifest = build.manifests.get("dedup")
    if manifest is None or "lines" not in manifest.settings:
        return {}
    names = ("cut_documents", "cut_lines", "cut_bytes", "text_bytes")
    return {
        source: LineLosses(*(manifest.measure(name, source) for name in names))
        for source in manifest.sources()
    }
