"""A device's row and its certificate, committed together: python device_registration.py [FOLDER]"""

import sys
from pathlib import Path

from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tiny_ca import CertType, ClientConfig, Settings, open_ca


class Base(DeclarativeBase):
    pass


class Device(Base):
    __tablename__ = "devices"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    serial_number: Mapped[str] = mapped_column(String(49), unique=True)


def main(folder: Path) -> None:
    # The application's tables live in the registry's database, or the registry in theirs.
    engine = create_engine(Settings(base_folder=folder).registry_url)
    with open_ca(folder, common_name="Device CA", key_algorithm="p-256") as ca:
        Base.metadata.create_all(engine)
        device = ClientConfig(
            common_name="sensor-17",
            serial_type=CertType.DEVICE,
            is_client_cert=True,
            key_algorithm="p-256",
        )
        with ca.prepare_certificate(device, cert_path="devices") as prepared:
            with Session(engine) as session, session.begin():
                session.add(
                    Device(
                        name="sensor-17", owner="alice", serial_number=str(prepared.serial_number)
                    )
                )
                prepared.join(session)
        certificate, _, _ = prepared.issued
        print(f"registered sensor-17 with {certificate.serial_number:x}")

        with Session(engine) as session, session.begin():
            row = session.scalars(select(Device).where(Device.name == "sensor-17")).one()
            ca.revoke_certificate(int(row.serial_number), within=session)
            session.delete(row)
        print(f"retired    sensor-17: {ca.get_certificate_status(certificate.serial_number)}")
    engine.dispose()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "device-pki"))
