#!/usr/bin/env python3
"""Says when weekly windows are open and which addresses lie in which networks.

Reads one JSON object from standard input, {"windows": [...], "networks": [...]}, and writes the same
two lists with true or false for each case. Needs Python 3.9 and no packages, knows zones from
PYTHONTZPATH, and shares no code with the server.
"""

import ipaddress
import json
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
zone = lru_cache(maxsize=None)(ZoneInfo)


def is_open(case):
    """The server's rule: local wall time, half-open, an end not after the start is tomorrow's."""
    local = (EPOCH + timedelta(microseconds=case["micros"])).astimezone(zone(case["zone"]))
    minute = 60 * local.hour + local.minute
    start, end, days = case["start"], case["end"], case["days"]
    today, yesterday = local.weekday() in days, (local.weekday() - 1) % 7 in days
    if end > start:
        return today and start <= minute < end
    return (today and minute >= start) or (yesterday and minute < end)


def lies_in(case):
    """IPv6 addresses that map IPv4 ones count as those."""
    address = ipaddress.ip_address(case["address"])
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ipaddress.ip_network(network) for network in case["networks"])


def main():
    cases = json.load(sys.stdin)
    answers = {
        "windows": [is_open(case) for case in cases["windows"]],
        "networks": [lies_in(case) for case in cases["networks"]],
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
