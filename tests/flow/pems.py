"""Throwaway certificates: an authority, a server on the loopback and a client of it."""
import subprocess


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(folder, server="server"):
    """ca; `server`, `expired`, `elsewhere` (of another name) for a server on the loopback; client: each as .pem and .key, which
    anybody may read. Returns the folder."""
    _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=throwaway", "-keyout", "ca.key", "-out", "ca.pem")
    for name, days, extension in ((server, 2, "IP:127.0.0.1"), ("expired", -1, "IP:127.0.0.1"), ("elsewhere", 2, "IP:127.0.0.9"),
                                  ("client", 2, "DNS:client")):
        _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName={extension}\n")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                 str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
