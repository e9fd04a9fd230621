import json
from types import SimpleNamespace

import pytest

from lab.demo import _address, main
from lab.faults import FAULTS
from tests.unit.dashboards.explorer_examples import loop_incident, pool_incident


def test_the_list_names_every_fault_and_what_happens(capsys):
    assert main(["--list", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert [row["fault"] for row in listed] == [row.id for row in FAULTS]
    assert all(row["description"].endswith(".") for row in listed)


def test_the_list_for_people_has_every_fault(capsys):
    assert main(["--list"]) == 0

    out = capsys.readouterr().out
    assert all(row.id in out for row in FAULTS)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_an_unknown_fault_is_told_on_standard_error_only(capsys, tmp_path, flags):
    assert main(["Z9", "--folder", str(tmp_path / "run"), *flags]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert "there is no fault 'Z9'; there are F1" in told.err.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_the_explorer_opens_the_incident_that_hit_most():
    few, many = loop_incident(), pool_incident()

    assert _address(SimpleNamespace(incidents=[few, many])) == f"/incident?incident={many.id}"
    assert _address(SimpleNamespace(incidents=[])) == "/"
