"""A CA with a new key that had lost its name, or its links with the old one."""

from dataclasses import replace
from typing import Any

import pytest

from tests.regression.test_authorities import ca_config
from tests.regression.world import World
from tiny_ca import CAConfig, TinyCAError
from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES
from tiny_ca.domain.errors import InvalidRequest


def test_the_name_stays_whole(world: World) -> None:
    """What was not repeated was lost, and the new root, of another name, was left unlinked."""
    with world.manager() as ca:
        ca.create_self_signed_ca(ca_config("Root", organization="ACME", path_length=0))
        old = ca.factory.certificate
        ca.rollover_ca(ca_config("Root", path_length=0))
        assert ca.factory.certificate.subject == old.subject
        with pytest.raises(InvalidRequest, match="organization is 'ACME'"):
            ca.rollover_ca(ca_config("Root", organization="Another"))


@pytest.mark.parametrize(
    "fields",
    [
        {"key_algorithm": "p-256"},
        {"name_constraints": {"excluded_subjects": [{"organization": "ACME"}]}},
    ],
)
def test_nothing_is_made_that_can_not_be_linked(world: World, fields: dict[str, Any]) -> None:
    """The new root was made, and then its links failed."""
    strict = replace(BUILT_IN_PROFILES["ca"], key_algorithms=("p-384",))  # type: ignore[arg-type]
    with world.manager(profiles=[strict]) as ca:
        config = CAConfig(common_name="Root", organization="ACME", key_algorithm="p-384")
        ca.create_self_signed_ca(config)
        with pytest.raises(TinyCAError):
            ca.rollover_ca(CAConfig(**{**config.model_dump(), **fields}))
        assert len(world.rows()) == 1
