#!/usr/bin/env python3
"""Decodes livebox-agent messages; written from uplink/wire/SPEC.md alone.

Reads lines "KIND HEX" (KIND: report, event, status, ack, columns or summary) and
writes one line of JSON for each: what it holds, or {"error": why not}, and then
the exit status is 1. Needs nothing but Python 3.
"""
import json
import sys

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CONSTANT, LAST, LINE, MEAN, BOTH, ZERO, PALETTE, TIME = range(8)
MAX_TABLES, MAX_COLUMNS, MAX_CELLS, MAX_NAME, MAX_MS = 1024, 16384, 524288, 255, 9223372036854  # SPEC "Limits"


def need(ok, what):
    if not ok:
        raise ValueError(what)


def wrap(v):  # to 64 bits, two's complement
    return (v + (1 << 63)) % (1 << 64) - (1 << 63)


class Bit:  # SPEC "A decision"
    def __init__(self, p=0x8000):
        self.p, self.n = p, 4


class Number:  # SPEC "Numbers"
    def __init__(self, size):
        self.size = [Bit(65536 // (size + 1)) for _ in range(65)]
        self.sign = Bit()


class Decoder:
    def __init__(self, body):
        need(body, "body is empty")
        need(body[0] == 1, "body has the unknown format %d" % body[0])
        self.body, self.at = body, 5
        self.low, self.high = 0, 0xFFFFFFFF
        self.code = int.from_bytes((body[1:5] + bytes(4))[:4], "big")
        sizes = dict(first=4, tables=2, rows=4, columns=4, start=10, quantum=1, interval=4, away=1, prefix=1, suffix=3,
                     metric=2, step=3, other_step=8, total=25, level=6, change=4, newcomer=8, count=2, extent=6, within=4)
        self.num = {k: Number(v) for k, v in sizes.items()}
        even, rarely, mostly = 0x8000, 0x1000, 0xF000
        self.flag = {k: Bit(v) for k, v in dict(same_instance=even, new_instance=even, plain=mostly, full=mostly,
                     same_kind=mostly, is_counter=even, same_mode=40960, in_palette=mostly, exact=even).items()}
        self.successor = [Bit(), Bit()]
        self.present = [Bit(p) for p in (rarely, even, even, mostly)]
        self.modes = [[Bit(p) for p in tree] for tree in ((0, 13107, 9830, 22938, 29491, even, even, rarely),
                                                          (0, 29491, 9830, 1966, 6554, even, 58982, rarely))]
        self.sign = [[Bit(1024 if m == ZERO else even) for _ in range(3)] for m in range(8)]
        self.fast, self.slow = ([[Bit(prior(level, i)) for i in range(16)] for level in range(14)] for _ in range(2))
        self.memo, self.follows, self.names = {}, {}, [b""]
        self.metric, self.instance, self.newest, self.left = 0, 0, b"", []
        self.width, self.cells = 0, 0  # so far

    def end(self):
        need(self.at >= len(self.body), "body goes on behind its end")

    def split(self, mid):
        one = self.code <= mid
        if one:
            self.high = mid
        else:
            self.low = mid + 1
        while self.low >> 24 == self.high >> 24:
            byte = self.body[self.at] if self.at < len(self.body) else 0
            self.at += 1
            need(self.at <= len(self.body) + 4, "body ends too early")
            self.code = self.code << 8 & 0xFFFFFFFF | byte
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = self.high << 8 & 0xFFFFFFFF | 0xFF
        return one

    def bit(self, *models):
        p = sum(b.p for b in models) // len(models)
        one = self.split(self.low + ((self.high - self.low) * p >> 16))
        for b in models:
            rate = 131072 // (2 * b.n + 3)
            b.p += (65535 - b.p) * rate >> 16 if one else -(b.p * rate >> 16)
            b.n = min(b.n + 1, 30)
        return one

    def raw(self, n):
        v = 0
        for _ in range(n):
            v = v << 1 | self.split(self.low + (self.high - self.low >> 1))
        return v

    def sized(self, *models):
        n = 0
        while n < 64 and not self.bit(*(m[min(n, len(m) - 1)] for m in models)):
            n += 1
        return n if n < 2 else 1 << n - 1 | self.raw(n - 1)

    def unsigned(self, name):
        return self.sized(self.num[name].size)

    def signed(self, name):
        u = self.unsigned(name)
        return wrap(-u if u and self.bit(self.num[name].sign) else u)

    def residual(self, s, mode):  # SPEC "Residuals"; s is [fast, count, sign, slow]
        if s[1] == 0:
            u = self.unsigned("first")
        else:
            shift = max(level_of(s[0]) - 12, 0) // 2
            fast = self.fast[level_of(s[0]) - 2 * shift]
            slow = self.slow[min(max(level_of(s[3]) - 2 * shift, 0), 13)]
            u = self.sized(fast, slow) << shift | self.raw(shift)
        negative = bool(u) and self.bit(self.sign[mode][s[2]])
        if u:
            s[2] = 2 if negative else 1
        v = min(u, 1 << 56) << 4
        for mean, k in ((0, min(s[1], 1)), (3, min(s[1], 4))):
            s[mean] += (v - s[mean]) >> k if v > s[mean] else -((s[mean] - v) >> k)
        s[1] += 1
        return wrap(-u if negative else u)

    def identity(self):
        same = self.bit(self.flag["same_instance"])
        if not same:
            if self.bit(self.flag["new_instance"]):
                shared, rest = self.unsigned("prefix"), self.unsigned("suffix")
                need(shared <= len(self.newest) and shared + rest <= MAX_NAME, "name of an instance is too long")
                if self.bit(self.flag["plain"]):
                    tail = bytes(ALPHABET[self.raw(6)] for _ in range(rest))
                else:
                    tail = bytes(self.raw(8) for _ in range(rest))
                self.newest = self.newest[:shared] + tail
                self.instance = len(self.names)
                self.names.append(self.newest)
            else:
                away = self.unsigned("away")
                need(away < len(self.names), "instance is not one of the list")
                self.instance = (self.instance + 1 + away) % len(self.names)
        key = (same, self.metric & 255)
        if self.bit(self.successor[same]):
            metric = self.follows.get(key, 0)
        else:
            metric = self.metric + self.signed("metric")
            need(0 <= metric < 1 << 16, "number of a metric out of range")
        self.follows[key] = self.metric = metric
        return metric, self.names[self.instance].hex()

    def size(self, before):
        rows, width = before + self.signed("rows"), self.unsigned("columns")
        self.width, self.cells = self.width + width, self.cells + rows * (width + 1)
        need(rows >= 0 and self.width <= MAX_COLUMNS and self.cells <= MAX_CELLS, "body is beyond the limits")
        return rows, width

    def times(self, t, rows):  # t is [start, rows, quantum, interval]
        quantum = self.unsigned("quantum")
        need(quantum < 3, "quantum of times out of range")
        t[2] = (100, 10, 1)[quantum]
        t[0] += self.signed("start") * t[2]
        t[3] += self.signed("interval")
        s, at = [0, 1, 0, 0], t[0]
        out = [at]
        for _ in range(rows - 1):
            at += (t[3] + self.residual(s, TIME)) * t[2]
            out.append(at)
        need(all(-MAX_MS <= at <= MAX_MS for at in out), "time out of range")
        return out

    def presence(self, rows):
        if self.bit(self.flag["full"]):
            self.left = [True] * rows
            return
        before = True
        for i in range(rows):
            before = self.left[i] = self.bit(self.present[2 * before + self.left[i]])

    def kind(self, metric):
        m = self.memo.get(metric & 255)
        if m and self.bit(self.flag["same_kind"]):
            return m
        counter = self.bit(self.flag["is_counter"])
        n = self.unsigned("step")
        need(n <= 72, "step out of range")
        step = (1, 2, 4, 5)[(n - 1) % 4] * 10 ** ((n - 1) // 4) if n else self.unsigned("other_step")
        need(0 < step < 1 << 63, "step out of range")
        m = dict(counter=counter, step=step, level=None, mode=None, fast=0, slow=0, palette=m["palette"] if m else [])
        self.memo[metric & 255] = m
        return m

    def opening(self, m):
        if m["counter"]:
            return self.signed("total")
        m["level"] = self.signed("level") if m["level"] is None else wrap(m["level"] + self.signed("change"))
        return m["level"]

    def column(self, rows):
        metric, instance = self.identity()
        self.presence(rows)
        n = sum(self.left)
        values = []
        if n:
            m = self.kind(metric)
            first = self.opening(m)
            x = self.series(m, 0 if m["counter"] else first, n) if n > 1 else [0 if m["counter"] else first]
            if m["counter"]:
                for v in x:
                    values.append(wrap(first + v * m["step"] if not values else values[-1] + v * m["step"]))
                if n > 1 and m["step"] > 1 and not self.bit(self.flag["exact"]):
                    values[-1] = wrap(values[-1] + self.raw((m["step"] - 1).bit_length()))
            else:
                values = [wrap(v * m["step"]) for v in x]
        values = iter(values)
        return dict(metric=metric, instance=instance, values=[next(values) if p else None for p in self.left])

    def series(self, m, first, n):
        mode = m["mode"]
        if mode is None or not self.bit(self.flag["same_mode"]):
            node = 1
            for _ in range(3):
                node = 2 * node + self.bit(self.modes[m["counter"]][node])
            mode = node - 8
            need(mode != TIME, "unknown mode")
        s = [m["fast"], 1, 0, m["slow"]] if m["mode"] == mode else [0, 0, 0, 0]
        m["mode"] = mode
        if mode == CONSTANT:
            return [first] * n
        x, palette = [first], m["palette"]
        if mode == PALETTE:
            insert(palette, first)
        last, before, mean, count = (0, 0, 0, 0) if m["counter"] else (first, first, wrap(first << 4), 1)
        while len(x) < n:
            if mode == PALETTE:
                if self.bit(self.flag["in_palette"]):
                    at = place(palette, x[-1]) + self.residual(s, PALETTE)
                    need(0 <= at < len(palette), "value is not in the palette")
                    v = palette[at]
                else:
                    v = wrap(x[-1] + self.signed("newcomer"))
                    insert(palette, v)
            else:
                average = wrap(mean + 8) >> 4
                expected = {LAST: last, LINE: 2 * last - before, MEAN: average, BOTH: wrap(last + average) >> 1}.get(mode, 0)
                v = wrap(wrap(expected) + self.residual(s, mode))
                if count == 0:
                    before, last, mean = v, v, wrap(v << 4)
                else:
                    mean = wrap(mean + (wrap(wrap(v << 4) - mean) >> (1 if count < 2 else 2 if count < 5 else 3)))
                    before, last = last, v
                count += 1
            x.append(v)
        m["fast"], m["slow"] = s[0], s[3]
        return x

    def summary(self, count):
        metric, instance = self.identity()
        count += self.signed("count")
        need(0 < count <= MAX_CELLS, "count of readings out of range")
        m = self.kind(metric)
        low, extent, mean, last = self.opening(m), self.unsigned("extent"), 0, 0
        if extent and not m["counter"]:
            mean, last = self.unsigned("within"), self.unsigned("within")
        mean, last = (wrap((low + v) * m["step"]) for v in (mean, extent if m["counter"] else last))
        return dict(metric=metric, instance=instance, count=count, counter=m["counter"], min=wrap(low * m["step"]),
                    mean=0 if m["counter"] else mean, max=wrap((low + extent) * m["step"]), last=last)


def prior(level, i):
    m = 1 + 4 * level if level < 2 else 5 + 2 * (level & 1) << level // 2
    q = ((m + (10 << i) if i else m) << 16) // (m + (20 << i))
    p = min(65536 - (q * q >> 16), 62259)
    return p if i else max(p, 16384)


def level_of(mean):
    n = mean.bit_length()
    return max(n - 1, 0) if n < 3 else 2 * n - 4 + (mean >> n - 2 & 1)


def place(palette, v):
    return sum(p < v for p in palette)


def insert(palette, v):
    if v not in palette and len(palette) < 32:
        palette.insert(place(palette, v), v)


def columns(body):
    d = Decoder(body)
    tables, t = [], [0, 0, 0, 0]
    n = d.unsigned("tables")
    need(n <= MAX_TABLES, "body is beyond the limits")
    for _ in range(n):
        t[1], width = d.size(t[1])
        times = d.times(t, t[1]) if t[1] else []
        d.left = [True] * t[1]
        tables.append(dict(times_ms=times, columns=[d.column(t[1]) for _ in range(width)]))
    d.end()
    return tables


def summary(body):
    d = Decoder(body)
    out, n = [], d.unsigned("columns")
    need(n <= MAX_COLUMNS, "body is beyond the limits")
    for _ in range(n):
        out.append(d.summary(out[-1]["count"] if out else 0))
    d.end()
    return out


# The messages of telemetry.proto: of each field number the name and the type. A
# type is one of these, a message, or in a list what is repeated.
UINT, INT, SINT, BOOL, FIXED64, FIXED32, TEXT, BYTES = "UINT INT SINT BOOL FIXED64 FIXED32 TEXT BYTES".split()
WIRE = {UINT: 0, INT: 0, SINT: 0, BOOL: 0, FIXED64: 1, FIXED32: 5}  # all others: 2
RUN = {1: ("id", FIXED64), 2: ("counter", UINT), 3: ("kernel_boot", FIXED32)}
CONSENT = {1: ("policy_version", UINT), 2: ("purposes", UINT)}
SECTION = {1: ("purpose", UINT), 2: ("fidelity", UINT), 3: ("body", BYTES)}
REPORT = {1: ("box", TEXT), 2: ("run", RUN), 3: ("lane", UINT), 4: ("sequence", UINT), 5: ("consent", CONSENT),
          6: ("catalogue", FIXED32), 7: ("opened_ms", UINT), 8: ("sealed_ms", UINT), 9: ("sections", [SECTION]),
          10: ("wall_at_boot_ms", INT), 11: ("clock", UINT), 12: ("clock_from_ms", UINT), 13: ("clock_to_ms", UINT)}
ATTRIBUTE = {1: ("key", TEXT), 2: ("value", TEXT)}
LOSS = {1: ("run_id", FIXED64), 2: ("lane", UINT), 3: ("first", UINT), 4: ("last", UINT), 5: ("count", UINT), 6: ("reason", UINT)}
EVIDENCE = {1: ("kind", UINT), 2: ("at_ms", UINT), 3: ("instance", TEXT), 4: ("metric", UINT), 5: ("before", SINT),
            6: ("after", SINT), 7: ("count", UINT)}
EVENT = {1: ("type", UINT), 2: ("at_ms", UINT), 3: ("attributes", [ATTRIBUTE]), 4: ("losses", [LOSS]),
         5: ("evidence", [EVIDENCE]), 6: ("unseen", [TEXT])}
CAPABILITY = {1: ("source", TEXT), 2: ("state", UINT), 3: ("reason", TEXT), 4: ("metrics", [UINT])}
HEALTH = {1: ("code", TEXT), 2: ("since_ms", UINT), 3: ("detail", TEXT)}
COUNTERS = {i + 1: (name, UINT) for i, name in enumerate((
    "readings", "reports", "published", "acknowledged", "lost", "flash_bytes", "buffered_ram_bytes", "buffered_flash_bytes"))}
STATUS = {1: ("box", TEXT), 2: ("online", BOOL), 3: ("run", RUN), 4: ("version", TEXT), 5: ("consent", CONSENT),
          6: ("catalogue", FIXED32), 7: ("configuration", FIXED32), 8: ("capabilities", [CAPABILITY]), 9: ("health", [HEALTH]),
          10: ("losses", [LOSS]), 11: ("counters", COUNTERS), 12: ("wall_at_boot_ms", INT), 13: ("clock", UINT),
          14: ("clean_stop", BOOL), 15: ("clock_from_ms", UINT), 16: ("clock_to_ms", UINT)}
RANGE = {1: ("first", UINT), 2: ("last", UINT)}
LANE_ACK = {1: ("run_id", FIXED64), 2: ("lane", UINT), 3: ("contiguous", UINT), 4: ("ranges", [RANGE])}
ACK = {1: ("lanes", [LANE_ACK]), 2: ("retry_after_s", UINT)}


def varint(b, at):
    v = shift = 0
    while True:
        need(at < len(b) and shift < 70, "message is cut or damaged")
        v |= (b[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not b[at - 1] & 0x80:
            return v & (1 << 64) - 1, at


def fields(b):  # of a message: number, wire type, and value: bytes or an unsigned number
    at = 0
    while at < len(b):
        tag, at = varint(b, at)
        if tag & 7 == 0:
            v, at = varint(b, at)
        else:
            need(tag & 7 in (1, 2, 5), "message has a field of unknown type")
            size, at = (8, at) if tag & 7 == 1 else (4, at) if tag & 7 == 5 else varint(b, at)
            need(at + size <= len(b), "message is cut or damaged")
            v, at = b[at:at + size], at + size
            if tag & 7 != 2:
                v = int.from_bytes(v, "little")
        yield tag >> 3, tag & 7, v


def nothing(kind):  # what a field that is absent stands for
    if isinstance(kind, dict):
        return {name: nothing(k) for name, k in kind.values()}
    return [] if isinstance(kind, list) else {TEXT: "", BYTES: b"", BOOL: False}.get(kind, 0)


def message(b, kind):
    m = nothing(kind)
    for number, wire, v in fields(b):
        if number not in kind:
            continue
        name, k = kind[number]
        repeated = isinstance(k, list)
        k = k[0] if repeated else k
        if repeated and k == UINT and wire == 2:  # packed
            at = 0
            while at < len(v):
                one, at = varint(v, at)
                m[name].append(one)
            continue
        if wire != (2 if isinstance(k, dict) else WIRE.get(k, 2)):
            continue  # a known number with another type is another field
        v = message(v, k) if isinstance(k, dict) else {TEXT: bytes.decode, BOOL: bool, INT: wrap, SINT: lambda v: v >> 1 ^ -(v & 1)}.get(k, lambda v: v)(v)
        if repeated:
            m[name].append(v)
        else:
            m[name] = v
    return m


def report(b):
    r = message(b, REPORT)
    for s in r["sections"]:
        body = s["body"]
        try:
            s["body"] = {1: summary, 2: columns, 3: event}.get(s["fidelity"], bytes.hex)(body)
        except ValueError as e:  # keep it: it may be of a later format
            s["body"], s["error"] = body.hex(), str(e)
    return r


def event(b):
    return message(b, EVENT)


def status(b):
    return message(b, STATUS)


def ack(b):
    return message(b, ACK)


def main():
    kinds = dict(report=report, event=event, status=status, ack=ack, columns=columns, summary=summary)
    failed = False
    for line in sys.stdin:
        kind, _, data = line.strip().partition(" ")
        try:
            need(kind in kinds, "unknown kind: " + kind)
            out = kinds[kind](bytes.fromhex(data))
        except ValueError as e:
            out, failed = dict(error=str(e)), True
        print(json.dumps(out))
    return failed


if __name__ == "__main__":
    sys.exit(main())
