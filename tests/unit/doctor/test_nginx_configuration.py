"""nginx's configuration as rungs: units, inheritance, includes, and what is no configuration."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from why504.errors import ConfigError
from why504.watch.nginxconf import gateway_limits, seconds

UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}


@pytest.fixture
def conf(tmp_path):
    def write(text, name="nginx.conf"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def gateways(path):
    return {rung.name: rung.seconds for rung in gateway_limits(path) if rung.kind == "gateway"}


@given(st.fixed_dictionaries({unit: st.integers(0, 9_999) for unit in UNITS_S}))
@example({"d": 0, "h": 0, "m": 1, "s": 30, "ms": 0})
def test_a_length_of_time_survives_the_round_trip(parts):
    text = "".join(f"{parts[unit]}{unit}" for unit in UNITS_S)

    assert seconds(text) == pytest.approx(sum(n * UNITS_S[unit] for unit, n in parts.items()))


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("60", 60), ("1m30s", 90), ("1m30", 90), ("500ms", 0.5), ("1h 30m", 5400), ("0", 0)],
)
def test_a_length_of_time_is_read_as_nginx_reads_it(text, length_s):
    assert seconds(text) == length_s


@pytest.mark.parametrize(
    "text", ["", "s", "1x", "-1s", "1.5s", "30s1m", "1s1s", "30 1m", "$t", "٣s"]
)
def test_what_nginx_would_not_take_is_refused(text):
    with pytest.raises(ConfigError, match="no length of time"):
        seconds(text)


def test_limits_are_inherited_and_each_location_that_passes_on_is_a_rung(conf):
    path = conf("""
        events {}
        http {
            proxy_read_timeout 75s;
            server {
                server_name api.example.org www.example.org;
                location / { proxy_pass http://127.0.0.1:1; }
                location /slow { proxy_read_timeout 3m; proxy_pass http://127.0.0.1:1; }
                location /static { root html; }
            }
            server {
                listen 8081;
                proxy_read_timeout 500ms;
                location ~ ^/v1 { location ~ deep { uwsgi_pass 127.0.0.1:1; }
                                  if ($arg_x) { proxy_pass http://127.0.0.1:1; } }
            }
        }
    """)

    assert gateways(path) == {
        "api.example.org www.example.org location /": 75.0,
        "api.example.org www.example.org location /slow": 180.0,
        "8081 location ~ ^/v1 location ~ deep": 60.0,
        "8081 location ~ ^/v1 if $arg_x": 0.5,
    }


def test_what_is_not_written_is_what_nginx_documents(conf):
    path = conf("events {} http { server { location / { proxy_pass http://127.0.0.1:1; } } }")

    assert {rung.kind: (rung.seconds, rung.attempts) for rung in gateway_limits(path)} == {
        "gateway": (60.0, 1),
        "gateway_connect": (60.0, 1),
        "gateway_send": (60.0, 1),
        "client_body": (60.0, 1),
        "keepalive": (75.0, 1),
    }


@pytest.mark.parametrize(
    ("setting", "tries"),
    [
        ("", 3),
        ("proxy_next_upstream off;", 1),
        ("proxy_next_upstream error;", 1),
        ("proxy_next_upstream_tries 2;", 2),
        ("proxy_next_upstream_tries 9;", 3),
        ("proxy_next_upstream_timeout 90s;", 2),
        ("proxy_next_upstream_timeout 10s;", 1),
    ],
)
def test_servers_that_are_asked_one_after_the_other_are_counted(conf, setting, tries):
    path = conf(f"""
        events {{}}
        http {{
            upstream app {{ server 127.0.0.1:1; server 127.0.0.1:2; server 127.0.0.1:3;
                            server 127.0.0.1:4 backup; server 127.0.0.1:5 down; }}
            {setting}
            server {{ location / {{ proxy_pass http://app/v1; }} }}
        }}
    """)

    assert [rung.attempts for rung in gateway_limits(path) if rung.kind == "gateway"] == [tries]


def test_included_files_count_as_if_they_were_written_there(conf):
    (conf("x").parent / "sites").mkdir()
    conf("server { location /a { include timeouts; proxy_pass http://h; } }", "sites/a.conf")
    conf("server { location /b { include timeouts; proxy_pass http://h; } }", "sites/b.conf")
    conf("proxy_read_timeout 9s;", "timeouts")
    path = conf("events {} http { include sites/*.conf; }")

    assert gateways(path) == {"location /a": 9.0, "location /b": 9.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "passes no request on"),
        ("events {} http { server { location / { root html; } } }", "passes no request on"),
        ("events {} stream { server { proxy_pass h:1; } }", "passes no request on"),
        ("http {", r"nginx.conf:\d+: unexpected end of file"),
        ("http { server { location / { proxy_pass http://h } } }", "nginx.conf"),
        ("this is no configuration", "nginx.conf"),
        ("events {} http { include missing.conf; }", r"nginx.conf:1: .*missing.conf"),
        ("http { include nginx.conf; }", "nginx.conf"),
        (
            "http { server { location / { proxy_read_timeout soon; proxy_pass http://h; } } }",
            "soon",
        ),
        (
            "http { server { location / { proxy_read_timeout; proxy_pass http://h; } } }",
            "proxy_read",
        ),
        ("\x00\x01\x02", "nginx.conf"),
        (b"\xff\xfe http {", "nginx.conf"),
        ("http { " + "server { " * 2_000, "nginx.conf"),
        ("http { server { " + "location / { " * 200 + "}" * 202, "deep"),
    ],
)
def test_what_is_no_configuration_of_a_gateway_is_said_with_its_place(conf, text, says):
    with pytest.raises(ConfigError, match=says):
        gateway_limits(conf(text))


def test_a_missing_file_and_a_folder_are_no_configuration(tmp_path):
    for path in (tmp_path, tmp_path / "nginx.conf"):
        with pytest.raises(ConfigError, match="is no file"):
            gateway_limits(path)


def test_text_that_is_not_utf_8_does_not_hide_the_limits(conf):
    path = conf(
        b"# \xe4\xf6\xfc\nevents {} http { server { server_name m\xfcller.example;"
        b" location / { proxy_read_timeout 9s; proxy_pass http://h; } } }"
    )

    assert list(gateways(path).values()) == [9.0]


def test_a_configuration_of_a_megabyte_is_read(conf):
    location = "location /%d { proxy_pass http://127.0.0.1:1; # " + "x" * 460 + "\n}\n"
    body = "".join(location % number for number in range(2_000))
    path = conf("events {} http { server { " + body + "} }")

    assert path.stat().st_size > 1_000_000
    assert len(gateways(path)) == 2_000
