"""Keys and tokens of a NATS server with accounts, made with openssl: an operator, an account, and users whose credentials files
it takes. What nsc would do, in as much as the tests need."""
import base64
import hashlib
import json
import subprocess
import time

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3  # the kinds of keys, as their first letters S, O, A, U


def _checksum(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc.to_bytes(2, "little")


def _named(data):
    return base64.b32encode(data + _checksum(data)).decode().rstrip("=")


def _plain(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """An Ed25519 key; `name` is its public half as NATS writes it, `seed` the secret one."""

    def __init__(self, folder, kind):
        self.path = folder / f"{kind}-{time.monotonic_ns()}.pem"
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        secret = self._openssl("pkey", "-in", self.path, "-outform", "DER")[-32:]
        public = self._openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.name, self.seed = _named(bytes([kind]) + public), _named(bytes([SEED | kind >> 5, kind << 3 & 0xff]) + secret)

    @staticmethod
    def _openssl(*words):
        return subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def token(self, subject, name, claims, expires=None):
        """A JWT that this key signs, about the key `subject`."""
        body = {"iat": int(time.time()), "iss": self.name, "sub": subject.name, "name": name, "nats": {**claims, "version": 2}}
        body.update({"exp": int(expires)} if expires else {})
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        text = ".".join(_plain(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        unsigned = self.path.with_suffix(".txt")
        unsigned.write_text(text)
        return text + "." + _plain(self._openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", unsigned))


class Accounts:
    """An operator with one account, whose users may do anything, and what the server's settings say of them."""

    def __init__(self, folder):
        self.folder = folder
        operator, self.account = Key(folder, OPERATOR), Key(folder, ACCOUNT)
        limits = {k: -1 for k in ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
                                  "consumer")}
        account = operator.token(self.account, "pumps", {"type": "account", "limits": {**limits, "wildcards": True}})
        self.settings = [f'operator: "{operator.token(operator, "us", {"type": "operator"})}"', "resolver: MEMORY",
                         f'resolver_preload: {{{self.account.name}: "{account}"}}']

    def credentials(self, expires=None, signer=None):
        """The text of a .creds file, until `expires` (seconds since 1970); `signer` another account than ours."""
        user = Key(self.folder, USER)
        jwt = (signer or self.account).token(user, "pump", {"type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}, expires)
        return (f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
                f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")
