"""The one hypothesis profile of these tests."""

import os

from hypothesis import HealthCheck, settings

# A shared machine stalls now and then, which says nothing about the code: no deadline, and
# no complaint about slow generation.
# CI takes the same examples each time: it judges a change, and others search.
settings.register_profile(
    "tiny_ca",
    deadline=None,
    max_examples=100,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tiny_ca")
