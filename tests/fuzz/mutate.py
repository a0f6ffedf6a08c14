"""Changes to files that know how these are built, so that what is wrong lies deep enough to be reached.

A change takes bytes and a source of random numbers and gives other bytes, whose checksums, lengths and nesting are
mostly right again. `change` chooses by what the bytes are, and now and then changes them without regard to that.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import pickletools
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prune_audit.files import sealed
from prune_audit.nets.resume import OF

PLANTED = "::error::planted"  # what must never stand at the start of a line that is printed
CANARY = "CANARY"  # a file that payloads make, where they run
LED = ("/dev/zero", "/etc/hostname")  # where links out of an input lead

TAG = '"><img src=x onerror=a>'  # what must never stand in a page

TEXTS = (
    *(
        "",
        " ",
        "a",
        "0",
        "-1",
        "nan",
        "inf",
        "1e999",
        "true",
        "null",
        "é",
        "\x1b[31mred",
        "\u202egnp",
        "\u200b",
        "\x00",
    ),
    *(f"a\n{PLANTED}", PLANTED, "\r", "\x9b31m", "[bold]x[/]", "=1+1", "%s%n{0}", "x" * 5000, "../../../etc/passwd"),
    *(TAG, "/dev/zero", "a/b", ".", "CON", f"__import__('os').system('touch {CANARY}')", "os.system", "2027-01-01"),
)
NUMBERS: tuple[float, ...] = (
    *(0, 1, -1, 2, 3, 7, 255, 256, -128, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1),
    *(2**63, -(2**63), 2**64 - 1, 10**30, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
)
Change = Callable[[random.Random, bytes], bytes]


def change(rng: random.Random, content: bytes, name: str = "") -> bytes:
    """``content`` with one thing changed, by the format that it is in; ``name`` tells where the bytes do not."""
    structured = _format(content, name)
    if structured is None or rng.random() < 0.12:
        return raw(rng, content)
    try:
        return structured(rng, content)
    except Exception:  # whatever a parser says of what an earlier change broke
        return raw(rng, content)


def _format(content: bytes, name: str) -> Change | None:
    for suffixes, made in _BY_NAME:
        if name.endswith(suffixes):
            return made
    return next((made for head, made in _BY_HEAD if content.startswith(head)), None)


def raw(rng: random.Random, content: bytes) -> bytes:
    """Bits, bytes, whole blocks; what is cut off or put behind."""
    made = bytearray(content)
    how = rng.randrange(8)
    at = rng.randrange(len(made) + 1)
    if how == 0 or not made:
        return bytes(made[:at])
    at = min(at, len(made) - 1)
    if how == 1:
        made[at] ^= 1 << rng.randrange(8)
    elif how == 2:
        for _ in range(8):
            made[rng.randrange(len(made))] = rng.randrange(256)
    elif how == 3:
        made[at : at + 4] = struct.pack(rng.choice("<>") + "I", _integer(rng, 32))
    elif how == 4:
        made[at : at + 8] = struct.pack(rng.choice("<>") + "Q", _integer(rng, 64))
    elif how == 5:
        made[at:at] = made[at : at + rng.randrange(1, 64)]
    elif how == 6:
        del made[at : at + rng.randrange(1, 64)]
    else:
        made += bytes(rng.choice((1, 100, 5000)))
    return bytes(made)


def _integer(rng: random.Random, bits: int) -> int:
    return int(rng.choice([n for n in NUMBERS if n == n and abs(n) != float("inf") and abs(n) < 1e31])) % (1 << bits)


def value(rng: random.Random) -> Any:
    """Anything that JSON can hold, and NaN."""
    how = rng.randrange(10)
    if how < 3:
        return rng.choice(NUMBERS)
    if how < 6:
        return rng.choice(TEXTS)
    if how == 6:
        return rng.choice((None, True, False, [], {}))
    if how == 7:
        return [value(rng) for _ in range(rng.randrange(3))]
    if how == 8:
        return {rng.choice(TEXTS[:20]): value(rng)}
    deep: Any = 0
    for _ in range(rng.choice((3, 100))):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    return deep


def belongs(path: Path) -> str | None:
    """What a file belongs to that begins with a digest of it and of that; None where it is no such file."""
    for of in (path.stem, path.parent.name, OF):
        with contextlib.suppress(sealed.DamagedFile):
            sealed.read(path, of)
            return of
    return None


# JSON ------------------------------------------------------------------------------------------------------------


def of_json(rng: random.Random, content: bytes) -> bytes:
    """One value of a document is another one, away, there twice, or called otherwise."""
    whole = json.loads(content)
    if rng.random() < 0.03:
        return b"[" * 100_000 if rng.random() < 0.5 else b'{"a":' * 50_000
    made = json.dumps(_changed(rng, whole), ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.03:
        made = made.replace(": ", ': "\\ud800", "x": ', 1)
    return made.encode("utf-8", "surrogatepass")


def _changed(rng: random.Random, node: Any) -> Any:
    """``node`` with a change somewhere below it, each depth about as likely as the others."""
    if isinstance(node, dict) and node:
        key = rng.choice(list(node))
        if rng.random() < 0.65:
            return node | {key: _changed(rng, node[key])}
        how = rng.randrange(5)
        if how == 0:
            return {k: v for k, v in node.items() if k != key}
        if how == 1:
            return {(rng.choice(TEXTS) if k == key else k): v for k, v in node.items()}
        if how == 2:
            return node | {rng.choice(TEXTS): node[key]}
        if how == 3:
            return node | {key: node[rng.choice(list(node))]}
        return node | {key: value(rng)}
    if isinstance(node, list) and node:
        at = rng.randrange(len(node))
        if rng.random() < 0.65:
            return [*node[:at], _changed(rng, node[at]), *node[at + 1 :]]
        how = rng.randrange(4)
        if how == 0:
            return node[:at] + node[at + 1 :]
        if how == 1:
            return [*node, node[at]]
        if how == 2:
            return [*node[:at], value(rng), *node[at + 1 :]]
        return list(reversed(node))
    if isinstance(node, int | float) and not isinstance(node, bool) and rng.random() < 0.3:
        return rng.choice((-node, node + 1, node * 1000, str(node), float(node)))
    return value(rng)


def of_json_lines(rng: random.Random, content: bytes) -> bytes:
    """As `of_json`, in one of the lines."""
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = of_json(rng, lines[at])
    return b"\n".join(lines) + b"\n"


# TOML, text, tables ----------------------------------------------------------------------------------------------


def of_toml(rng: random.Random, content: bytes) -> bytes:
    """A value, a key or a line of a document."""
    lines = content.decode().splitlines()
    at = rng.randrange(len(lines))
    key, equals, rest = lines[at].partition(" = ")
    how = rng.randrange(6)
    if equals and how < 3:
        lines[at] = f"{key} = {_toml_value(rng, rest)}"
    elif equals and how == 3:
        lines[at] = f"{_toml_key(rng)} = {rest}"
    elif how == 4:
        del lines[at]
    else:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice((lines[at], f"{_toml_key(rng)} = {_toml_value(rng)}")))
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _toml_key(rng: random.Random) -> str:
    return json.dumps(rng.choice(TEXTS)).replace("\\u0000", "0") if rng.random() < 0.5 else rng.choice("abc")


def _toml_value(rng: random.Random, old: str = "1") -> str:
    how = rng.randrange(8)
    if how == 0:
        return rng.choice(("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "nan", "-inf", "0xff", "1_000", "1e9"))
    if how == 1:
        return rng.choice(("[]", "{}", "[[1], [2]]", "{ a = 1 }", '["a", 1]', "true", "'", "", "]"))
    if how < 4:
        return json.dumps(rng.choice(TEXTS)).replace("\\u0000", "0")
    if how < 6:
        return f"{rng.choice(NUMBERS)}"
    return f"[{old}]" if how == 6 else f"{old}{old}"


def of_lines(rng: random.Random, content: bytes) -> bytes:
    """Lines of a text, and what text may be written in."""
    text = content.decode("utf-8", "replace")
    how = rng.randrange(6)
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    if how == 0:
        lines[at] = rng.choice(TEXTS)
    elif how == 1:
        del lines[at]
    elif how == 2:
        lines.append(lines[at])
    elif how == 3:
        return text.encode(rng.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32")), "replace")
    elif how == 4:
        return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x00", b"\x0c")))
    else:
        words = re.findall(r"\w+", lines[at]) or ["a"]
        lines[at] = lines[at].replace(rng.choice(words), rng.choice((*TEXTS, *map(str, NUMBERS))), 1)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def of_csv(rng: random.Random, content: bytes) -> bytes:
    """Cells, names of columns, columns, rows."""
    if rng.random() < 0.2:
        return of_lines(rng, content)
    rows = list(csv.reader(io.StringIO(content.decode())))
    row = rng.choice((0, rng.randrange(len(rows)), rng.randrange(len(rows))))
    column = rng.randrange(len(rows[row]))
    how = rng.randrange(9)
    if how < 4:
        rows[row][column] = rng.choice((*TEXTS, *map(str, NUMBERS), *rows[rng.randrange(len(rows))]))
    elif how == 4:
        rows = [each[:column] + each[column + 1 :] for each in rows]
    elif how == 5:
        rows = [[*each, each[min(column, len(each) - 1)]] for each in rows]
    elif how == 6:
        rows[row] = rows[row][: rng.randrange(len(rows[row]))]
    elif how == 7:
        filled = rng.choice((*TEXTS, *map(str, NUMBERS)))
        rows = [rows[0], *([*each[:column], filled, *each[column + 1 :]] for each in rows[1:])]
    else:
        rows = rng.choice((rows[:1], [*rows, rows[row]], rows[1:], [rows[0], *reversed(rows[1:])]))
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", delimiter=rng.choice(",,,,;\t")).writerows(rows)
    return written.getvalue().encode("utf-8", "surrogatepass")


# zip -------------------------------------------------------------------------------------------------------------


def of_zip(rng: random.Random, content: bytes) -> bytes:
    """A member's content, mostly; else its name, its header, its presence, or the directory."""
    if rng.random() < 0.2:
        return _zip_header(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members))
    info, held = members[at]
    how = rng.randrange(20)
    if how < 13:
        members[at] = info, change(rng, held, info.filename)
    elif how == 13:
        del members[at]
    elif how == 14:
        members.append(members[at])
    elif how == 15:
        members[at] = info, members[rng.randrange(len(members))][1]
    elif how == 16:
        renamed = zipfile.ZipInfo(rng.choice((*TEXTS[1:], "../out", info.filename.upper(), info.filename + "/")))
        renamed.compress_type = info.compress_type
        members[at] = renamed, held
    elif how == 17:
        members[at] = info, bytes(50_000_000)
        info.compress_type = zipfile.ZIP_DEFLATED
    elif how == 18:
        members[at] = info, held[: rng.randrange(len(held) + 1)]
    else:
        info.compress_type = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    return zipped(members)


def zipped(members: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """An archive of ``members``, which may be there twice, with what torch wants of its own: records on 64 bytes."""
    import warnings

    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for old, held in members:
            info = zipfile.ZipInfo(old.filename, old.date_time)
            info.compress_type = old.compress_type
            if info.compress_type == zipfile.ZIP_STORED:
                start = written.tell() + 30 + len(info.filename.encode("utf-8", "replace"))
                pad = -(start + 4) % 64
                info.extra = struct.pack("<HH", 0x4246, pad) + b"Z" * pad
            archive.writestr(info, held, compresslevel=1)
    return written.getvalue()


def _zip_header(rng: random.Random, content: bytes) -> bytes:
    """A field of a local header, of an entry of the directory, or of its end."""
    made = bytearray(content)
    kinds = {
        b"PK\x03\x04": ((4, "H"), (6, "H"), (8, "H"), (14, "I"), (18, "I"), (22, "I"), (26, "H"), (28, "H")),
        b"PK\x01\x02": (
            (6, "H"),
            (8, "H"),
            (10, "H"),
            (16, "I"),
            (20, "I"),
            (24, "I"),
            (28, "H"),
            (30, "H"),
            (42, "I"),
        ),
        b"PK\x05\x06": ((4, "H"), (8, "H"), (10, "H"), (12, "I"), (16, "I"), (20, "H")),
    }
    mark = rng.choice(list(kinds))
    places = [found.start() for found in re.finditer(re.escape(mark), content)]
    offset, width = rng.choice(kinds[mark])
    at = rng.choice(places) + offset
    [old] = struct.unpack_from("<" + width, made, at)
    bits = 16 if width == "H" else 32
    new = rng.choice((old + 1, old - 1, old // 2, old * 2, _integer(rng, bits), _integer(rng, bits))) % (1 << bits)
    struct.pack_into("<" + width, made, at, new)
    return bytes(made)


# Protocol buffers ------------------------------------------------------------------------------------------------

Field = tuple[int, int, Any]  # number, wire type, value


def fields(content: bytes) -> list[Field]:
    """A message taken apart. Raises `ValueError` where it is none."""
    found: list[Field] = []
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        held: Any
        if number == 0:
            raise ValueError(tag)
        if wire == 0:
            held, at = _varint(content, at)
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            held, at = content[at : at + width], at + width
        elif wire == 2:
            length, at = _varint(content, at)
            held, at = content[at : at + length], at + length
        else:
            raise ValueError(wire)
        if at > len(content):
            raise ValueError(at)
        found.append((number, wire, held))
    return found


def message(parts: list[Field]) -> bytes:
    """The fields put together again."""
    made = bytearray()
    for number, wire, held in parts:
        made += _written(number << 3 | wire)
        if wire == 0:
            made += _written(held)
        elif wire == 2:
            made += _written(len(held)) + held
        else:
            made += held
    return bytes(made)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    held = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        held |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return held, at
    raise ValueError(at)


def _written(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def of_protobuf(rng: random.Random, content: bytes) -> bytes:
    """One field, at any depth: its value, its type, its number, away, or there again."""
    parts = fields(content)
    at = rng.randrange(len(parts))
    number, wire, held = parts[at]
    if wire == 2 and held and rng.random() < 0.8:
        try:
            parts[at] = number, wire, of_protobuf(rng, held)
            return message(parts)
        except ValueError:
            pass  # a text or bytes
    how = rng.randrange(10)
    if how < 6:
        if wire == 0:
            held = rng.choice((held + 1, max(held - 1, 0), _integer(rng, 64), rng.randrange(20)))
        elif wire == 2:
            others = [each for _, w, each in parts if w == 2]
            text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
            held = rng.choice((raw(rng, held), text, held + held, b"", rng.choice(others), b"\xff\xfe"))
        else:
            held = raw(rng, held)[: len(held)].ljust(len(held), b"\0")
        parts[at] = number, wire, held
    elif how == 6:
        del parts[at]
    elif how == 7:
        parts.insert(rng.randrange(len(parts) + 1), parts[at])
    elif how == 8:
        parts[at] = rng.randrange(1, 30), wire, held
    else:
        parts[at] = (number, 2, _written(_integer(rng, 64))) if wire == 0 else (number, 0, _integer(rng, 64))
    return message(parts)


# Arrays, tensors, pickles ----------------------------------------------------------------------------------------

_DESCR = (
    *(
        "|O",
        "<V8",
        "|V0",
        "<U1000000000",
        "|S0",
        "<M8[ns]",
        "<m8",
        "<c8",
        "<f2",
        ">f8",
        "<i8",
        "|b1",
        "<U3",
        "|S4",
        "<f16",
    ),
    *("<u8", "|u1", "<U0", "<f99", "é", "<i8\x00"),
)


def of_npy(rng: random.Random, content: bytes) -> bytes:
    """The header of an array, whose shape, type and text are somebody's claims."""
    width = 2 if content[6] == 1 else 4
    length = int.from_bytes(content[8 : 8 + width], "little")
    head, data = content[8 + width : 8 + width + length].decode("latin-1").rstrip(), content[8 + width + length :]
    how = rng.randrange(8)
    if how < 2:
        head = re.sub(r"'descr': '[^']*'", lambda _: f"'descr': {rng.choice(_DESCR)!r}", head)
    elif how < 4:
        shape = ", ".join(str(rng.choice((0, 1, -1, 5, 10**6, 2**31, 2**62, 2**63, "a", 1.5))) for _ in range(3))
        head = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': ({shape})", head)
    elif how == 4:
        held = rng.choice(("[('a', '<f4'), ('b', '<i4')]", "[('a', '|O')]", "'<f4'", "1", "None", "('<f4', (2, 2))"))
        head = re.sub(r"'descr': [^,]*,", lambda _: f"'descr': {held},", head)
    elif how == 5:
        head = head.replace("False", rng.choice(("True", "None", "1", "'a'")))
    elif how == 6:
        head = of_lines(rng, head.encode("utf-8", "replace")).decode("utf-8", "replace").rstrip("\n")
    else:
        data = raw(rng, data)
    encoded = head.encode("latin-1", "replace") + b"\n"
    if rng.random() < 0.1:
        return content[:8] + _integer(rng, 8 * width).to_bytes(width, "little") + encoded + data
    return content[:8] + (len(encoded) % (1 << 8 * width)).to_bytes(width, "little") + encoded + data


def of_safetensors(rng: random.Random, content: bytes) -> bytes:
    """The JSON of the header, its length, or the values."""
    length = int.from_bytes(content[:8], "little")
    head, data = content[8 : 8 + length], content[8 + length :]
    how = rng.randrange(10)
    if how < 7:
        head = of_json(rng, head)
    elif how == 7:
        data = raw(rng, data)
    elif how == 8:
        return _integer(rng, 64).to_bytes(8, "little") + head + data
    return len(head).to_bytes(8, "little") + head + data


_GLOBALS = (
    *("os system", "builtins eval", "builtins print", "torch._utils _rebuild_tensor_v2", "torch FloatStorage", "a b"),
    *("collections OrderedDict", "torch._utils _rebuild_parameter", "torch.jit._pickle build_intlist", "torch load"),
    *("__torch__ M", "builtins getattr", "torch._C _nn", "numpy ndarray", "é \x1b[31m"),
)


def of_pickle(rng: random.Random, content: bytes) -> bytes:
    """One instruction of a pickle: its argument, away, there again; or another name where it calls."""
    at = [(op, argument, start) for op, argument, start in pickletools.genops(content) if start is not None]
    ends = [start for _, _, start in at[1:]] + [len(content)]
    which = rng.randrange(len(at))
    if rng.random() < 0.3 and (calls := [i for i, each in enumerate(at) if each[0].name == "GLOBAL"]):
        which = rng.choice(calls)
    op, _, start = at[which]
    end, part = ends[which], content[start : ends[which]]
    how = rng.randrange(8)
    if how == 0:
        part = b""
    elif how == 1:
        part = part + part
    elif op.name == "GLOBAL":
        part = b"c" + rng.choice(_GLOBALS).replace(" ", "\n").encode() + b"\n"
    elif op.name in ("BINUNICODE", "SHORT_BINUNICODE"):
        text = rng.choice(TEXTS).encode("utf-8", "surrogatepass") if how < 6 else b"\xff\xfe"
        part = b"X" + struct.pack("<I", len(text)) + text
    elif op.name.startswith(("BININT", "LONG")):
        number = _integer(rng, 32)
        part = rng.choice((b"J" + struct.pack("<I", number), b"N", b"\x88", b"G" + struct.pack(">d", 0.5), b"]", b"}"))
    else:
        part = rng.choice((raw(rng, part), b"N", b")", b"]", b"}", b"t", b"R", b"b", b"0", b"K\x01"))
    return content[:start] + part + content[end:]


# Parquet and Arrow -----------------------------------------------------------------------------------------------


def of_parquet(rng: random.Random, content: bytes) -> bytes:
    """The footer, the header of a page, a page, or a column that is of another type."""
    how = rng.randrange(10)
    if how < 4:
        return _table(rng, content)
    length = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - length
    if how < 8:
        parts, _ = _thrift(content, start)
        _change_thrift(rng, parts)
        foot = _thrifty(parts)
        return content[:start] + foot + len(foot).to_bytes(4, "little") + b"PAR1"
    if how == 8:
        parts, end = _thrift(content, 4)  # the header of the first page
        _change_thrift(rng, parts)
        head = _thrifty(parts)
        rest = content[end:]
        return content[:4] + head + (rest if rng.random() < 0.5 else rest[len(head) - (end - 4) :])
    at = rng.randrange(4, start)
    return content[:at] + raw(rng, content[at : at + 16])[:16].ljust(16, b"\0") + content[at + 16 :]


def of_arrow(rng: random.Random, content: bytes) -> bytes:
    """The metadata of a message, 4 bytes at a time; buffers; or a column that is of another type."""
    if rng.random() < 0.4:
        return _table(rng, content)
    made = bytearray(content)
    places = [found.end() for found in re.finditer(re.escape(b"\xff\xff\xff\xff"), content)]
    begin = rng.choice(places)
    length = int.from_bytes(content[begin : begin + 4], "little")
    at = begin + 4 * rng.randrange(max(1, min(length, 4000) // 4))
    if rng.random() < 0.2:
        at = rng.randrange(0, len(content) - 4, 4)
    [old] = struct.unpack_from("<I", made, min(at, len(made) - 4))
    new = rng.choice((old + 1, old - 1, 0, old * 2, old ^ (1 << rng.randrange(32)), _integer(rng, 32))) % 2**32
    struct.pack_into("<I", made, min(at, len(made) - 4), new)
    return bytes(made)


def _table(rng: random.Random, content: bytes) -> bytes:
    """The table with a column of other values, types or name, or other metadata, in the format that it came in."""
    import pyarrow as pa
    from pyarrow import parquet

    whole = (
        parquet.read_table(io.BytesIO(content)) if content[:4] == b"PAR1" else pa.ipc.open_stream(content).read_all()
    )
    at, rows = rng.randrange(whole.num_columns), whole.num_rows
    held = whole.column(at).to_pylist()
    name = whole.schema.names[at]
    how = rng.randrange(12)
    try:
        if how == 0:
            name = rng.choice(TEXTS)
            column = whole.column(at)
        elif how == 1:
            column = pa.array([None] * rows, pa.null())
        elif how == 2:
            column = pa.array([None, *held[1:]], whole.schema.types[at])
        elif how == 3:
            column = pa.array([rng.choice(TEXTS) for _ in range(rows)])
        elif how == 4:
            column = pa.array([float(rng.choice(NUMBERS)) for _ in range(rows)])
        elif how == 5:
            column = pa.array(
                [b"\xff\x00" * rng.randrange(3) for _ in range(rows)], rng.choice((pa.binary(), pa.large_binary()))
            )
        elif how == 6:
            column = pa.array([[each] * rng.randrange(3) for each in held])
        elif how == 7:
            column = pa.array(range(rows)).cast(
                rng.choice(
                    (
                        pa.timestamp("ns"),
                        pa.duration("s"),
                        pa.uint64(),
                        pa.float32(),
                        pa.time64("ns"),
                        pa.decimal128(30, 2),
                    )
                )
            )
        elif how == 8:
            column = pa.array(held, whole.schema.types[at]).dictionary_encode()
        elif how == 9:
            column = pa.array(
                [{"bytes": each if isinstance(each, bytes) else b"x", "path": rng.choice(TEXTS)} for each in held]
            )
        elif how == 10:
            column = whole.column(at)
            meta = {
                k: of_json(rng, v) if v[:1] == b"{" else raw(rng, v) for k, v in (whole.schema.metadata or {}).items()
            }
            whole = whole.replace_schema_metadata(meta)
        else:
            column = whole.column(at)
            whole = whole.slice(0, rng.choice((0, 1, rows - 1)))
            column = column.slice(0, whole.num_rows)
        whole = whole.set_column(at, name, column)
    except (pa.ArrowException, TypeError, OverflowError) as fault:
        raise ValueError from fault
    written = io.BytesIO()
    if content[:4] == b"PAR1":
        parquet.write_table(whole, written, compression=rng.choice(("snappy", "none", "zstd", "gzip")))
    else:
        with pa.ipc.new_stream(written, whole.schema) as stream:
            stream.write_table(whole)
    return written.getvalue()


_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12


def _thrift(content: bytes, at: int) -> tuple[list[list[Any]], int]:
    """A struct of Thrift's compact protocol as [number, type, value] rows, and where it ends."""
    rows: list[list[Any]] = []
    last = 0
    while True:
        head = content[at]
        at += 1
        if head == _STOP:
            return rows, at
        if head >> 4:
            last += head >> 4
        else:
            number, at = _varint(content, at)
            last = number >> 1 ^ -(number & 1)
        held, at = _thrift_value(content, at, head & 15)
        rows.append([last, head & 15, held])


def _thrift_value(content: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return None, at
    if kind == _BYTE:
        return content[at], at + 1
    if kind in (4, 5, 6):
        return _varint(content, at)
    if kind == _DOUBLE:
        return content[at : at + 8], at + 8
    if kind == _BINARY:
        length, at = _varint(content, at)
        return content[at : at + length], at + length
    if kind == _STRUCT:
        return _thrift(content, at)
    if kind in (_LIST, _SET):
        head, at = content[at], at + 1
        size = head >> 4
        if size == 15:
            size, at = _varint(content, at)
        held = []
        for _ in range(size):
            if head & 15 in (_TRUE, _FALSE):
                each, at = content[at], at + 1
            else:
                each, at = _thrift_value(content, at, head & 15)
            held.append(each)
        return [head & 15, held], at
    raise ValueError(kind)  # maps: Parquet has none


def _thrifty(rows: list[list[Any]]) -> bytes:
    made = bytearray()
    last = 0
    for number, kind, held in rows:
        step = number - last
        if 0 < step < 16:
            made.append(step << 4 | kind)
        else:
            made.append(kind)
            made += _written((number << 1 ^ number >> 31) & 0xFFFFFFFF)
        made += _thrifty_value(kind, held)
        last = number
    return bytes([*made, _STOP])


def _thrifty_value(kind: int, held: Any) -> bytes:
    if kind in (_TRUE, _FALSE):
        return b""
    if kind == _BYTE:
        return bytes([held % 256])
    if kind in (4, 5, 6):
        return _written(held)
    if kind == _DOUBLE:
        return bytes(held)
    if kind == _BINARY:
        return bytes(_written(len(held)) + held)
    if kind == _STRUCT:
        return _thrifty(held)
    inner, values = held
    head = bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([0xF0 | inner]) + _written(len(values))
    written = (bytes([v]) if inner in (_TRUE, _FALSE) else _thrifty_value(inner, v) for v in values)
    return head + b"".join(written)


def _change_thrift(rng: random.Random, rows: list[list[Any]]) -> None:
    """Change one value below, in place."""
    if not rows:
        raise ValueError
    row = rng.choice(rows)
    _, kind, held = row
    if rng.random() < 0.08:
        rows.remove(row)
        return
    if kind == _STRUCT and held:
        _change_thrift(rng, held)
    elif kind in (_LIST, _SET) and held[1]:
        at = rng.randrange(len(held[1]))
        if held[0] == _STRUCT and held[1][at] and rng.random() < 0.9:
            _change_thrift(rng, held[1][at])
        elif rng.random() < 0.5:
            del held[1][at]
        elif held[0] in (4, 5, 6):
            held[1][at] = _integer(rng, 32)
        else:
            held[1].append(held[1][at])
    elif kind in (4, 5, 6):
        row[2] = rng.choice((held + 2, max(held - 2, 0), held * 2, held + 1, rng.randrange(20), _integer(rng, 64)))
    elif kind == _BINARY:
        row[2] = rng.choice((raw(rng, held), rng.choice(TEXTS).encode("utf-8", "surrogatepass"), b"\xff", b""))
    else:
        row[1] = rng.choice((_TRUE, _FALSE)) if kind in (_TRUE, _FALSE) else kind


# Images and sounds -----------------------------------------------------------------------------------------------


def of_png(rng: random.Random, content: bytes) -> bytes:
    """A chunk of a picture, whose checksum is made right again."""
    chunks = []
    at = 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    which = rng.randrange(len(chunks))
    kind, held = chunks[which]
    how = rng.randrange(7)
    if how < 3:
        kind, held = chunks[0]  # IHDR: width, height, depth, colours
        place = rng.choice((0, 4))
        size = _integer(rng, 32) if rng.random() < 0.5 else rng.choice((0, 1, 9, 30_000, 2**31))
        head = bytearray(held)
        head[place : place + 4] = size.to_bytes(4, "big")
        if how == 2:
            head = bytearray(held)
            head[rng.randrange(8, len(head))] = rng.randrange(20)
        chunks[0] = kind, bytes(head)
    elif how == 3:
        del chunks[which]
    elif how == 4:
        chunks.insert(which, chunks[which])
    elif how == 5:
        chunks[which] = kind, raw(rng, held)
    else:
        extra = rng.choice(
            (b"tEXtComment\0" + b"x" * 50, b"zTXtC\0\0" + zlib.compress(bytes(5_000_000)), b"eXIfII*\0\x08\0\0\0")
        )
        chunks.insert(1, (extra[:4], extra[4:]))
    parts = (len(d).to_bytes(4, "big") + k + d + zlib.crc32(k + d).to_bytes(4, "big") for k, d in chunks)
    return b"".join([content[:8], *parts])


def of_jpeg(rng: random.Random, content: bytes) -> bytes:
    """A segment of a picture: its length, its content, its kind."""
    segments = []
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        segments.append((content[at + 1], content[at + 4 : at + 2 + length]))
        at += 2 + length
    rest = content[at:]
    which = rng.randrange(len(segments))
    kind, held = segments[which]
    how = rng.randrange(6)
    if how < 2 and (frames := [i for i, (each, _) in enumerate(segments) if each in (0xC0, 0xC2)]):
        which = frames[0]
        kind, held = segments[which]
        size = rng.choice((0, 1, 9, 65_500)).to_bytes(2, "big")
        place = rng.choice((1, 3))
        segments[which] = kind, held[:place] + size + held[place + 2 :]
    elif how == 2:
        segments[which] = kind, raw(rng, held)[:60_000]
    elif how == 3:
        del segments[which]
    elif how == 4:
        segments[which] = rng.randrange(0xC0, 0xFF), held
    else:
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0" + struct.pack("<II", 1, rng.randrange(20)) + bytes(4)
        segments.insert(0, (0xE1, exif))
    return content[:2] + b"".join(bytes([0xFF, k]) + (len(d) + 2).to_bytes(2, "big") + d for k, d in segments) + rest


def of_wav(rng: random.Random, content: bytes) -> bytes:
    """A field of the chunk that says what the sound is, or a chunk."""
    made = bytearray(content)
    how = rng.randrange(6)
    if how < 4:
        offset, width = rng.choice(
            ((4, "I"), (16, "I"), (20, "H"), (22, "H"), (24, "I"), (28, "I"), (32, "H"), (34, "H"), (40, "I"))
        )
        bits = 16 if width == "H" else 32
        struct.pack_into("<" + width, made, offset, _integer(rng, bits) if rng.random() < 0.6 else rng.randrange(10))
        return bytes(made)
    if how == 4:
        return content[:36] + b"LIST" + (8).to_bytes(4, "little") + b"INFOIART" + content[36:]
    return content[:44] + raw(rng, content[44:])


def asks_much(content: bytes) -> bool:
    """Whether numbers stand there that may be an order for days of work."""
    return any(len(number) > 2 for number in re.findall(rb"\d+", content)) or b"e" in re.sub(
        rb"[A-Za-z_-]{2,}", b"", content
    )


_BY_NAME: tuple[tuple[tuple[str, ...], Change], ...] = (
    ((".csv",), of_csv),
    ((".toml",), of_toml),
    ((".onnx",), of_protobuf),
    ((".jsonl",), of_json_lines),
    ((".txt", ".yaml", ".py", ".conll", ".debug_pkl_text"), of_lines),
    ((".safetensors",), of_safetensors),
    ((".arrow",), of_arrow),
)
_BY_HEAD: tuple[tuple[bytes, Change], ...] = (
    (b"PK", of_zip),
    (b"PAR1", of_parquet),
    (b"\x93NUMPY", of_npy),
    (b"\x89PNG", of_png),
    (b"\xff\xd8", of_jpeg),
    (b"RIFF", of_wav),
    (b"\x80\x02", of_pickle),
    (b"{", of_json),
    (b"[", of_json),
)
