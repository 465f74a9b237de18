"""What type checkers have to find."""

from tiny_ca import CertLifecycleManager, ClientConfig, open_async_ca, open_ca

CertLifecycleManager(storage=1)  # wrong

with open_ca("pki") as ca:
    ca.issue_certificate("nginx")  # wrong
    ca.issue_certificate(ClientConfig(common_name="a"), cert_pth="x")  # wrong
    ca.revoke_certificate("12ab")  # wrong


async def asynchronous() -> None:
    async with open_async_ca("pki") as ca:
        await ca.issue_certificate("nginx")  # wrong
        await ca.issue_certificate(ClientConfig(common_name="a"), cert_pth="x")  # wrong
        await ca.open_ca(b"Root")  # wrong
