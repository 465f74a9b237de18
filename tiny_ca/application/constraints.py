"""Name constraints as callers write them."""

from ipaddress import IPv4Network, IPv6Network

from pydantic import BaseModel, ConfigDict

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.name_constraints import NameForm, NameSubtree
from tiny_ca.domain.names import DirectoryBase
from tiny_ca.domain.plan import PlannedConstraints

__all__ = ["NameConstraintsConfig"]

Network = IPv4Network | IPv6Network


class NameConstraintsConfig(BaseModel):
    """Which names a CA, and all below it, may vouch for (RFC 5280 §4.2.1.10).

    A DNS name stands for itself and all below it; a host of mailboxes or URIs for itself, or
    with a leading period for all below it.  A kind without permitted names is not limited.
    Raises `pydantic.ValidationError`, a `ValueError`, for none at all or malformed ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    permitted_dns: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    permitted_ip: tuple[Network, ...] = ()
    excluded_ip: tuple[Network, ...] = ()
    permitted_email: tuple[str, ...] = ()
    excluded_email: tuple[str, ...] = ()
    permitted_uri: tuple[str, ...] = ()
    excluded_uri: tuple[str, ...] = ()
    permitted_subjects: tuple[DirectoryBase, ...] = ()
    """Beginnings of distinguished names."""
    excluded_subjects: tuple[DirectoryBase, ...] = ()

    def model_post_init(self, _context: object) -> None:
        """Check the names together."""
        if not (self.planned.permitted or self.planned.excluded):
            raise InvalidRequest("Name constraints permit or exclude something.")

    @property
    def planned(self) -> PlannedConstraints:
        """The subtrees that will be written."""
        permitted = (
            (NameForm.DNS, self.permitted_dns),
            (NameForm.IP, self.permitted_ip),
            (NameForm.EMAIL, self.permitted_email),
            (NameForm.URI, self.permitted_uri),
        )
        excluded = (
            (NameForm.DNS, self.excluded_dns),
            (NameForm.IP, self.excluded_ip),
            (NameForm.EMAIL, self.excluded_email),
            (NameForm.URI, self.excluded_uri),
        )
        return PlannedConstraints(
            (
                *(NameSubtree(f, b) for f, bases in permitted for b in bases),
                *self.permitted_subjects,
            ),
            (*(NameSubtree(f, b) for f, bases in excluded for b in bases), *self.excluded_subjects),
        )
