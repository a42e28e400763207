//! Names of what there is, and times: what requests are filled with.

use peerage::domain::fact::PeerFact;
use peerage::domain::ids::PeerId;
use peerage::domain::peer::PeerStatus;
use peerage::domain::role::RoleOrigin;
use peerage::transport::grpc::pb;

use super::Maker;

const HOUR: i64 = 3_600;

impl Maker<'_> {
    pub(super) fn account(&mut self) -> String {
        let account = self.random.pick(&self.facts.accounts).expect("accounts");
        format!("accounts/{}", account.id)
    }

    pub(super) fn some_peer(&mut self) -> &PeerFact {
        self.random.pick(&self.facts.peers).expect("peers")
    }

    pub(super) fn peer(&mut self) -> String {
        peer_name(self.some_peer().id)
    }

    pub(super) fn deleted_peer(&mut self) -> String {
        let deleted: Vec<PeerId> =
            self.facts.peers.iter().filter(|peer| peer.status == PeerStatus::Deleted).map(|peer| peer.id).collect();
        self.random.pick(&deleted).copied().map_or_else(|| self.peer(), peer_name)
    }

    pub(super) fn group(&mut self) -> String {
        self.random
            .pick(&self.facts.groups)
            .map_or_else(|| "groups/none".to_owned(), |group| format!("groups/{}", group.id))
    }

    pub(super) fn binding(&mut self) -> String {
        let binding = self.random.pick(&self.facts.bindings).expect("bindings");
        format!("roleBindings/{}", binding.id)
    }

    pub(super) fn custom_roles(&self) -> Vec<String> {
        let is_custom = |origin: &RoleOrigin| matches!(origin, RoleOrigin::Custom { .. });
        self.facts
            .roles
            .iter()
            .filter(|role| is_custom(&role.origin))
            .map(|role| format!("roles/{}", role.id))
            .collect()
    }

    pub(super) fn custom_role(&mut self) -> String {
        let custom = self.custom_roles();
        self.random.pick(&custom).expect("custom roles").clone()
    }

    /// A custom role, or a built-in one that lets nobody give what they do not hold.
    pub(super) fn role(&mut self) -> String {
        if self.random.chance(10) { "roles/core.auditor".to_owned() } else { self.custom_role() }
    }

    pub(super) fn mode(&mut self) -> i32 {
        if self.random.chance(80) { pb::BindingMode::Active } else { pb::BindingMode::Eligible }.into()
    }

    pub(super) fn window(&mut self) -> (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
        let begin = self.now.as_micros() / 1_000_000;
        let at = |seconds: i64| Some(prost_types::Timestamp { seconds: begin + seconds, nanos: 0 });
        match self.random.below(10) {
            0 => (at(2 * HOUR), None),
            1 => (None, at(HOUR / 2)),
            2 => (None, at(12 * HOUR)),
            3 => (at(HOUR / 2), at(100 * HOUR)),
            _ => (None, None),
        }
    }
}

pub(super) fn peer_name(peer: PeerId) -> String {
    format!("peers/{peer}")
}
