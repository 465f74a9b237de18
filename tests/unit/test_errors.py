"""The vocabulary of errors."""

import copy
import inspect
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiny_ca.domain import errors
from tiny_ca.domain.lint import LintFinding, LintSeverity

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ARGUMENTS = {
    errors.InvalidRangeTimeCertificate: (NOW, NOW, NOW),
    errors.NotUniqueCertOwner: ("nginx",),
    errors.CertNotFound: (),
    errors.DBNotInitedError: (),
    errors.StillNeeded: (1, "is needed", NOW),
    errors.FileAlreadyExists: (Path("a.pem"),),
    errors.ErrorLoadCert: (Path("a.pem"), "no PEM"),
    errors.NotExistCertFile: (Path("a.pem"),),
    errors.IsNotFile: (Path("a.pem"),),
    errors.WrongType: (".txt",),
    errors.ProfileViolation: ("server", ["a name is missing"]),
    errors.LintFailed: ("nginx", [LintFinding(LintSeverity.ERROR, "pkix.a", "b")]),
    errors.AmbiguousSerialNumber: (7,),
    errors.AnotherIssuer: (7, "CN=Another CA"),
    errors.HistoryError: ("index.txt:3", "it has no date"),
    errors.DamagedHistory: ("index.txt:3", "it has no date"),
    errors.ForeignCertificate: ("01.pem", "another CA issued it"),
    errors.SerialNumberConflict: ("01.pem", "another certificate has its serial number"),
}
CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.TinyCAError)
]


def example(kind: type[errors.TinyCAError]) -> errors.TinyCAError:
    return kind(*ARGUMENTS.get(kind, ("It is so.",)))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_something_and_has_one_base(kind):
    error = example(kind)
    assert isinstance(error, errors.TinyCAError)
    assert str(error) == error.message != ""
    assert kind.__name__ in errors.__all__


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("through", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_error_reaches_another_process_as_it_is(kind, through):
    # A worker's pool hangs on an exception that can't be unpickled.
    error = example(kind)
    error.add_note("Left for recover().")
    again = through(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "kind",
    [errors.InvalidName, errors.UnsafePath, errors.InvalidRevocationReason, errors.NotOnHold],
)
def test_what_can_never_be_done_is_a_value_error(kind):
    assert issubclass(kind, errors.InvalidRequest)
    assert issubclass(kind, ValueError)


def test_errors_name_what_they_are_about():
    assert "'nginx'" in str(errors.NotUniqueCertOwner("nginx"))
    assert errors.NotUniqueCertOwner("nginx").common_name == "nginx"
    assert ".txt" in str(errors.WrongType(".txt"))
    assert "no extension" in str(errors.WrongType(""))
    assert ".der" in str(errors.WrongType(".txt", (".der",)))
    assert "a.pem" in str(errors.ErrorLoadCert(Path("a.pem"), "no PEM"))
    assert "2030-01-01T00:00:00+00:00" in str(errors.InvalidRangeTimeCertificate(NOW, NOW, NOW))


def test_the_exported_names_exist():
    assert set(errors.__all__) <= set(vars(errors))
    assert issubclass(errors.ValidityShortened, UserWarning)
