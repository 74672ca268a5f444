"""Downloading: politely, resumably, and either whole or not at all.

`fetch` does one file, `ranges` reads parts of one, `pieces` puts a file together from parts;
`attempts` repeats their requests, `partial` holds what has arrived, `transport` and `http_range`
make one request. `politeness` and `tally` are shared by all workers of a machine, `session` says
how they ask, `members` checks gzip as it comes.
"""
