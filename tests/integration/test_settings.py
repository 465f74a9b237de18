"""Settings: of the environment, of files, and what is wrong with them."""

from pathlib import Path

import pytest
from cryptography import x509

from tests.regression.world import leaf
from tiny_ca import (
    Settings,
    open_ca,
)
from tiny_ca.domain.errors import InvalidRequest

pytestmark = pytest.mark.usefixtures("clean_environment")


class TestSettings:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "tiny_ca.toml"
        path.write_text(
            'common_name = "From The File"\norganization = "From The File"\ncountry = "FI"\n'
            'key_algorithm = "p-256"\ncrl_urls = ["http://crl.internal/crl.pem"]\n'
        )
        return path

    def test_arguments_win_over_the_environment_and_that_over_the_file(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TINY_CA_ORGANIZATION", "From The Environment")
        monkeypatch.setenv("TINY_CA_COUNTRY", "EN")
        settings = Settings(config_file=file, country="AR")
        assert settings.common_name == "From The File"
        assert settings.organization == "From The Environment"
        assert settings.country == "AR"

    @pytest.mark.parametrize("name", ["TINY_CA_CONFIG_FILE", "tiny_ca_config_file"])
    def test_the_environment_names_the_file(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, str(file))
        assert Settings().common_name == "From The File"

    def test_a_ca_from_the_file_alone(self, file: Path, tmp_path: Path) -> None:
        with open_ca(tmp_path / "pki", config_file=file) as ca:
            certificate, _, _ = ca.issue_certificate(leaf())
        subject = ca.factory.certificate.subject.rfc4514_string()
        assert subject == "CN=From The File,O=From The File,C=FI"
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert points[0].full_name[0].value == "http://crl.internal/crl.pem"

    def test_one_url_for_all_that_is_published(self, tmp_path: Path) -> None:
        with open_ca(
            tmp_path,
            common_name="Root",
            key_algorithm="p-256",
            publication_url="http://pki.internal/pki/",
        ) as ca:
            certificate, _, _ = ca.issue_certificate(leaf())
        found = ca.inspect_certificate(certificate)
        issuer_id = ca.factory.issuer_id
        assert found.crl_urls == [f"http://pki.internal/pki/crl/{issuer_id}.crl"]
        assert found.ocsp_urls == ["http://pki.internal/pki/ocsp"]

    @pytest.mark.parametrize("name", ["crl_urls", "delta_crl_urls", "ocsp_urls", "issuer_urls"])
    def test_one_url_beside_the_others_is_a_contradiction(self, name: str) -> None:
        with pytest.raises(ValueError, match="not both"):
            Settings(publication_url="http://pki.internal", **{name: ["http://pki.internal"]})

    @pytest.mark.parametrize("url", ["pki.internal", "ftp://pki.internal", "http://pki.internal?a"])
    def test_one_url_that_is_none(self, url: str) -> None:
        with pytest.raises(ValueError, match="no base of http URLs"):
            Settings(publication_url=url)

    def test_a_ca_from_the_environment_alone(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        variables = {
            "BASE_FOLDER": str(tmp_path / "elsewhere"),
            "DB_URL": f"sqlite:///{tmp_path / 'own.db'}",
            "COMMON_NAME": "Root",
            "KEY_ALGORITHM": "p-256",
            "KEY_PASSPHRASE": "sesame",
            "OCSP_URLS": '["http://ocsp.internal"]',
        }
        for name, value in variables.items():
            monkeypatch.setenv(f"TINY_CA_{name}", value)
        with open_ca() as ca:
            certificate, _, _ = ca.issue_certificate(leaf())
        assert (tmp_path / "own.db").is_file()
        assert len(list((tmp_path / "elsewhere").glob("*/*.key"))) == 2
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
        assert access.value[0].access_location.value == "http://ocsp.internal"

    @pytest.mark.parametrize("name", ["TINY_CA_PASSPHRASE", "tiny_ca_pasphrase", "TINY_CA_"])
    def test_a_stray_variable_is_refused(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "sesame")
        with pytest.raises(ValueError, match="no setting of tiny_ca") as caught:
            Settings()
        assert name in str(caught.value)
        assert "sesame" not in str(caught.value).partition("known are")[0]

    def test_an_unknown_key_of_the_file_is_refused(self, file: Path) -> None:
        file.write_text('common_nmae = "Root"\n')
        with pytest.raises(ValueError, match="common_nmae"):
            Settings(config_file=file)

    def test_a_file_that_says_nothing_sensible(self, file: Path) -> None:
        file.write_text('common_name = ["Root"]')
        with pytest.raises(ValueError, match="common_name"):
            Settings(config_file=file)

    @pytest.mark.parametrize("content", [b"common_name = ", b'common_name = "\xff"', b"\0"])
    def test_a_file_that_is_no_toml_is_named(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(InvalidRequest, match=r"tiny_ca\.toml can't be read"):
            Settings(config_file=file)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no settings file"):
            Settings(config_file=tmp_path / "none.toml")
        with pytest.raises(ValueError, match="no settings file"):
            Settings(config_file=tmp_path)

    def test_an_unknown_argument_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="comon_name"), open_ca(tmp_path, comon_name="Root"):
            pass
