"""A bucket for the tests of what speaks S3: signatures verified by an implementation of its own, pages, ranges, If-Match, and
whatever a test wants to go wrong. The bucket is the path "/bucket" (path style) or the whole host (as with its name in the host)."""
import base64
import datetime
import hashlib
import hmac
import re
import time
import urllib.parse

from far_http import Server

NS = "http://s3.amazonaws.com/doc/2006-03-01/"
SKEW_S = 900


def fault(status, code, message="because", region="", **headers):
    more = f"<Region>{region}</Region>" if region else ""
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return status, headers, f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


def stamp(at, pattern="%Y-%m-%dT%H:%M:%S.000Z"):
    return time.strftime(pattern, time.gmtime(at))


class Bucket:
    """Answers as a server does. `moods`: {key, or None for listings: function(request, answer) → answer or None to cut}."""

    def __init__(self, base="/bucket", access=None, secret=None, token=None, region="us-east-1", page=1000):
        self.base, self.access, self.secret, self.token, self.region, self.page = base, access, secret, token, region, page
        self.objects, self.moods = {}, {}

    def put(self, key, data, age=0):
        data = data if isinstance(data, bytes) else data.encode()
        self.objects[key] = (data, hashlib.md5(data).hexdigest(), int(time.time()) - age)

    def serve(self, **more):
        self.server = Server(self, **more)
        return self

    @property
    def url(self):
        return self.server.url + self.base

    def asked(self, key):
        """The ranges of an object that were asked for."""
        return [r["headers"]["Range"] for r in self.server.all() if r["method"] == "GET" and self.key_of(r) == key]

    def key_of(self, r):
        path = r["target"].partition("?")[0]
        return urllib.parse.unquote(path[len(self.base):].lstrip("/")) if path.startswith(self.base) else None

    def __call__(self, r):
        refused = self.refuse(r) if self.access else fault(403, "AccessDenied") if r["headers"]["Authorization"] else None
        key = self.key_of(r)
        if refused:
            return refused
        if key is None:
            return fault(404, "NoSuchBucket")
        answer = self.write(r, key) if r["method"] == "PUT" else self.read(r, key) if key else self.listing(r)
        mood = self.moods.get(key or None)
        return mood(r, answer) if mood else answer

    # ---- signatures ----

    def refuse(self, r):
        h = r["headers"]
        given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?"
                             r"Signature=([0-9a-f]{64})", h["Authorization"] or "")
        if not given:
            return fault(403, "AccessDenied")
        access, date, region, names, signature = given.groups()
        if access != self.access:
            return fault(403, "InvalidAccessKeyId")
        if region != self.region:
            return fault(400, "AuthorizationHeaderMalformed", region=self.region)
        if self.token and h["x-amz-security-token"] != self.token:
            return fault(400, "ExpiredToken")
        at = datetime.datetime.strptime(h["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(at - time.time()) > SKEW_S or not h["x-amz-date"].startswith(date):
            return fault(403, "RequestTimeTooSkewed")
        signed = names.split(";")
        must = {"host"} | {k.lower() for k in h.keys() if k.lower().startswith("x-amz-")}
        if signed != sorted(signed) or not must <= set(signed) or hashlib.sha256(r["body"]).hexdigest() != h["x-amz-content-sha256"]:
            return fault(403, "SignatureDoesNotMatch")
        return None if hmac.compare_digest(self.sign(r, signed, region, date), signature) else fault(403, "SignatureDoesNotMatch")

    def sign(self, r, signed, region, date):
        path, _, query = r["target"].partition("?")
        parts = sorted((p.partition("=")[0], p.partition("=")[2]) for p in query.split("&") if p)
        canonical = "\n".join([
            r["method"], path, "&".join(f"{k}={v}" for k, v in parts),
            *[f"{name}:{' '.join(r['headers'][name].split())}" for name in signed], "", ";".join(signed), r["headers"]["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", r["headers"]["x-amz-date"], f"{date}/{region}/s3/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for word in (date, region, "s3", "aws4_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    # ---- what it does ----

    def listing(self, r):
        q = dict(urllib.parse.parse_qsl(r["target"].partition("?")[2], keep_blank_values=True))
        if q.get("list-type") != "2":
            return fault(400, "InvalidArgument")
        prefix, delimiter = q.get("prefix", ""), q.get("delimiter", "")
        after = base64.b64decode(q["continuation-token"]).decode() if "continuation-token" in q else q.get("start-after", "")
        keys, folders, last, more = [], [], "", False
        for key in sorted(self.objects, key=str.encode):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            if len(keys) == min(self.page, int(q.get("max-keys", 1000))):
                more = True
                break
            last = key
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                keys.append(key)
            elif key[:cut + 1] not in folders:
                folders.append(key[:cut + 1])
        coded = (lambda k: urllib.parse.quote_plus(k, safe="/")) if q.get("encoding-type") == "url" else str
        contents = "".join(
            f"<Contents><Key>{coded(k)}</Key><LastModified>{stamp(self.objects[k][2])}</LastModified><ETag>&quot;{self.objects[k][1]}&quot;</ETag>"
            f"<Size>{len(self.objects[k][0])}</Size><StorageClass>STANDARD</StorageClass></Contents>" for k in keys)
        contents += "".join(f"<CommonPrefixes><Prefix>{coded(f)}</Prefix></CommonPrefixes>" for f in folders)
        token = f"<NextContinuationToken>{base64.b64encode(last.encode()).decode()}</NextContinuationToken>" if more else ""
        return 200, {}, (f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NS}"><Name>bucket</Name>'
                         f"<IsTruncated>{str(more).lower()}</IsTruncated>{contents}{token}<EncodingType>url</EncodingType></ListBucketResult>").encode()

    def read(self, r, key):
        if key not in self.objects:
            return fault(404, "NoSuchKey")
        data, etag, at = self.objects[key]
        if r["headers"]["If-Match"] not in (None, f'"{etag}"'):
            return fault(412, "PreconditionFailed")
        headers = {"ETag": f'"{etag}"', "Last-Modified": stamp(at, "%a, %d %b %Y %H:%M:%S GMT")}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", r["headers"]["Range"] or "")
        if not wanted:
            return 200, headers, data
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        if first > last:
            return fault(416, "InvalidRange")
        return 206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first:last + 1]

    def write(self, r, key):
        self.put(key, r["body"])
        return 200, {"ETag": f'"{self.objects[key][1]}"'}, b""
