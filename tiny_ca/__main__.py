"""`python -m tiny_ca`: the command line."""

import sys

from tiny_ca.adapters.inbound.cli import main

if __name__ == "__main__":
    sys.exit(main())
