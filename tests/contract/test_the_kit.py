"""The contract suites find an adapter's fault, whichever it is."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract import faulty_adapters, faulty_outboxes

PROJECT = Path(__file__).parents[2]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-n0", "-rf", "--tb=no", "-p", "no:cacheprovider")


@pytest.mark.parametrize("faulty", [faulty_adapters, faulty_outboxes])
def test_every_faulty_adapter_is_found_and_no_other(faulty: ModuleType) -> None:
    """Without the search against the model, which takes long and finds most of them as well."""
    done = subprocess.run(
        [*PYTEST, "-k", "not agrees_with_the_model", str(faulty.__file__)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = set(re.findall(r"^FAILED .*::Test(\w+)::", done.stdout, re.MULTILINE))
    assert found == {kind.__name__ for kind in faulty.FAULTY}, done.stdout
