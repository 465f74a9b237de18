"""Workers that issue and renew certificates from a queue, as Celery's would; run several.

    python examples/worker.py enqueue a.internal b.internal
    python examples/worker.py work

The queue is a table beside the registry.  When a worker dies, its job is another one's after a
minute, and the idempotency key gives what the first one has issued, if it has.  What ends within 30
days is renewed, and all that happens is told.
"""

import argparse
import signal
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, String, create_engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tiny_ca import (
    CertLifecycleManager,
    ClientConfig,
    Event,
    EventKind,
    Settings,
    TinyCAError,
    ValidationCertError,
    open_ca,
)

RENEW_BEFORE = timedelta(days=30)


class Base(DeclarativeBase):
    pass


class Job(Base):
    """A certificate that somebody wants, or the successor of one."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    common_name: Mapped[str] = mapped_column(String(64))
    predecessor: Mapped[str | None] = mapped_column(String(49))
    due_at: Mapped[float] = mapped_column(default=time.time)
    attempts: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None]


class Worker:
    def __init__(self, ca: CertLifecycleManager, engine: Engine, lease: float, days: int) -> None:
        self.ca, self.engine, self.lease, self.days = ca, engine, lease, days
        self.is_stopping = False

    def enqueue(self, job: Job) -> None:
        # Asking twice, by the same key, is asking once.
        with suppress(IntegrityError), Session(self.engine) as session, session.begin():
            session.add(job)

    def take(self) -> Job | None:
        """Take what is due first; no other worker has it before the lease is over."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            is_due = Job.outcome.is_(None), Job.due_at <= time.time()
            for job in session.scalars(select(Job).where(*is_due).order_by(Job.due_at).limit(10)):
                mine = update(Job).where(Job.id == job.id, Job.attempts == job.attempts)
                taken = mine.values(attempts=job.attempts + 1, due_at=time.time() + self.lease)
                if session.scalars(taken.returning(Job.id)).first() is not None:
                    return job
        return None

    def perform(self, job: Job) -> int:
        """Issue what the job asks for, once, however often it is tried; give the serial number."""
        if job.predecessor is not None:
            return self.ca.renew_certificate(
                int(job.predecessor), self.days, idempotency_key=job.key
            ).serial_number
        config = ClientConfig(
            common_name=job.common_name,
            profile="server",
            key_algorithm="p-256",
            days_valid=self.days,
        )
        return self.ca.issue_certificate(config, idempotency_key=job.key)[0].serial_number

    def work(self) -> bool:
        """Do one job; give whether there was one."""
        job = self.take()
        if job is None:
            return False
        try:
            outcome: dict[str, object] = {"outcome": f"issued {self.perform(job):x}"}
        except (ValueError, ValidationCertError) as error:
            outcome = {"outcome": f"refused: {error}"}  # it can never be done
        except TinyCAError as error:
            print(f"later: {job.key}: {error}", flush=True)
            outcome = {"due_at": time.time() + min(2**job.attempts, 3600)}
        with Session(self.engine) as session, session.begin():
            session.execute(update(Job).where(Job.id == job.id).values(outcome))
        return True

    def on_event(self, event: Event) -> None:
        print(f"{event.kind}: {event.common_name}", flush=True)
        if event.kind is EventKind.EXPIRING and event.common_name is not None:
            key = f"renew {event.serial_number}"
            self.enqueue(
                Job(key=key, common_name=event.common_name, predecessor=str(event.serial_number))
            )

    def stop(self, *_: object) -> None:
        """End when the job that is under way is done."""
        self.is_stopping = True

    def run(self) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self.stop)
        self.ca.subscribe("worker", self.on_event)
        announced = 0.0
        while not self.is_stopping:
            if time.time() - announced > 3600:
                self.ca.announce_expiring(RENEW_BEFORE)
                announced = time.time()
            self.ca.deliver_events(lease=timedelta(seconds=self.lease))
            if not self.work():
                time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["enqueue", "work"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--folder", type=Path, default=Path("worker-pki"))
    parser.add_argument("--lease", type=float, default=60, help="seconds")
    parser.add_argument("--days", type=int, default=90, help="how long certificates are valid")
    asked = parser.parse_args()
    engine = create_engine(Settings(base_folder=asked.folder).registry_url)
    with open_ca(asked.folder, common_name="Worker CA", key_algorithm="p-256") as ca:
        Base.metadata.create_all(engine)
        worker = Worker(ca, engine, asked.lease, asked.days)
        for name in asked.names:
            worker.enqueue(Job(key=f"issue {name}", common_name=name))
        if asked.command == "work":
            worker.run()
    engine.dispose()


if __name__ == "__main__":
    main()
