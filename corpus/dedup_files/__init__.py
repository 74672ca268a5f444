"""Deduplicating JSONL and Parquet files, and nothing else: rows with all of their fields.

In: files. Out: a folder with one file for each of them, of the same kind, with the rows that are
kept as they were; `dropped.jsonl`, each other row with its reason and its keeper; and `build`, the
build that decided, which can be the index of the next.
"""

from corpus.dedup_files.run import BUILD, DROPPED, RECORD, DedupFiles, dedup_files, describe

__all__ = ["BUILD", "DROPPED", "RECORD", "DedupFiles", "dedup_files", "describe"]
