"""Workers share a queue; one is killed, and nothing is lost or done twice."""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.examples.running import output_of, started, until
from tiny_ca import CertificateStatus, open_ca

NAME = "worker.py"


def outcomes(folder: Path) -> dict[str, str | None]:
    engine = create_engine(f"sqlite:///{folder / 'worker-pki/registry.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT key, outcome FROM jobs")).all()
    engine.dispose()
    return {row.key: row.outcome for row in rows}


def said(line: str, *folders: Path) -> bool:
    return any(line in (each / f"{NAME}.log").read_text().splitlines() for each in folders)


def test_what_a_killed_worker_left_is_done_once(tmp_path: Path) -> None:
    names = [f"host-{number}.internal" for number in range(12)]
    output_of(NAME, "enqueue", *names, "not a name", cwd=tmp_path)
    output_of(NAME, "enqueue", *names, cwd=tmp_path)
    with ExitStack() as stack:
        other = tmp_path / "other"
        other.mkdir()
        arguments = ("work", "--folder", tmp_path / "worker-pki", "--lease", 3)
        doomed = stack.enter_context(started(NAME, *arguments, ports=(), cwd=other))
        until(lambda: any(outcomes(tmp_path).values()))
        doomed.kill()
        doomed.wait()
        stack.enter_context(started(NAME, *arguments, ports=(), cwd=tmp_path))
        until(lambda: all(outcomes(tmp_path).values()))
        until(lambda: said("issued: host-11.internal", tmp_path, other))

    found = outcomes(tmp_path)
    assert found.pop("issue not a name", "").startswith("refused: ")
    assert len(found) == len(names)
    with open_ca(tmp_path / "worker-pki") as ca:
        valid = ca.list_certificates(CertificateStatus.VALID, "SVC")
    assert sorted(record.common_name for record in valid) == sorted(names)
    assert {f"issued {record.serial_number:x}" for record in valid} == set(found.values())


def test_what_ends_soon_is_renewed_in_time(tmp_path: Path) -> None:
    output_of(NAME, "enqueue", "soon.internal", cwd=tmp_path)
    with started(NAME, "work", "--days", 20, ports=(), cwd=tmp_path):
        until(lambda: said("issued: soon.internal", tmp_path))
    with started(NAME, "work", ports=(), cwd=tmp_path):
        until(lambda: said("renewed: soon.internal", tmp_path))
    with open_ca(tmp_path / "worker-pki") as ca:
        new, old = ca.list_certificates(common_name="soon.internal")
    assert (new.not_after - old.not_after).days == 70
