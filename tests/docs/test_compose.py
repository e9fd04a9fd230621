"""docker-compose.yml, as Docker Compose understands it: what every container of it must be."""

import re
import subprocess

import pytest

from tests.composed import FILE, PROFILES, compose, environment, ours, services, words
from why504.cli import envfile

WITHOUT_HEALTHCHECK = {
    "collector": "an image from scratch: there is no program in it that could ask",
    "prepare": "it ends",
    "migrations": "it ends",
    "nightly": "it ends",
    "demo": "it ends",
}
AS_ROOT = {"prepare": "gives new volumes, which are root's, to those who write into them"}
OF_THE_IMAGE = {"langfuse-web", "langfuse-worker"}
"""Their images name an account that is not root."""
WRITABLE = {"rabbitmq", "langfuse-web", "langfuse-worker", "langfuse-clickhouse"}
SECRET = re.compile(r"PASS|SECRET|TOKEN|SALT|ENCRYPTION|_KEY$|_AUTH$|REDISCLI_AUTH")
GIVEN_BY_PEOPLE = {"SERVICE_GROQ_API_KEY", "SERVICE_MEM0_API_KEY"}
MUTE = "amqp://guest:guest@demo:5672/%2F"
"""The demo's broker takes no password: it never says a word."""
NAMES = sorted(services())


@pytest.fixture
def env(tmp_path):
    envfile.complete(tmp_path / ".env")
    return tmp_path / ".env"


@pytest.mark.parametrize("profiles", [(), *[(one,) for one in PROFILES], PROFILES])
def test_compose_takes_the_file_with_any_profile(profiles, env):
    assert compose("config", "--quiet", env=env, profiles=profiles) == ""


def test_without_passwords_compose_says_what_to_run(tmp_path):
    (tmp_path / "empty").touch()

    with pytest.raises(subprocess.CalledProcessError) as refused:
        compose("config", "--quiet", env=tmp_path / "empty")

    assert "run why504 init" in refused.value.stderr


def test_init_makes_what_the_file_asks_for_and_nothing_else():
    asked = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))

    assert asked == {each.name for each in envfile.REQUIRED}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_has_a_version(name):
    _, _, tag = services()[name]["image"].rpartition(":")

    assert re.search(r"\d+\.\d+|RELEASE\.\d{4}-\d{2}-\d{2}", tag)


def test_only_one_service_builds_our_image_and_the_others_wait_for_it():
    assert [name for name, one in ours().items() if "build" in one] == ["prepare"]
    for name, one in ours().items():
        if name != "prepare":
            assert one["pull_policy"] == "never"
            assert "prepare" in before(name), name


def before(name: str) -> set[str]:
    """Return everything that has to be there before a service starts."""
    direct = set(services()[name].get("depends_on") or ())
    return direct.union(*(before(each) for each in direct))


@pytest.mark.parametrize("name", NAMES)
def test_a_service_says_whether_it_is_well(name):
    healthcheck = services()[name].get("healthcheck") or {}
    asked = bool(healthcheck) and not healthcheck.get("disable")

    assert asked != (name in WITHOUT_HEALTHCHECK)
    if not asked and WITHOUT_HEALTHCHECK[name] == "it ends":
        assert services()[name]["restart"] == "no"


@pytest.mark.parametrize("name", NAMES)
def test_a_container_may_do_little(name):
    service = services()[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["CHOWN"] if name == "prepare" else [])
    assert bool(service.get("read_only")) != (name in WRITABLE)
    assert "privileged" not in service
    if name not in OF_THE_IMAGE:
        assert (service["user"] == "0:0") == (name in AS_ROOT)
        assert re.fullmatch(r"\d+:\d+", service["user"])


@pytest.mark.parametrize("name", NAMES)
def test_a_container_is_bounded_in_everything(name):
    service = services()[name]
    limits = service["deploy"]["resources"]["limits"]

    assert set(limits) == {"cpus", "memory", "pids"}
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def after(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_what_a_cache_may_keep_fits_into_its_container():
    for name in ("redis", "langfuse-redis"):
        told = int(after(words(services()[name]), "--maxmemory").removesuffix("mb"))
        limit = int(services()[name]["deploy"]["resources"]["limits"]["memory"])
        assert told * 2**20 <= 0.75 * limit


def test_ports_are_open_on_this_machine_only_and_each_once():
    published = [port for one in services().values() for port in one.get("ports", ())]

    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    assert len({port["published"] for port in published}) == len(published)


def test_who_publishes_a_port_is_on_the_network_that_leads_outside():
    for name, one in services().items():
        networks = set(one.get("networks") or ())
        assert "outside" in networks or not one.get("ports"), name
        assert networks <= {"inside", "outside"}


def test_two_folders_have_no_password_in_common():
    here, there = services(0), services(1)
    same = []
    for name, one in here.items():
        for key, value in environment(one).items():
            password = bool(SECRET.search(key)) or re.search(r"://[^/\s]*:[^/\s]+@", value)
            if value and password and value == environment(there[name])[key]:
                same.append((key, value))

    assert {key for key, value in same if value != MUTE} <= GIVEN_BY_PEOPLE
    assert [key for key, value in same if value == MUTE] == ["LAB_BROKER_URL"]


@pytest.mark.parametrize("name", ["redis", "langfuse-redis"])
def test_a_cache_asks_for_the_password_that_its_health_check_has(name):
    service = services()[name]

    assert after(words(service), "--requirepass") == environment(service)["REDISCLI_AUTH"]


def test_the_stand_in_for_the_chat_room_is_on_the_router_s_own_machine():
    webhook = environment(services()["router"])["WHY504_ALERTS_WEBHOOK"]

    assert services()["googlechat"]["network_mode"] == "service:router"
    assert f"--port={webhook.partition('127.0.0.1:')[2][:4]}" in words(services()["googlechat"])
    assert webhook.endswith("/messages?key=lab&token=lab")


def mounts(name: str) -> list[tuple[str, str]]:
    """Return what is mounted from the folder, and where."""
    return [
        (each["source"], each["target"])
        for each in services()[name].get("volumes", ())
        if each["type"] == "bind"
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if mounts(name)])
def test_what_is_mounted_is_in_the_repository(name, repository_files):
    for source, target in mounts(name):
        below = [file for file in repository_files if str(file).startswith(source)]
        assert below, f"{target} of {name} is mounted from {source}, which is not there"


def test_what_is_mounted_can_only_be_read():
    bound = [
        v for one in services().values() for v in one.get("volumes", ()) if v["type"] == "bind"
    ]

    assert all(each["read_only"] for each in bound)
