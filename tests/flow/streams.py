"""What the tests of connectors of message brokers share: a template of two stores, its connectors, its rows, certificates."""
import json
import subprocess

import harness
from harness import equal, wait_for
from far_side import WS

TEMPLATE = harness.SOURCE / "tests" / "flow" / "streams.yaml"
T0 = 1774720800000


def message(n):
    return {"t": T0 + n, "n": n}


def apply(host, plugin, map, **connectors):
    """The template with these connectors: name={config, into}."""
    entries = {name: {"plugin": f"org.penstock.connector.{plugin}", "format": "json", "decode": {"map": map},
                      "into": "datastore:keyed", **entry} for name, entry in connectors.items()}
    path = host.folder / "streams.yaml"
    path.write_text(TEMPLATE.read_text() + "".join(f"  {n}: {json.dumps(e)}\n" for n, e in entries.items()))
    host.apply(path)


def stored(host, store):
    """A list, so that a row that is there twice shows."""
    return sorted(int(r[0]) for r in host.sql(f"SELECT n FROM datastore.{store}_wid1"))


def wait_stored(host, store, expected, timeout=40):
    def there():
        return set(stored(host, store)) >= set(expected)
    try:
        wait_for(f"{store} has all {len(expected)} rows", there, timeout)
    except harness.Failed as why:
        missing = sorted(set(expected) - set(stored(host, store)))
        raise harness.Failed(f"{why}: {len(missing)} are missing, {missing[:10]}") from None


def all_once(host, store, expected):
    wait_stored(host, store, expected)
    rows = stored(host, store)
    equal(sorted(n for n in set(rows) if rows.count(n) > 1), [], f"rows of {store} that are there twice")


def letters(host, count):
    """Waits for so many dead letters."""
    def rows():
        return host.sql("SELECT code, detail FROM penstock.dead_letter_wid1")
    try:
        wait_for("the garbage is put aside", lambda: len(rows()) == count, 20)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: {rows()}") from None


def secret(host, name, value):
    host.cli("secret", "set", name, "-w", WS, "--file", "-", stdin=value)


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificates(folder):
    """A throwaway authority, and certificates of a broker: `good`; `late`, that has expired; `other`, of another name."""
    (folder / "ca.cnf").write_text("[ca]\ndefault_ca = d\n[d]\ndatabase = index\nnew_certs_dir = .\nserial = serial\ndefault_md = sha256\n"
                                   "policy = p\ncopy_extensions = copy\n[p]\ncommonName = supplied\n")
    (folder / "index").write_text("")
    (folder / "serial").write_text("01\n")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", "-x509", *ec, "-days", "2", "-subj", "/CN=throwaway", "-keyout", "ca.key", "-out", "ca.pem")
    for name, names, ends in (("good", "IP:127.0.0.1", "20400101000000Z"), ("late", "IP:127.0.0.1", "20250101000000Z"),
                              ("other", "DNS:elsewhere.example", "20400101000000Z")):
        openssl(folder, "req", *ec, "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl(folder, "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr", "-startdate",
                "20240101000000Z", "-enddate", ends, "-out", f"{name}.pem", "-notext")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
