"""Works a running server as a client that shares no code with it: grpcio, and the
messages as server reflection describes them.

It creates a partner, two customers, a peer and a binding, and checks the decisions
before and after each. Everything gets fresh ids, so that it can run again and again.

    PEERAGE_ADDRESS  host:port of a server without TLS
    PEERAGE_API_KEY  a key of an operator
"""

import os
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

DEADLINE_SECONDS = 10


class Credential(
    grpc.UnaryUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the API key with every call, reflection included."""

    def __init__(self, key):
        self._metadata = [("authorization", f"Bearer {key}")]

    def _with_key(self, details):
        return details._replace(metadata=list(details.metadata or []) + self._metadata)

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_key(details), request)

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(self._with_key(details), requests)


class Client:
    """Calls methods by name, with requests and responses as plain dictionaries."""

    def __init__(self, channel, pool):
        self._channel = channel
        self._pool = pool

    def call(self, service, method, request):
        descriptor = self._pool.FindServiceByName(f"peerage.v1.{service}").FindMethodByName(method)
        message = json_format.ParseDict(request, message_factory.GetMessageClass(descriptor.input_type)())
        response = self._channel.unary_unary(
            f"/peerage.v1.{service}/{method}",
            request_serializer=lambda value: value.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )(message, timeout=DEADLINE_SECONDS)
        return json_format.MessageToDict(response, descriptor_pool=self._pool)


class Checks:
    """Counts what holds and says what does not."""

    def __init__(self, client):
        self._client = client
        self.passed = 0
        self.failed = 0

    def equal(self, what, actual, expected):
        if actual == expected:
            self.passed += 1
            print(f"ok: {what}: {actual}")
        else:
            self.failed += 1
            print(f"FAILED: {what}: {actual}, not {expected}")

    def decides(self, what, peer, permission, account, decision, reason):
        request = {"peer": peer, "permission": permission, "account": account}
        answer = self._client.call("AccountAccessService", "Authorize", request)
        expected = (f"DECISION_{decision}", f"DECISION_REASON_{reason}")
        self.equal(what, (answer.get("decision"), answer.get("reason")), expected)

    def fails(self, what, service, method, request, code, client=None):
        try:
            actual = (client or self._client).call(service, method, request)
        except grpc.RpcError as error:
            actual = error.code().name
        self.equal(what, actual, code)


def main():
    address, key = os.environ["PEERAGE_ADDRESS"], os.environ["PEERAGE_API_KEY"]
    plain = grpc.insecure_channel(address)
    known = grpc.intercept_channel(plain, Credential(key))
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(known))
    client = Client(known, pool)
    checks = Checks(client)

    run = uuid.uuid4().hex[:12]
    partner, first, second = (f"accounts/foreign-{run}{suffix}" for suffix in ("", "-one", "-two"))
    user_name = f"technician-{run}@foreign.example"
    peer = f"peers/@{user_name}"
    technician = "roles/opspilot365.technician"

    def account_id(name):
        return name.removeprefix("accounts/")

    def customer(name, title):
        account = {"parentAccount": partner, "kind": "ACCOUNT_KIND_CUSTOMER", "title": title}
        return {"accountId": account_id(name), "account": account}

    # Before anything exists.
    missing = {"peer": "peers/me", "permission": "devices.view", "account": first}
    checks.fails("a missing account", "AccountAccessService", "Authorize", missing, "NOT_FOUND")

    created = client.call("AccountService", "CreateAccount", {
        "accountId": account_id(partner),
        "account": {
            "parentAccount": "accounts/platform",
            "kind": "ACCOUNT_KIND_PARTNER",
            "title": f"Foreign partner {run}",
            "settings": {"rolePacks": ["opspilot365"]},
        },
        "firstPeer": {
            "peer": {"userName": f"administrator-{run}@foreign.example", "kind": "PEER_KIND_PERSON",
                     "displayName": "First Administrator"},
            "role": "roles/opspilot365.administrator",
        },
    })
    checks.equal("the partner's name", created.get("name"), partner)
    administrator = created.get("firstPeer", "")
    checks.equal("the partner's first peer has a name", administrator.startswith("peers/"), True)

    for name, title in ((first, "First customer"), (second, "Second customer")):
        created = client.call("AccountService", "CreateAccount", customer(name, title))
        checks.equal(f"the name of the {title.lower()}", created.get("name"), name)
        checks.equal(f"the kind of the {title.lower()}", created.get("kind"), "ACCOUNT_KIND_CUSTOMER")
    checks.fails("the same account again", "AccountService", "CreateAccount", customer(first, "Again"),
                 "ALREADY_EXISTS")
    checks.decides("the administrator reaches a customer made later", administrator, "billing.manage", second,
                   "ALLOW", "ALLOWED")
    checks.decides("the technician before it exists", peer, "devices.view", first, "DENY", "SUBJECT_UNKNOWN")

    created = client.call("PeerService", "CreatePeer", {
        "peer": {"userName": user_name, "kind": "PEER_KIND_PERSON", "homeAccount": partner,
                 "displayName": "Foreign Technician", "email": user_name},
        "role": technician,
        "access": {"accounts": {"accounts": [first]}},
    })
    checks.equal("the peer's name", created.get("name"), f"peers/{created.get('uid')}")
    checks.equal("the peer's home", created.get("homeAccount"), partner)
    uid_name = created["name"]
    checks.decides("its own customer, by user name", peer, "devices.view", first, "ALLOW", "ALLOWED")
    checks.decides("its own customer, by uid", uid_name, "devices.view", first, "ALLOW", "ALLOWED")
    checks.decides("an order needs an approval", peer, "licenses.order", first,
                   "REQUIRES_APPROVAL", "APPROVAL_REQUIRED")
    checks.decides("billing is not a technician's", peer, "billing.manage", first, "DENY", "NO_MATCHING_GRANT")
    checks.decides("the other customer before the binding", peer, "devices.view", second,
                   "DENY", "NO_MATCHING_GRANT")

    binding = client.call("RoleService", "CreateRoleBinding", {
        "roleBinding": {"peer": peer, "role": technician, "account": second, "reach": "REACH_SUBTREE"},
    })
    checks.equal("the binding holds the peer by uid", binding.get("peer"), uid_name)
    checks.decides("the other customer after the binding", peer, "devices.view", second, "ALLOW", "ALLOWED")
    answer = client.call("AccountAccessService", "BatchAuthorize", {
        "defaultPeer": peer,
        "items": [
            {"permission": permission, "account": account}
            for account in (first, second)
            for permission in ("devices.view", "licenses.order", "billing.manage")
        ],
    })
    batch = [item.get("decision", {}).get("decision") for item in answer.get("results", [])]
    checks.equal("the same in one batch", batch,
                 ["DECISION_ALLOW", "DECISION_REQUIRES_APPROVAL", "DECISION_DENY"] * 2)

    client.call("RoleService", "DeleteRoleBinding", {"name": binding["name"]})
    checks.decides("the other customer without the binding", peer, "devices.view", second,
                   "DENY", "NO_MATCHING_GRANT")
    checks.decides("the first customer still", peer, "devices.view", first, "ALLOW", "ALLOWED")

    unknown = {"peer": peer, "permission": "devices.levitate", "account": first}
    checks.fails("an unknown permission", "AccountAccessService", "Authorize", unknown, "INVALID_ARGUMENT")
    stranger = Client(grpc.intercept_channel(plain, Credential("prg_nobody_nothing")), pool)
    checks.fails("a wrong key", "AccountAccessService", "Authorize", missing, "UNAUTHENTICATED", stranger)

    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
