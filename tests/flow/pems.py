"""Throwaway certificates: an authority, a server on the loopback and a client of it."""
import subprocess


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(folder, server="server"):
    """ca, `server` and client, each as .pem and .key; anybody may read them. Returns the folder."""
    _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=throwaway", "-keyout", "ca.key", "-out", "ca.pem")
    for name, extension in ((server, "subjectAltName=IP:127.0.0.1"), ("client", "subjectAltName=DNS:client")):
        _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(extension + "\n")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                 "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
