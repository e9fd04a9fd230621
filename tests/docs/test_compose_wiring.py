"""docker-compose.yml: its programs find each other, their settings and their configuration."""

import importlib
import importlib.util
import re
import subprocess
import typing

import pytest
import yaml
from click import Context
from typer.main import get_command

from dashboards import settings as explorer
from lab import app as lab_app
from service.application.settings import Settings as ServiceSettings
from tests.composed import PROFILES, ROOT, environment, ours, services, words
from tests.docs.test_compose import WITHOUT_HEALTHCHECK
from why504.cli import app
from why504.config import AlertSettings, ProbeSettings
from why504.stores.tempo.store import TempoSettings

PORTS = {
    "tempo": {3200},
    "prometheus": {9090},
    "alertmanager": {9093},
    "grafana": {3000},
    "postgres-exporter": {9187},
    "rabbitmq": {15692},
}
"""Where programs of others tell their metrics."""


def known_variables() -> set[str]:
    """Return every variable that a program of ours reads."""
    known = {"OTEL_SERVICE_NAME", "OTEL_SEMCONV_STABILITY_OPT_IN", "WHY504_RABBITMQ_PASSWORD"}
    for prefix, settings in (
        ("WHY504_", ProbeSettings),
        ("WHY504_ALERTS_", AlertSettings),
        ("WHY504_TEMPO_", TempoSettings),
    ):
        known |= {f"{prefix}{name.upper()}" for name in typing.get_type_hints(settings)}
    for name, told in ServiceSettings.model_fields.items():
        alias = told.validation_alias
        known |= set(getattr(alias, "choices", ())) | {f"SERVICE_{name.upper()}"}
    for module in (explorer, lab_app):
        source = importlib.util.find_spec(module.__name__).origin
        known |= set(
            re.findall(r"""environ(?:\.get)?[\[(]"(\w+)"|env\.get\("(\w+)""", text(source))
        )
    flat = {name for each in known for name in ([each] if isinstance(each, str) else each) if name}
    return flat | envvars(get_command(app))


def text(file: str) -> str:
    with open(file, encoding="utf-8") as lines:
        return lines.read()


def envvars(command) -> set[str]:
    found = {str(each.envvar) for each in command.params if each.envvar}
    return found.union(*(envvars(each) for each in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("name", sorted(ours()))
def test_every_variable_that_we_set_is_one_that_the_program_reads(name):
    service = services()[name]
    used = " ".join([*words(service), *(service.get("healthcheck", {}).get("test") or ())])

    unread = {key for key in environment(service) if key not in used} - known_variables()

    assert unread == set()


@pytest.mark.parametrize("name", sorted(ours()))
def test_every_command_is_one(name):
    match words(services()[name]):
        case ["why504", *arguments]:
            command, arguments = get_command(app), list(arguments)
            while hasattr(command, "commands"):
                command = command.commands[arguments.pop(0)]
            command.parse_args(Context(command), arguments)
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module)
        case ["uvicorn", "--factory", place, *_]:
            module, _, factory = place.partition(":")
            assert hasattr(importlib.import_module(module), factory)
        case ["python", "-c", program]:
            compile(program, name, "exec")
        case ["sh", "-ec", script]:
            subprocess.run(["sh", "-n", "-c", script], check=True)
        case unknown:
            pytest.fail(f"{name} runs {unknown}, which nobody checks")


def test_the_collector_reads_every_variable_that_it_is_given():
    read = (ROOT / "otel" / "collector.yaml").read_text()

    for name in environment(services()["collector"]):
        assert f"${{env:{name}" in read or name == "GOMEMLIMIT"


def test_every_wait_is_for_something_that_happens():
    for name, one in services().items():
        for other, how in (one.get("depends_on") or {}).items():
            awaited = services()[other]
            if how["condition"] == "service_healthy":
                assert other not in WITHOUT_HEALTHCHECK, f"{name} waits for {other} for ever"
            if how["condition"] == "service_completed_successfully":
                assert awaited["restart"] == "no"
            if how["required"]:
                assert set(one.get("profiles", PROFILES)) & set(awaited.get("profiles", PROFILES))
                assert not awaited.get("profiles") or set(one["profiles"]) <= set(
                    awaited["profiles"]
                ), f"{name} needs {other}, which its profile does not start"


def test_every_address_inside_is_a_service():
    hosts = set(services()) | {"localhost", "127.0.0.1", "0.0.0.0"}
    for name, one in services().items():
        for said in [*environment(one).values(), *words(one)]:
            named = re.findall(r"\w://(?:[^/@\s]*@)?([\w.-]+)", said)
            assert set(named) <= hosts, f"{name} is told of {named}"


def test_the_gateway_waits_as_long_as_everybody_is_told():
    told = services()
    limit = environment(told["gateway"])["GATEWAY_TIMEOUT"].removesuffix("s")

    assert f"--gateway-timeout-s={limit}" in words(told["watch"])
    assert f"--gateway-timeout-s={limit}" in words(told["demo"])
    assert environment(told["explorer"])["WHY504_GATEWAY_TIMEOUT_S"] == limit
    assert float(limit) == ServiceSettings().timeouts.gateway_s


def served() -> dict[str, set[int]]:
    """Return at which ports a service tells its metrics."""
    found = {name: set(ports) for name, ports in PORTS.items()}
    for name, one in ours().items():
        env, ports = environment(one), found.setdefault(name, set())
        if "WHY504_ENDPOINT" in env:
            workers = re.search(r"--workers=(\d+)", " ".join(words(one)))
            first = ProbeSettings().metrics_port
            ports |= set(range(first, first + int(workers[1] if workers else 1)))
        ports |= {
            int(port)
            for port in re.findall(r":(\d+)/(?:metrics|healthz)", env.get("HEALTH_URL", ""))
        }
    collector = ROOT / "otel" / "collector.yaml"
    found["collector"] = set(map(int, re.findall(r":\s?(\d{4,5})\b", text(str(collector)))))
    return found


def aliases(service) -> set[str]:
    networks = (service.get("networks") or {}).values()
    return {alias for network in networks for alias in (network or {}).get("aliases", ())}


def targets() -> list[tuple[str, str]]:
    """Return every host and port that the Prometheus of Compose asks."""
    configuration = yaml.safe_load((ROOT / "otel" / "prometheus.compose.yml").read_text())
    found = []
    for job in configuration["scrape_configs"]:
        for group in job.get("static_configs", ()):
            told = [target.replace("127.0.0.1", "prometheus") for target in group["targets"]]
            found += [tuple(target.rsplit(":", 1)) for target in told]
        for group in job.get("dns_sd_configs", ()):
            found += [(name.removeprefix("tasks."), str(group["port"])) for name in group["names"]]
    return found


def test_prometheus_asks_services_at_ports_that_they_have():
    ports, asked = served(), targets()

    assert asked
    for host, port in asked:
        assert int(port) in ports.get(host, ()), f"nothing is at {host}:{port}"


def test_prometheus_asks_every_process_of_whoever_has_the_service_s_name():
    named = [
        words(one)
        for name, one in services().items()
        if name == "service" or "service" in aliases(one)
    ]

    # One port less would be a target that is always down.
    assert len(named) == 2
    assert all("--workers=2" in command for command in named)
    assert {("service", "9464"), ("service", "9465")} <= set(targets())


def test_a_black_box_outlives_its_container_and_is_seen_from_outside():
    probed = [name for name in services() if "WHY504_BLACK_BOX" in environment(services()[name])]

    assert {"service", "worker", "bad-release", "watch"} == set(probed)
    for name in probed:
        folder = environment(services()[name])["WHY504_BLACK_BOX"]
        (volume,) = [v for v in services()[name]["volumes"] if folder.startswith(v["target"] + "/")]
        assert (volume["type"], volume["source"]) == ("volume", "boxes")
        # The probe makes the folder, so that only its account may look into it.
        assert bool(volume.get("read_only")) == (name == "watch")


def test_alertmanager_is_told_where_the_router_is(tmp_path, alertmanager_binary):
    (script,) = [word for word in words(services()["prepare"]) if "sed" in word]
    (line,) = re.findall(r"sed .*?\\\n.*", script)
    made = tmp_path / "alertmanager.yml"
    command = line.replace("/v/alertmanager/alertmanager.yml", str(made)).replace(
        " /alertmanager.yml", f" {ROOT / 'alerts' / 'alertmanager.yml'}"
    )

    subprocess.run(["sh", "-ec", command], check=True)

    assert "127.0.0.1" not in made.read_text()
    assert made.read_text().count("http://router:9504/alertmanager") == 2
    subprocess.run(["amtool", "check-config", made], check=True, capture_output=True)


def test_prometheus_shows_the_probes_the_token_that_they_want(tmp_path):
    script = "\n".join(words(services()["prepare"])).replace("$$", "$")
    (line,) = [line for line in script.splitlines() if "job_name" in line]
    made = tmp_path / "prometheus.yml"
    command = line.replace("/v/prometheus/prometheus.yml", str(made)).replace(
        " /prometheus.yml", f" {ROOT / 'otel' / 'prometheus.compose.yml'}"
    )

    subprocess.run(["sh", "-ec", command], check=True)

    found = {job["job_name"]: job for job in yaml.safe_load(made.read_text())["scrape_configs"]}
    assert {name for name, job in found.items() if "authorization" in job} == {"service"}
    assert found["service"]["authorization"] == {"credentials_file": "token"}
    assert '"$WHY504_METRICS_TOKEN" > /v/prometheus/token' in script
    readers = ("service", "explorer", "prepare")
    tokens = {environment(services()[name])["WHY504_METRICS_TOKEN"] for name in readers}
    assert len(tokens) == 1
