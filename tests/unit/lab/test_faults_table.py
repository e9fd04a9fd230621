import pytest

from lab.adapters.variants import VARIANTS
from lab.faults import FAULTS, GATEWAY_TIMEOUT_S, Marker, fault
from lab.load import ROUTES
from lab.outside import ACTIONS, World
from lab.peers import NEEDS, Peers
from service.application.settings import Settings
from why504.diagnose.causes import CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME
from why504.errors import LabError

EVERY_FAULT = pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.id)


def test_the_default_fault_is_that_of_the_story():
    assert FAULTS[0].id == "F1"


def test_no_two_faults_share_an_id_in_any_case():
    ids = [row.id.lower() for row in FAULTS]

    assert len(set(ids)) == len(ids)


def test_every_cause_of_the_taxonomy_has_a_fault():
    assert {row.trigger for row in FAULTS} == {
        cause.id for cause in (*CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME)
    }


@EVERY_FAULT
def test_a_fault_expects_a_cause_that_the_engine_can_name(row):
    assert row.trigger in {cause.id for cause in (*CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME)}


@EVERY_FAULT
def test_a_fault_is_made_of_parts_that_exist(row):
    assert row.variant in VARIANTS
    assert row.outside in ACTIONS
    assert set(row.needs) <= NEEDS
    assert {*row.before, *row.during} <= set(ROUTES)


@pytest.mark.parametrize("action", ["slow memory", "memory alarm of the broker"])
def test_what_a_fault_disturbs_without_having_asked_for_it_is_told(action):
    without = World("", Peers(None, mem0=None, rabbitmq=None, broker_url=""), service_pid=0)

    with pytest.raises(LabError, match="its `needs` must name it"), ACTIONS[action](without):
        pass


@pytest.mark.parametrize("row", [row for row in FAULTS if row.site], ids=lambda row: row.id)
def test_the_line_of_a_fault_is_found_in_the_source(row):
    file, _, line = row.site.resolve().rpartition(":")

    assert file == row.site.file
    assert int(line) > 0


@EVERY_FAULT
def test_the_service_takes_the_settings_of_a_fault(row, monkeypatch):
    for name, value in row.settings.items():
        monkeypatch.setenv(name, value)

    limits = Settings().limits

    if row.trigger == "N0":
        assert limits.application_s is not None
        assert limits.application_s < 4
    elif row.trigger == "G1":
        assert limits.application_s > GATEWAY_TIMEOUT_S
    else:
        assert (limits.application_s, limits.checkout_s, limits.statement_s) == (None, None, None)
        assert (limits.llm_s, limits.lock_s, limits.idle_in_transaction_s) == (None, None, None)


def test_a_fault_is_found_whatever_the_case_of_its_id():
    assert fault("f1-POOL").id == "F1-pool"


def test_a_fault_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(LabError, match="F1, F1-pool, F1-alarm, A1a"):
        fault("Z9")


def test_a_marker_whose_text_is_on_two_lines_is_refused():
    with pytest.raises(LabError, match=r"is on \d+ lines"):
        Marker("lab/faults.py", "trigger=").resolve()


def test_a_marker_whose_text_is_gone_is_refused():
    with pytest.raises(LabError, match="is on 0 lines"):
        Marker("lab/adapters/event_publisher.py", "no such" + " text").resolve()


def test_a_marker_within_another_line_takes_the_first_line_after_it():
    first = Marker("lab/adapters/event_publisher.py", "async def publish(", within="class Blocking")
    second = Marker("lab/adapters/event_publisher.py", "async def publish(", within="class Thread")

    assert int(first.resolve().split(":")[1]) < int(second.resolve().split(":")[1])
