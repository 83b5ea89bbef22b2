"""Throwaway certificates: an authority, and of it a server on the loopback, a client, a server whose certificate has run out, one of
another address; and a server that signed its own."""
import subprocess

OF_THE_AUTHORITY = (("client", "2", "IP:127.0.0.1"), ("expired", "-1", "IP:127.0.0.1"), ("elsewhere", "2", "IP:127.0.0.9"))


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _request(folder, name, *more):
    _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
             *more)


def make(folder, server="server"):
    """ca, `server`, client, expired, elsewhere and lonely, each as .pem and .key; anybody may read them. Returns the folder."""
    _request(folder, "ca", "-x509", "-days", "2", "-out", "ca.pem")
    _request(folder, "lonely", "-x509", "-days", "2", "-out", "lonely.pem", "-addext", "subjectAltName=IP:127.0.0.1")
    for name, days, address in ((server, "2", "IP:127.0.0.1"), *OF_THE_AUTHORITY):
        _request(folder, name, "-out", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName={address}\n")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
                 "-out", f"{name}.pem", "-extfile", "names")
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
