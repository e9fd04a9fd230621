"""Tempo behind TLS that asks for a certificate: a real handshake on this machine."""

import http.server
import shutil
import ssl
import subprocess
import threading

import pytest

from why504.errors import StoreUnavailable
from why504.stores.access import TempoSettings
from why504.stores.tempo.store import tempo

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes certificates")


class Empty(http.server.BaseHTTPRequestHandler):
    """A Tempo without a trace."""

    def do_GET(self):
        body = b'{"traces":[],"metrics":{}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Two authorities, and a certificate of this machine by each of them."""
    folder = tmp_path_factory.mktemp("pem")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    for ca, name in (("ca", "one"), ("other-ca", "other")):
        new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        openssl(
            *new, "-x509", "-days", 2, "-subj", f"/CN={ca}",
            "-keyout", folder / f"{ca}.key", "-out", folder / f"{ca}.pem",
        )  # fmt: skip
        openssl(*new, "-subj", f"/CN={name}", "-keyout", key, "-out", folder / "request")
        openssl(
            "x509", "-req", "-in", folder / "request", "-days", 2, "-CAcreateserial",
            "-CA", folder / f"{ca}.pem", "-CAkey", folder / f"{ca}.key",
            "-extfile", folder / "san", "-out", certificate,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def address(pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem / "one.pem", pem / "one.key")
    context.load_verify_locations(pem / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def extent(address, pem, **files):
    told = TempoSettings(**{name: str(pem / file) for name, file in files.items()})
    return tempo(address, told, sleep=lambda _: None).extent()


def test_with_our_certificate_and_their_authority_we_are_let_in(address, pem):
    mine = {"cert_file": "one.pem", "key_file": "one.key"}

    assert extent(address, pem, ca_file="ca.pem", **mine) is None


@pytest.mark.parametrize(
    "files",
    [
        {"ca_file": "ca.pem"},
        {"ca_file": "ca.pem", "cert_file": "other.pem", "key_file": "other.key"},
        {"ca_file": "other-ca.pem", "cert_file": "one.pem", "key_file": "one.key"},
        {"cert_file": "one.pem", "key_file": "one.key"},
    ],
    ids=["no certificate", "a stranger's", "another authority", "no authority"],
)
def test_otherwise_nobody_is_asked(address, pem, files):
    with pytest.raises(StoreUnavailable, match="can't reach Tempo"):
        extent(address, pem, **files)
