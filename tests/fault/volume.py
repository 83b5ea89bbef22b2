"""Small disks of our own: a tmpfs that this process and its children see and nobody else, gone with the last of them. Needs
the right to make a mount namespace, as root or by a user namespace; where neither is given, the case is skipped."""
import ctypes
import os

import harness

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
PRIVATE_ALL, DETACH = 1 << 18 | 1 << 14, 2
FILLER = ".filler"
_libc = ctypes.CDLL(None, use_errno=True)
_own = False


def _call(what, result):
    if result != 0:
        raise harness.Skipped(f"no file system of our own: {what}: {os.strerror(ctypes.get_errno())}")


def own_mounts():
    """From now on mounts of this process are its own and its children's. Before any thread is started."""
    global _own
    if _own:
        return
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call("unshare", _libc.unshare(NEW_MOUNTS))
    else:
        _call("unshare", _libc.unshare(NEW_MOUNTS | NEW_USER))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _call("private mounts", _libc.mount(b"none", b"/", None, PRIVATE_ALL, None))
    _own = True


class Volume:
    """A tmpfs of `size` bytes at `path`, which is made."""

    def __init__(self, path, size):
        own_mounts()
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _call("mount", _libc.mount(b"tmpfs", str(path).encode(), b"tmpfs", 0, f"size={size},mode=0700".encode()))

    def free(self):
        figures = os.statvfs(self.path)
        return figures.f_bavail * figures.f_frsize

    def fill(self):
        """Takes all that is left."""
        with open(self.path / FILLER, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def give_back(self):
        (self.path / FILLER).unlink()

    def close(self):
        """Whoever has files open there keeps them."""
        _libc.umount2(str(self.path).encode(), DETACH)
