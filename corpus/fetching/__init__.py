"""Downloading: politely, resumably, and either whole or not at all.

`fetch` does one file; `partial` holds what of it has arrived, `transport` and `http_range` make one
request, `politeness` is shared by all workers of a machine, `members` checks gzip as it comes.
"""
