"""Bodies that are not what their Content-Encoding says, or far more than they look: refused or accepted as their index says, in
bounded memory. Archives are no body of anything here, and are refused as such."""
import hostile
from harness import main, testdata

ENCODINGS = {".gz": "gzip", ".deflate": "deflate"}
TYPES = {".gz": "application/json", ".deflate": "application/json", ".zip": "application/zip"}
MEMORY_KIB = 32 << 10


def every_body_is_refused_or_taken():
    cases = hostile.index("compressed/index.json")
    host = hostile.host_with_events()

    def send(body, ending):
        if ending == ".zip":
            return host.request("POST", "/api/v1/templates", body, type=TYPES[ending])
        return host.request("POST", "/api/v1/workspaces/w/datastores/events/rows?wait=stored", body, type=TYPES[ending],
                            headers={"Content-Encoding": ENCODINGS[ending]})

    good = testdata("hostile/compressed/plain-ok.json.gz").read_bytes()
    ward = hostile.Ward(host, lambda: send(good, ".gz").json["accepted"], MEMORY_KIB)
    for case in cases:
        file = testdata(f"hostile/compressed/{case['file']}")
        with ward.input(case["file"]) as wrong:
            hostile.as_verdict(send(file.read_bytes(), file.suffix), case["verdict"], wrong)
    ward.finish("hostile/compressed")


main(every_body_is_refused_or_taken)
