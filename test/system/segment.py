"""The shared segment of a server, as a worker that was taken over has it: mapped and writable.

    seg = Segment(s.pid)
    seg.put("workers", row, "pid", 1)
    seg.get("workers", row, "state")
    seg.write("pools", row, octets); seg.row("pools", row) -> octets
"""
import mmap
import os
import struct

FREE, STARTING, READY, DRAINING, DEAD = range(5)

# What tests write, as common/segment/shm.h and common/segment/shm_table.h have it: offset and format.
FIELDS = {
    "master": {"pid": (0, "i"), "generation": (4, "I"), "workers": (8, "I"), "slots": (12, "I")},
    "workers": {"pid": (0, "i"), "state": (4, "I"), "generation": (8, "I"), "seat": (12, "I"),
                "heartbeat": (16, "Q"), "started": (24, "Q"), "starttime": (32, "Q")},
    "rooms": {"claiming": (0, "Q")},
}


def fd_of(pid, name):
    """The path of the memory file of that name, newest descriptor first; None."""
    d = f"/proc/{pid}/fd"
    for fd in sorted(os.listdir(d), key=int, reverse=True):
        try:
            if os.readlink(f"{d}/{fd}") == f"/memfd:{name} (deleted)":
                return f"{d}/{fd}"
        except OSError:
            continue
    return None


class Segment:
    def __init__(self, pid):
        path = fd_of(pid, "argand")
        assert path, "the master has no segment"
        with open(path, "r+b", buffering=0) as f:
            self.map = mmap.mmap(f.fileno(), os.fstat(f.fileno()).st_size)
        assert self.map[:8] == b"Argand\r\n"
        self.tables = {}
        for i in range(struct.unpack_from("I", self.map, 12)[0]):
            name, _, row, rows, offset = struct.unpack_from("12sIIIQ", self.map, 32 + 32 * i)
            self.tables[name.rstrip(b"\0").decode()] = (row, rows, offset)

    def rows(self, table):
        return self.tables[table][1]

    def at(self, table, row):
        size, rows, offset = self.tables[table]
        assert row < rows
        return offset + row * size

    def row(self, table, row):
        at = self.at(table, row)
        return self.map[at:at + self.tables[table][0]]

    def write(self, table, row, octets):
        at = self.at(table, row)
        self.map[at:at + len(octets)] = octets

    def put(self, table, row, field, value):
        offset, fmt = FIELDS[table][field]
        struct.pack_into(fmt, self.map, self.at(table, row) + offset, value)

    def get(self, table, row, field):
        offset, fmt = FIELDS[table][field]
        return struct.unpack_from(fmt, self.map, self.at(table, row) + offset)[0]

    def close(self):
        self.map.close()
