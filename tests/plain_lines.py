"""Line dedup by plain Python: the reference of the kernels and of the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corpus.text.line_normalization import normalized

Texts = Mapping[str, str]


def plain_cut(text: str, gone: Sequence[bool]) -> str:
    """Leave out lines: of two blank ones around what is cut one, and all of them at the end."""
    ended = text.endswith("\n")
    given_lines = text.split("\n")[: -1 if ended else None]
    kept: list[str] = []
    cut = False
    for line, out in zip(given_lines, gone, strict=True):
        blank = not line or line.isspace()
        before = not kept or not kept[-1] or kept[-1].isspace()
        if out or (blank and cut and before):
            cut = True
            continue
        kept.append(line)
        cut = False
    if cut or all(not line or line.isspace() for line in kept):
        while kept and (not kept[-1] or kept[-1].isspace()):
            kept.pop()
    return "\n".join(kept) + ("\n" if ended and kept else "")


def plain(
    sources: Mapping[str, Sequence[Texts]],
    *,
    scope: str = "all",
    losing: Sequence[str] = (),
    minimum_words: int = 1,
    minimum_documents: int = 1,
    minimum_left: int = 0,
) -> tuple[dict[str, list[tuple[int, str, str]]], set[str]]:
    """Return by plain Python each document's cut lines with their keepers, and who is dropped."""
    visits = []
    for place, (source, files) in enumerate(sources.items()):
        for file in files:
            for id, one in file.items():
                first = losing and source not in losing
                visits.append((not first, place, -len(one.encode()), id, source, one))
    visits.sort()
    having: dict[tuple[str, str], set[str]] = {}
    for *_, id, source, one in visits:
        for line in one.split("\n"):
            having.setdefault((source * (scope == "within"), form(line)), set()).add(id)
    keeper: dict[tuple[str, str], str] = {}
    cut: dict[str, list[tuple[int, str, str]]] = {}
    needed: set[str] = set()
    for *_, id, source, one in visits:
        cut[id] = []
        for number, line in enumerate(one.split("\n")):
            key = (source * (scope == "within"), form(line))
            if len(key[1].split()) < minimum_words or len(having[key]) < minimum_documents:
                continue
            if key not in keeper:
                keeper[key] = id
            elif not losing or source in losing:
                cut[id].append((number, line, keeper[key]))
                needed |= {keeper[key]} - {id}
    dropped = set()
    for *_, id, _, one in visits:
        places = {place for place, *_ in cut[id]}
        rest = plain_cut(one, [n in places for n in range(one.count("\n") + (one[-1:] != "\n"))])
        if places and len(rest) < max(minimum_left, 1) and id not in needed:
            dropped.add(id)
    return cut, dropped


def form(line: str) -> str:
    return normalized(line, kind="ccnet")
