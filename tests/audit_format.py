#!/usr/bin/env python3
"""Verifies audit events as docs/audit-format.md describes them, and nothing else.

Without a path it checks docs/audit-vectors.json, then spoils the vectors in every way the page
names and checks that each is noticed. With paths it verifies exports in JSON lines.
It needs Python 3.11 and no packages, and shares no code with the server.
"""

import argparse
import base64
import binascii
import copy
import hashlib
import hmac
import json
import re
import sys
from datetime import datetime
from pathlib import Path

VECTORS = Path(__file__).resolve().parent.parent / "docs" / "audit-vectors.json"
START = (0, "0" * 64)
I64_MAX = 2**63 - 1
U64_MAX = 2**64 - 1


class Breach(Exception):
    """What is wrong with an event, by the codes of section 8."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code


# Section 2: canonical bytes.

SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def quote(text):
    escaped = (SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)
    return '"' + "".join(escaped) + '"'


def canonical(value):
    match value:
        case str():
            return quote(value)
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case dict():
            names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
            return "{" + ",".join(f"{quote(name)}:{canonical(value[name])}" for name in names) + "}"
    raise Breach("FORMAT", f"neither object, array nor string: {value!r}")


def members(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Breach("FORMAT", "a member stands twice in one object")
    return value


def parse(data):
    try:
        # Bytes are decoded here because json.loads would guess at UTF-16 and drop a byte order mark.
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=members)
    except (ValueError, RecursionError) as error:
        raise Breach("FORMAT", f"not JSON: {error}") from error


# Sections 3 and 4: types and members.


def is_text(value):
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def matches(pattern):
    compiled = re.compile(pattern)
    return lambda value: is_text(value) and compiled.fullmatch(value) is not None


is_hash = matches("[0-9a-f]{64}")
is_uuid = matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
is_uuid7 = matches("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
is_account = matches("[a-z][a-z0-9-]{0,61}[a-z0-9]")
is_trace = matches("[0-9a-f]{32}")
is_digits = matches("0|[1-9][0-9]*")
is_time_form = matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def number(least, most=I64_MAX):
    return lambda value: is_digits(value) and len(value) <= 20 and least <= int(value) <= most


def is_time(value):
    if not is_time_form(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_commitment(value):
    return isinstance(value, dict) and set(value) == {"hmac_sha256"} and is_hash(value["hmac_sha256"])


def is_text_or_commitment(value):
    return is_text(value) or is_commitment(value)


def one_of(*words):
    return lambda value: value in words


def array_of(is_item):
    return lambda value: isinstance(value, list) and value != [] and all(map(is_item, value))


def shape(always, sometimes=None):
    def check(value):
        if not isinstance(value, dict):
            return False
        for name, is_valid in (always | (sometimes or {})).items():
            if name in value and not is_valid(value[name]):
                raise Breach("FORMAT", f"`{name}` has a wrong value: {value[name]!r}")
        for name in always:
            if name not in value:
                raise Breach("FORMAT", f"`{name}` is absent")
        return True

    return check


is_peer = shape(
    {"kind": one_of("PERSON", "DEVICE", "INTEGRATION"), "uid": is_uuid, "home_account": is_account},
    {"display_name": is_commitment},
)
is_system = shape({"kind": one_of("SYSTEM"), "name": is_text})
is_anonymous = shape({"kind": one_of("ANONYMOUS")})


def is_actor(value):
    match value:
        case {"kind": "SYSTEM"}:
            return is_system(value)
        case {"kind": "ANONYMOUS"}:
            return is_anonymous(value)
    return is_peer(value)


is_target = shape(
    {"type": is_text, "name": is_text_or_commitment},
    {"account": is_account, "display_name": is_commitment},
)
is_change = shape({"field": is_text}, {"before": is_text_or_commitment, "after": is_text_or_commitment})
is_link = shape({"account": is_account, "seq": number(1), "event_id": is_uuid7})
is_event = shape(
    {
        "version": one_of("1"),
        "account": is_account,
        "seq": number(1),
        "event_id": is_uuid7,
        "prev_hash": is_hash,
        "occurred_time": is_time,
        "recorded_time": is_time,
        "actor": is_actor,
        "action": is_text,
        "target": is_target,
        "outcome": one_of("SUCCESS", "DENIED", "FAILED"),
    },
    {
        "on_behalf_of": is_peer,
        "reporter": is_peer,
        "session": is_text,
        "reason": is_text,
        "revision": number(0),
        "elevations": array_of(is_uuid),
        "approvals": array_of(is_uuid),
        "justification": is_commitment,
        "source_address": is_commitment,
        "user_agent": is_commitment,
        "trace_id": is_trace,
        "changes": array_of(is_change),
        "linked": array_of(is_link),
        "count": number(1, U64_MAX),
    },
)
is_kept = shape({"path": is_text, "value": is_text, "salt": is_hash})
is_line = shape(
    {
        "account": is_account,
        "seq": number(1),
        "event": is_text,
        "leaf_hash": is_hash,
        "prev_hash": is_hash,
        "personal": lambda value: isinstance(value, list) and all(map(is_kept, value)),
    }
)


def require(condition, code, detail):
    if not condition:
        raise Breach(code, detail)


def check_event(event):
    require(is_event(event), "FORMAT", "the event is not an object")
    succeeded = event["outcome"] == "SUCCESS"
    require(("reason" in event) != succeeded, "FORMAT", "`reason` does not fit `outcome`")
    elsewhere = event["target"].get("account") != event["account"]
    require(elsewhere, "FORMAT", "`target.account` repeats the account of the log")


# Sections 5 and 6: commitments and hashes.


def commit(salt, value):
    return hmac.new(bytes.fromhex(salt), value.encode("utf-8"), hashlib.sha256).hexdigest()


def leaf(data):
    return hashlib.sha256(b"\x00" + data).hexdigest()


def commitments(value, path=""):
    """Yields every commitment of an event with its JSON Pointer."""
    if isinstance(value, dict):
        if "hmac_sha256" in value:
            require(is_commitment(value), "FORMAT", f"`{path}` is not a commitment")
            yield path, value["hmac_sha256"]
            return
        for name, member in value.items():
            yield from commitments(member, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from commitments(item, f"{path}/{index}")


# Sections 7 and 8: export and verification.


class Verifier:
    """Follows the logs of one export. A bad event is reported, and the next one is held to it."""

    def __init__(self, start=None):
        self.state = dict(start or {})
        self.erased = 0

    def check(self, line):
        require(is_line(line), "FORMAT", "the line is not an object")
        try:
            data = base64.b64decode(line["event"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise Breach("FORMAT", f"not base64: {error}") from error
        require(base64.b64encode(data).decode() == line["event"], "FORMAT", "base64 with stray bits")
        last_seq, last_leaf = self.state.get(line["account"], START)
        self.state[line["account"]] = (int(line["seq"]), leaf(data))
        require(leaf(data) == line["leaf_hash"], "LEAF", "the bytes do not give the leaf hash")
        event = parse(data)
        # Before anything else, because it also refuses what the format has no place for.
        again = canonical(event).encode("utf-8", "surrogatepass")
        check_event(event)
        for name in ("account", "seq", "prev_hash"):
            require(event[name] == line[name], "FORMAT", f"`{name}` of line and event differ")
        require(again == data, "CANONICAL", "encoding the event again gives other bytes")
        seq = int(event["seq"])
        require(seq == last_seq + 1, "GAP", f"{seq} follows {last_seq}")
        require(event["prev_hash"] == last_leaf, "PREV", f"{seq} does not continue {last_seq}")
        self.check_personal(event, line["personal"])

    def check_personal(self, event, personal):
        open_commitments = dict(commitments(event))
        for kept in personal:
            path = kept["path"]
            require(path in open_commitments, "COMMITMENT", f"`{path}` has no commitment, or two values")
            expected = open_commitments.pop(path)
            require(commit(kept["salt"], kept["value"]) == expected, "COMMITMENT", f"`{path}` has another value")
        self.erased += len(open_commitments)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def count(self, name, check):
        try:
            check()
        except Breach as breach:
            self.failed += 1
            print(f"{name}: {breach}", file=sys.stderr)
        else:
            self.passed += 1


def verify_export(path, start, tally):
    verifier = Verifier(start)
    with open(path, "rb") as file:
        for index, text in enumerate(file, 1):

            def check(text=text):
                require(text.endswith(b"\n"), "FORMAT", "the line does not end")
                verifier.check(parse(text))

            tally.count(f"{path}:{index}", check)
    for account, (seq, leaf_hash) in sorted(verifier.state.items()):
        print(f"{account}: ends at {seq}, leaf hash {leaf_hash}")
    print(f"{verifier.erased} personal values erased")


def first_breach(lines):
    verifier = Verifier()
    for line in lines:
        try:
            verifier.check(line)
        except Breach as breach:
            return breach.code
    return None


def reseal(line, change):
    """Changes the bytes of an event and states the leaf hash that fits, as a forger would."""
    data = change(base64.b64decode(line["event"]))
    line["event"] = base64.b64encode(data).decode()
    line["leaf_hash"] = leaf(data)


def replaced(old, new):
    def change(data):
        changed = data.replace(old.encode(), new.encode(), 1)
        assert changed != data, old
        return changed

    return change


def spoiled(lines):
    """Yields (what was done, the code it must be reported with, the lines)."""

    def spoil(what, code, change):
        copied = copy.deepcopy(lines)
        change(copied)
        return what, code, copied

    def resealed(what, code, index, old, new):
        return spoil(what, code, lambda copied: reseal(copied[index], replaced(old, new)))

    for index, line in enumerate(lines):
        data = base64.b64decode(line["event"])
        for position in range(len(data)):

            def flip(copied, index=index, data=data, position=position):
                flipped = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
                copied[index]["event"] = base64.b64encode(flipped).decode()

            yield spoil(f"byte {position} of event {index} flipped", "LEAF", flip)
        for position, kept in enumerate(line["personal"]):
            for name, value in (("value", kept["value"] + " "), ("salt", "00" * 32), ("path", "/nowhere")):

                def swap(copied, index=index, position=position, name=name, value=value):
                    copied[index]["personal"][position][name] = value

                yield spoil(f"{name} of {kept['path']} of event {index} changed", "COMMITMENT", swap)
    wrong = "f" * 64

    def another_prev(copied):
        old = copied[2]["prev_hash"]
        copied[2]["prev_hash"] = wrong
        reseal(copied[2], replaced(old, wrong))

    yield spoil("an event left out", "GAP", lambda copied: copied.pop(2))
    yield spoil("the first event left out", "GAP", lambda copied: copied.pop(0))
    yield spoil("an event twice", "GAP", lambda copied: copied.insert(2, copied[2]))
    yield spoil("two events swapped", "GAP", lambda copied: copied.insert(1, copied.pop(2)))
    yield spoil("another prev_hash", "PREV", another_prev)
    yield resealed("an event rewritten and hashed anew", "PREV", 1, "peers.update", "peers.delete")
    yield resealed("another prev_hash in the event alone", "FORMAT", 2, lines[2]["prev_hash"], wrong)
    yield spoil("another seq on the line alone", "FORMAT", lambda copied: copied[2].update(seq="4"))
    yield spoil("a leaf hash of another event", "LEAF", lambda copied: copied[2].update(leaf_hash=wrong))
    yield spoil("a personal value twice", "COMMITMENT", lambda copied: copied[1]["personal"].append(copied[1]["personal"][0]))
    for what, old, new in (
        ("white space", '{"account"', '{ "account"'),
        ("an escaped solidus", "accounts/", "accounts\\/"),
        ("an escaped letter", "bootstrap", "\\u0062ootstrap"),
        ("members out of order", '"revision":"1","seq":"1"', '"seq":"1","revision":"1"'),
    ):
        yield resealed(what, "CANONICAL", 0, old, new)
    for what, old, new in (
        ("a number", '"seq":"1"', '"seq":1'),
        ("a leading zero", '"revision":"1"', '"revision":"01"'),
        ("another version", '"version":"1"', '"version":"2"'),
        ("no version", ',"version":"1"', ""),
        ("null", '"SYSTEM"', "null"),
        ("a member twice", '"seq":"1"', '"seq":"1","seq":"1"'),
        ("an unknown outcome", "SUCCESS", "MAYBE"),
        ("a failure without reason", "SUCCESS", "FAILED"),
        ("a time without fraction", "27.000000Z", "27Z"),
        ("the thirteenth month", "2026-11-22T", "2026-13-22T"),
        ("an event id of version 4", "-7000-", "-4000-"),
        ("a commitment with more members", '"name":"accounts/contoso"', '"name":{"hmac_sha256":"' + wrong + '","x":"y"}'),
        ("half a surrogate pair", "bootstrap", "\\ud800"),
        ("a kind that is no word", '"SYSTEM"', '["SYSTEM"]'),
        ("bytes after the end", '"version":"1"}', '"version":"1"}x'),
    ):
        yield resealed(what, "FORMAT", 0, old, new)


def verify_vectors(tally):
    with open(VECTORS, encoding="utf-8") as file:
        vectors = json.load(file)
    require(vectors["version"] == "1", "FORMAT", "vectors of another version")
    for index, vector in enumerate(vectors["commitments"]):

        def check(vector=vector):
            made = commit(vector["salt"], vector["value"])
            require(made == vector["commitment"], "COMMITMENT", made)

        tally.count(f"commitment {index}", check)
    verifier = Verifier()
    for vector in vectors["vectors"]:

        def check(vector=vector):
            same = vector["text"].encode() == base64.b64decode(vector["line"]["event"])
            require(same, "FORMAT", "text and event differ")
            verifier.check(vector["line"])

        tally.count(vector["name"], check)
    lines = [vector["line"] for vector in vectors["vectors"]]
    for what, code, bad in spoiled(lines):

        def check(bad=bad, code=code):
            found = first_breach(bad)
            require(found == code, code, f"reported as {found}")

        tally.count(f"spoiled by {what}", check)


def position(text):
    match text.split(":"):
        case [account, seq, leaf_hash] if is_account(account) and number(0)(seq) and is_hash(leaf_hash):
            return account, (int(seq), leaf_hash)
    raise argparse.ArgumentTypeError(f"`{text}` is not ACCOUNT:SEQ:LEAF_HASH")


def main():
    parser = argparse.ArgumentParser(description="Verify audit events offline, by docs/audit-format.md.")
    parser.add_argument("exports", nargs="*", metavar="EXPORT", help="exports in JSON lines; none: the test vectors")
    parser.add_argument(
        "--after",
        action="append",
        default=[],
        type=position,
        metavar="ACCOUNT:SEQ:LEAF_HASH",
        help="the log of ACCOUNT continues after this event, known from elsewhere",
    )
    arguments = parser.parse_args()
    tally = Tally()
    if not arguments.exports:
        verify_vectors(tally)
    for path in arguments.exports:
        verify_export(path, dict(arguments.after), tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
