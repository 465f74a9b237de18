"""Rows and files in memory, as a backup has them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime
from enum import Enum
from pathlib import Path, PurePosixPath
from threading import RLock
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.domain.backup import JSONValue, Row
from tiny_ca.domain.errors import BackupError, NotEmpty
from tiny_ca.domain.names import folder_path
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

__all__ = ["CertificateRows", "FolderRestoration"]
