"""The rules of a certificate authority, free of I/O, clocks and randomness."""
