"""`CertLifecycleManager`: all operations under one name."""

from tiny_ca.lifecycle.answering import Answering
from tiny_ca.lifecycle.authorities import Authorities
from tiny_ca.lifecycle.backing_up import BackingUp
from tiny_ca.lifecycle.catalogue import Catalogue
from tiny_ca.lifecycle.examining import Examining
from tiny_ca.lifecycle.measuring import Measuring
from tiny_ca.lifecycle.publishing import Publishing
from tiny_ca.lifecycle.revoking import Revoking
from tiny_ca.lifecycle.serving import Serving
from tiny_ca.lifecycle.telling import Telling
from tiny_ca.lifecycle.verifying import Verifying

__all__ = ["CertLifecycleManager"]


class CertLifecycleManager(
    Authorities,
    Serving,
    Revoking,
    Publishing,
    Answering,
    Verifying,
    Catalogue,
    Telling,
    Measuring,
    BackingUp,
    Examining,
):
    """One certificate authority: issues, verifies, rotates and revokes, and keeps the record.

    *storage* takes the files (by default `LocalStorage()`), *db_handler* the record; without
    one, what needs it raises `DBNotInitedError`.  *factory* is the CA that signs; it is set by
    `create_self_signed_ca`, or by hand.  *urls* go into the certificates that are issued;
    *profiles* are kinds of certificates beside the built-in ones, or in their place.  *linter*
    looks at each certificate before it is signed.  *observer*, or each of several, sees
    every operation.
    *clock*, *entropy* and *crypto* are the system's unless given.  Raises `TypeError` for a
    *storage*, *db_handler*, *linter* or *observer* that is none.

    Thread-safe.  What an earlier process left unfinished is recovered before the first
    operation.  Every operation raises `TinyCAError`s alone for what goes wrong outside.

    With an *idempotency_key*, 1-255 characters, an operation that issues can be repeated: the
    same request gives the first certificate, with its private key where the storage holds it
    (else `StorageError`); another request under the same key is an `IdempotencyConflict`.
    """
