"""The example of a settings file can be used as it is."""

from __future__ import annotations

from pathlib import Path

from proxy.config import load_settings

EXAMPLE = Path(__file__).parents[2] / "config" / "proxy.example.toml"
SECRETS = "/run/secrets"


def test_the_example_of_a_settings_file_can_be_used_as_it_is(tmp_path: Path) -> None:
    for name in ("localpayment-username", "localpayment-password"):
        (tmp_path / name).write_text("invented")
        (tmp_path / name).chmod(0o600)
    written = tmp_path / "proxy.toml"
    written.write_text(EXAMPLE.read_text("utf-8").replace(SECRETS, str(tmp_path)), "utf-8")
    settings = load_settings({"PROXY_CONFIG_FILE": str(written)})
    told = (settings.environment.value, str(settings.origin), str(settings.listen), settings.max_in_flight)
    assert told == ("sandbox", "https://api.stage.localpayment.com", "127.0.0.1:8080", 512)
