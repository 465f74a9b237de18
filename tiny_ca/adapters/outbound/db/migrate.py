"""Bringing a database to the newest schema, whoever made it."""

from sqlalchemy import Connection, insert, inspect, select, text

from tiny_ca.adapters.outbound.db.schema import REVISION, certificates, metadata, version
from tiny_ca.domain.errors import RegistryError

__all__ = ["is_current", "migrate"]

_LOCK = 7_461_901_280
"""The key of PostgreSQL's advisory lock: any number that nobody else uses."""


def is_current(connection: Connection) -> bool:
    """Whether the schema is the newest; cheap, and writes nothing.

    Raises `RegistryError` for a schema that a newer tiny_ca has made.
    """
    if not inspect(connection).has_table(version.name):
        return False
    found = connection.execute(select(version.c.version_num)).scalar()
    if found is not None and found > REVISION:
        raise RegistryError(
            f"The registry's schema is {found}, newer than {REVISION}: upgrade tiny-ca."
        )
    return found == REVISION


def migrate(connection: Connection) -> None:
    """Create or migrate the tables, inside the transaction of *connection*.

    Two processes take turns: SQLite's write lock is held already, PostgreSQL has an advisory
    one.  A registry of tiny_ca 0.1 keeps every row.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if is_current(connection):
        return
    inspector = inspect(connection)
    if inspector.has_table(version.name):
        _upgrade(connection)
    elif not inspector.has_table(certificates.name):
        metadata.create_all(connection)
        _stamp(connection, REVISION)
    else:
        columns = {column["name"] for column in inspector.get_columns(certificates.name)}
        if not {"serial_number", "key_type", "not_valid_after", "certificate_pem"} <= columns:
            raise RegistryError(
                f"The database has a table {certificates.name!r} that is not tiny_ca's: "
                "use another database or schema."
            )
        _stamp(connection, "0001")
        _upgrade(connection)


def _stamp(connection: Connection, revision: str) -> None:
    version.create(connection)
    connection.execute(insert(version).values(version_num=revision))


def _upgrade(connection: Connection) -> None:
    # Alembic takes a tenth of a second to import, and is needed once in a registry's life.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "tiny_ca.adapters.outbound.db:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
