"""The ladder of timeouts: what each limit is, and how the limits have to stand to each other.

Pure: rungs in, findings out. Who reads them from where is `why504.doctor`'s business.
"""
