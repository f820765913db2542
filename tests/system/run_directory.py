"""What a run leaves behind, and the files of other commands, read by their descriptions alone."""
import csv
import json
import math
import re
import struct
import zipfile
from pathlib import Path


def table(path):
    """A CSV file as a list of dictionaries; every line must be whole."""
    lines = list(csv.reader(Path(path).read_text().splitlines()))
    assert all(len(line) == len(lines[0]) for line in lines), f"{path} has lines of different lengths"
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def column(path, name, convert=float):
    return [convert(row[name]) for row in table(path)]


def env_steps(run):
    """What metrics.csv says so far; its last line may be half written."""
    try:
        lines = (Path(run) / "metrics.csv").read_text().split("\n")[1:-1]
    except OSError:
        return 0
    return int(lines[-1].split(",")[1]) if lines else 0


def summary(run):
    return json.loads((Path(run) / "summary.json").read_text())


def epoch(run):
    return int((Path(run) / "session").read_text().split()[1])


def safetensors(path):
    """{name: shape} and the metadata; the tensors must cover the data without gaps."""
    raw = Path(path).read_bytes()
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    metadata, end = header.pop("__metadata__", {}), 0
    for tensor in sorted(header.values(), key=lambda t: t["data_offsets"]):
        size = {"F32": 4, "F64": 8, "I64": 8, "U8": 1}[tensor["dtype"]]
        for n in tensor["shape"]:
            size *= n
        assert tensor["data_offsets"] == [end, end + size], f"{path}: {tensor}"
        end += size
    assert len(raw) == 8 + length + end, f"{path} is longer than its tensors"
    return {name: t["shape"] for name, t in header.items()}, metadata


def read_npy(raw):
    """(dtype, shape, flat list) of a .npy file's bytes."""
    assert raw[:8] == b"\x93NUMPY\x01\x00", raw[:8]
    length, = struct.unpack_from("<H", raw, 8)
    header = raw[10:10 + length].decode()
    dtype, order, shape = (re.search(p, header)[1] for p in (r"'descr': '([^']+)'", r"'fortran_order': (\w+)",
                                                             r"'shape': \(([^)]*)\)"))
    shape = tuple(int(n) for n in shape.replace(",", " ").split())
    assert order == "False", header
    values = list(struct.unpack_from(f"<{math.prod(shape)}{ {'<f8': 'd', '|b1': '?'}[dtype]}", raw, 10 + length))
    assert len(raw) == 10 + length + math.prod(shape) * (8 if dtype == "<f8" else 1)
    return dtype, shape, values


def read_npz(path):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        return {name.removesuffix(".npy"): read_npy(z.read(name)) for name in z.namelist()}


def npy(values, shape, dtype="<f4"):
    """A .npy file's bytes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({''.join(f'{n},' for n in shape)}), }}\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack(f"<{len(values)}{ {'<f4': 'f', '<f8': 'd', '<i8': 'q'}[dtype]}", *values))


def write_npz(path, **arrays):
    with zipfile.ZipFile(path, "w") as z:
        for name, values in arrays.items():
            z.writestr(f"{name}.npy", npy(values, (len(values),), "<f8"))


KINDS = "fragment", "gradient", "begin", "save", "return", "end"


def schedule(run):
    """schedule.bin as (kind, update, stream, life, sequence, version, transitions, used), read by the description in
    learner/schedule.c."""
    raw = (Path(run) / "schedule.bin").read_bytes()
    magic, n_streams, horizon = struct.unpack_from("<16sII", raw)
    assert magic == b"shoal-schedule-2", magic
    at, update, version, next_stream, lives, records = 24, 0, 0, 0, {}, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (raw[at] & 127) << shift
            shift += 7
            at += 1
            if raw[at - 1] < 128:
                return value

    def zigzag():
        value = varint()
        return ~(value >> 1) if value & 1 else value >> 1

    while at < len(raw):
        flags = raw[at]
        at += 1
        if flags & 0x80:
            update += zigzag()
            life, sequence, other, used = (varint() for _ in range(4))
            records.append((KINDS[flags & 0x7f], update, 0, life, sequence, other, 0, used))
            continue
        update += varint() if flags & 1 else 0
        stream = varint() if flags & 2 else next_stream
        life, sequence = lives.get(stream, (0, 0))
        if flags & 4:
            life, sequence = life + zigzag(), varint()
        version += zigzag() if flags & 8 else 0
        n = varint() if flags & 16 else horizon
        used = varint() if flags & 32 else n
        assert stream < n_streams and used <= n <= horizon
        records.append((KINDS[flags >> 6], update, stream, life, sequence, version, n, used))
        lives[stream], next_stream = (life, sequence + 1), (stream + 1) % n_streams
    assert at == len(raw), "schedule.bin is torn"
    return records


def fragments(run):
    return [r for r in schedule(run) if r[0] in ("fragment", "gradient")]


def is_increasing(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))


def assert_complete(run, total_steps):
    """A run that ended as asked: every transition counted once, whatever was killed on the way."""
    assert summary(run)["env_steps"] == total_steps, summary(run)
    assert summary(run)["status"] == "finished"
    for name in "time_s", "env_steps", "updates", "episodes":
        numbers = column(f"{run}/metrics.csv", name)
        assert numbers == sorted(numbers), f"{name} of metrics.csv goes back: {numbers}"
    assert column(f"{run}/metrics.csv", "env_steps")[-1] == total_steps
    for file, name in ("hashes.csv", "update"), ("eval.csv", "env_steps"):
        numbers = column(f"{run}/{file}", name, int)
        assert is_increasing(numbers), f"{name} of {file} is not strictly increasing: {numbers}"
    records = fragments(run)
    assert sum(r[7] for r in records) == total_steps, "schedule.bin does not have every transition once"
    assert len({r[2:5] for r in records}) == len(records), "schedule.bin repeats a fragment"
    assert schedule(run)[-1][0] == "end", schedule(run)[-1]
