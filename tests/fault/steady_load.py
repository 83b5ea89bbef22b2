"""One client with a process of its own: sends numbered rows into the store `load` of a workspace at a steady rate, whatever
the answers take, and prints for each acknowledged request when it began (monotonic) and how long it took.
    steady_load.py PORT KEY WORKSPACE ROWS_A_SECOND ROWS_A_REQUEST        ends when its standard input does"""
import http.client
import select
import sys
import time


def body(first, n):
    return b"\n".join(b'{"time":"2026-01-01T00:00:00Z","device_id":"l%d","n":%d}' % (k % 7, k) for k in range(first, first + n))


def main(port, key, workspace, rate, rows):
    pause, sent, due = rows / rate, 0, time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    path = f"/api/v1/workspaces/{workspace}/datastores/load/rows"
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        began = time.monotonic()
        connection.request("POST", path, body(sent, rows), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 202:
            sys.exit(f"{answer.status} {text.decode()}")
        print(f"{began:.6f} {time.monotonic() - began:.6f}", flush=True)
        sent, due = sent + rows, due + pause


main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
