"""An echo server and its client over mutual TLS, on nothing but asyncio.

    python examples/asyncio_mtls.py serve [FOLDER [PORT]]
    echo hello | python examples/asyncio_mtls.py send [FOLDER [PORT]]

The first one makes the CA, and a pair for either side.  The server asks the registry at each
connection: `python examples/asyncio_mtls.py revoke` keeps the client out from then on.
"""
