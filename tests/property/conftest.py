"""The one hypothesis profile of these tests."""

from hypothesis import HealthCheck, settings

# A shared machine stalls now and then, which says nothing about the code: no deadline, and
# no complaint about slow generation.
settings.register_profile(
    "tiny_ca", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tiny_ca")
