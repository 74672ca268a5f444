"""Reading WARC and ARC archives, whatever is wrong with them: every intact record is recovered.

`records` is the way in: `fast` reads with FastWARC while all is well, and from the first offset
where something is not, `members` goes on gzip member by gzip member. `dialects` knows WARC and ARC
headers, `http` what is inside a response, `framed` the zstd and LZ4 framings.
"""
