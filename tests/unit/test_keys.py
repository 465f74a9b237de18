"""The keys that certificates are made for."""

import pytest

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec


def test_the_default_is_rsa_2048():
    assert KeySpec() == KeySpec(KeyAlgorithm.RSA, 2048)


@pytest.mark.parametrize("bits", [2048, 2056, 3072, 4096, 8192])
def test_whole_octets_between_the_bounds(bits):
    assert KeySpec(rsa_bits=bits).rsa_bits == bits


@pytest.mark.parametrize("bits", [-2048, 0, 512, 1024, 2040, 2047, 2049, 2052, 8200, 16384])
def test_weak_huge_and_odd_moduli_are_refused(bits):
    with pytest.raises(InvalidRequest, match=str(bits)):
        KeySpec(rsa_bits=bits)


def test_algorithms_are_found_by_the_names_of_the_settings():
    assert KeyAlgorithm("p-256") is KeyAlgorithm.P256
    assert KeyAlgorithm("ml-dsa-65") is KeyAlgorithm.ML_DSA_65
