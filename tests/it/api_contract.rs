//! The contract, the rules and the comments agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::rules::{Access, Audit, Escalation, RULES};
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::support::{Server, reason};

/// Methods that are declared and not built yet. This list only shrinks.
const NOT_BUILT: &[&str] = &[
    "/peerage.v1.AccountAccessService/CloseAccountSession",
    "/peerage.v1.AccountAccessService/ListAccountSessions",
    "/peerage.v1.AccountAccessService/OpenAccountSession",
    "/peerage.v1.AccountService/CreateIdentityProvider",
    "/peerage.v1.AccountService/DeleteIdentityProvider",
    "/peerage.v1.AccountService/GetIdentityProvider",
    "/peerage.v1.AccountService/ListIdentityProviders",
    "/peerage.v1.AccountService/UpdateIdentityProvider",
    "/peerage.v1.PeerService/CreateCertificateMapping",
    "/peerage.v1.PeerService/DeleteCertificateMapping",
    "/peerage.v1.PeerService/ErasePersonalData",
    "/peerage.v1.PeerService/LinkExternalIdentity",
    "/peerage.v1.PeerService/ListCertificateMappings",
    "/peerage.v1.PeerService/ListFactors",
    "/peerage.v1.PeerService/ListFindings",
    "/peerage.v1.PeerService/ListInvitations",
    "/peerage.v1.PeerService/RemoveFactor",
    "/peerage.v1.PeerService/ResetTwoFactor",
    "/peerage.v1.PeerService/RevokeInvitation",
    "/peerage.v1.PeerService/SendInvitation",
    "/peerage.v1.PeerService/UnlinkExternalIdentity",
    "/peerage.v1.PeerService/UnlockPeer",
];

fn methods() -> BTreeMap<String, MethodDescriptor> {
    let pool = DescriptorPool::decode(pb::DESCRIPTOR).unwrap();
    let services = pool.services().filter(|service| service.package_name() == "peerage.v1").collect::<Vec<_>>();
    let methods = services.iter().flat_map(|service| {
        service
            .methods()
            .map(|method| (format!("/{}/{}", service.full_name(), method.name()), method))
            .collect::<Vec<_>>()
    });
    methods.collect()
}

/// The comment above each method, with its lines joined.
fn comments() -> BTreeMap<String, String> {
    let mut comments = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/peerage/v1");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (mut service, mut comment) = (String::new(), String::new());
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("//") {
                comment.push_str(rest);
                comment.push('\n');
            } else {
                if let Some(rest) = line.strip_prefix("service ") {
                    service = rest.trim_end_matches([' ', '{']).to_owned();
                } else if let Some(rest) = line.strip_prefix("rpc ") {
                    let name = rest.split('(').next().unwrap();
                    comments.insert(format!("/peerage.v1.{service}/{name}"), comment.clone());
                }
                comment.clear();
            }
        }
    }
    comments
}

#[test]
fn every_method_has_one_rule_and_every_rule_a_method() {
    let declared: BTreeSet<String> = methods().into_keys().collect();
    let ruled: Vec<&str> = RULES.iter().map(|rule| rule.method).filter(|name| name.starts_with("/peerage")).collect();
    let unique: BTreeSet<String> = ruled.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(unique.len(), ruled.len(), "a method has two rules");
    assert_eq!(unique, declared);
}

#[test]
fn the_comments_name_the_permission_of_the_rule() {
    let comments = comments();
    for rule in RULES.iter().filter(|rule| rule.method.starts_with("/peerage")) {
        let comment = comments.get(rule.method).unwrap_or_else(|| panic!("{} has no comment", rule.method));
        assert!(comment.contains("Errors:"), "{} says nothing of its errors", rule.method);
        let said = comment.split("Required permission:").nth(1).unwrap_or_else(|| panic!("{}", rule.method));
        let first = said.split('`').nth(1).unwrap_or_default();
        let expected = match rule.access {
            Access::Permission(permissions) => permissions[0],
            Access::Authenticated | Access::Oneself(_) | Access::Public => "none",
        };
        assert_eq!(first, expected, "{}", rule.method);
    }
}

/// The text of every test.
fn source_of_tests(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&source_of_tests(&path));
        } else {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn every_mutation_names_its_escalation_test_or_why_there_is_none() {
    let tests = source_of_tests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"));
    for (name, method) in methods() {
        let has_request_id = method.input().get_field_by_name("request_id").is_some() && !name.ends_with("/Authorize");
        let rule = RULES.iter().find(|rule| rule.method == name).unwrap();
        match rule.audit {
            Audit::Read => assert!(!has_request_id, "{name} takes a request_id and is no mutation"),
            Audit::Mutation(Escalation::Test(test)) => {
                assert!(tests.contains(&format!("fn {test}(")), "{name} names a test that is not there: {test}");
            }
            Audit::Mutation(Escalation::None(why)) => assert!(!why.is_empty(), "{name}"),
            Audit::Mutation(Escalation::NotBuilt) => assert!(NOT_BUILT.contains(&name.as_str()), "{name} is built"),
        }
    }
}

/// A stream of answers waits for no turn behind others and has no time of its own; a stream that is
/// taken for a single answer would be cut off and counted wrongly.
#[test]
fn streams_are_admitted_as_streams() {
    for (name, method) in methods() {
        let is_stream = method.is_server_streaming() || method.is_client_streaming();
        let work = peerage::transport::grpc::rules::find(&name).unwrap().work;
        assert_eq!(work == Some(peerage::telemetry::metrics::Work::Streams), is_stream, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_built_says_so_and_the_list_is_exact() {
    let server = Server::start().await;
    let operator = server.raw_operator();
    for (name, method) in methods() {
        let status = operator.call_empty(&name).await;
        let is_not_built = status.as_ref().is_err_and(|status| {
            assert_ne!(&*reason(status), "METHOD_UNKNOWN", "{name}");
            status.code() == tonic::Code::Unimplemented
        });
        assert_eq!(is_not_built, NOT_BUILT.contains(&name.as_str()), "{name} ({}): {status:?}", method.name());
    }
    // A method that nobody declared was never promised either.
    for unknown in ["/peerage.v1.PeerService/FormatDisk", "/peerage.v2.PeerService/GetPeer", "/a/b"] {
        let status = operator.call_empty(unknown).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (tonic::Code::Unimplemented, "METHOD_UNKNOWN"), "{unknown}");
        assert_eq!(status.message(), "there is no such method");
    }
    server.stop().await;
}
