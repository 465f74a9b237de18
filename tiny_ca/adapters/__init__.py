"""What meets the outside: drivers of the application (inbound), and what it drives (outbound)."""

from logging import NullHandler, getLogger

# Whatever logs has loaded this package.  Who wants to read the records adds a handler; without
# one nothing is written, not even warnings to stderr.
getLogger("tiny_ca").addHandler(NullHandler())
