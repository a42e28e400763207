"""Puts questions to stock pycasbin, as docs/policy-export.md says to ask.

Each line of standard input is a JSON object with the folder of a model.conf and a policy.csv and a
list of questions (sub, dom, res, act); each line of output is the list of their answers.
"""

import json
import sys

import casbin


def outcome(enforcer, question):
    if not enforcer.enforce(*question, "both"):
        return "deny"
    if enforcer.enforce(*question, "none"):
        return "allow"
    if enforcer.enforce(*question, "step_up"):
        return "requires_step_up"
    return "requires_approval"


for line in sys.stdin:
    task = json.loads(line)
    enforcer = casbin.Enforcer(task["folder"] + "/model.conf", task["folder"] + "/policy.csv")
    print(json.dumps([outcome(enforcer, question) for question in task["questions"]]), flush=True)
