"""The steps of the stage `dedup`: one module a step, with the files that pass between them.

1. `signatures`: per part, the exact key and the band keys of each document; kept and used again.
2. `copies`: per range of exact keys, the documents with the text of a better one.
3. `edges`: per range of band keys, edges between the documents that share a band.
4. `components`: per range of documents, which are connected (`labels`, in rounds), how large each
   component is (`sums`), and which bucket each document comes to.
5. `shingles`: per part, the shingles of the connected documents, by bucket. Those of large
   components are parted (`parting`): `prefixes`, `links`, `groups`, `tiers`.
6. `visit`: per bucket, the documents to drop, best first, by their true Jaccard index; in `rounds`
   where a group is cut into tiers.
7. `fates` and `drops`: per span of parts, what becomes of copies, and the list of the drops.

With `dedup.lines` there follow (`line_steps`):

8. `lines`: per part, each distinct line of the documents that are left.
9. `line_keepers`: per range of lines, the document that keeps each one that several have.
10. `line_cuts`: per part, the lines that are cut, and the documents with too little left.

`exchange` is the format of the files that many tasks write and many read; `kernels` the compiled
loops. Documents have numbers: those of a part that reached the stage, in its order, follow those of
the part before (`signatures.Signed`). Numbers serve within a build; no outcome depends on them.
"""
