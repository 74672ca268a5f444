"""Downloading: politely, resumably, and either whole or not at all.

`fetch` does one file, `ranges` reads parts of one, `pieces` puts a file together from parts;
`attempts` repeats their requests, `partial` holds what has arrived, `transport` and `http_range`
make one request, `members` checks gzip as it comes. All workers of a run share what `keeper` keeps:
the `limiter`, which `politeness` obeys, and the `tally`. `session` says how they ask.
"""
